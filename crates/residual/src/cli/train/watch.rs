//! What a training shows while it goes on.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use residual::train::{Metrics, Observer, StepReport, Trainer};

use crate::cli::progress::{Bar, duration};

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Number of bad images that are named; the rest are counted.
const NAMED: usize = 10;

/// A moving line on a terminal; elsewhere a plain line every ten seconds. A line an epoch either way.
pub(super) struct Watch {
    bar: Bar,
    epochs: usize,
    done: u64,
    last: Instant,
    skipped: usize,
}

impl Watch {
    pub(super) fn new(trainer: &Trainer) -> Self {
        Self {
            bar: Bar::new(trainer.total_steps() as usize),
            epochs: trainer.recipe().epochs,
            done: trainer.steps_done(),
            last: Instant::now(),
            skipped: 0,
        }
    }
}

/// End of the display: the moving line is taken away, and the images left out are counted.
impl Drop for Watch {
    fn drop(&mut self) {
        self.bar.clear();
        if self.skipped > 0 {
            self.bar.line(&format!("left out {} images that cannot be decoded", self.skipped));
        }
    }
}

impl Observer for Watch {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        self.done = report.step;
        if self.bar.is_drawn() {
            self.bar.say(report.step as usize, &line(report));
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            self.bar.line(&format!("step {}/{} {}", report.step, report.total_steps, line(report)));
        }
        ControlFlow::Continue(())
    }

    fn evaluating(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.bar.say(self.done as usize, &format!("evaluating {done} of {total}"));
        ControlFlow::Continue(())
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        self.last = Instant::now();
        self.bar.line(&pass_line(metrics, self.epochs));
        ControlFlow::Continue(())
    }

    fn remark(&mut self, remark: &str) {
        self.bar.line(remark);
    }

    fn skipped(&mut self, reason: &str) {
        self.skipped += 1;
        if self.skipped <= NAMED {
            self.bar.line(&format!("left out: {reason}"));
        }
    }
}

/// `3/20 loss 1.234 acc 54% 312 img/s wait 1% 12m left`: `wait` is the share of time that the network
/// waits for images.
fn line(report: &StepReport) -> String {
    let StepReport { epoch, epochs, loss, images_per_s, .. } = report;
    let waited = 100.0 * report.waited;
    let left = duration(report.seconds_left);
    let score =
        report.score.map_or_else(|| format!("acc {:.0}%", 100.0 * report.top1), |score| score.to_string());
    format!("{epoch}/{epochs} loss {loss:.3} {score} {images_per_s:.0} img/s wait {waited:.0}% {left} left")
}

/// `epoch 3/20  train  loss 1.2345  acc 54.3%  312 img/s  lr 0.0500  1m 20s`.
fn pass_line(metrics: &Metrics, epochs: usize) -> String {
    let Metrics { epoch, split, loss, images_per_s, lr, .. } = metrics;
    let score =
        metrics.score.map_or_else(|| format!("acc {:.1}%", 100.0 * metrics.top1), |score| score.to_string());
    let seconds = duration(metrics.seconds);
    let lr = rate(*lr);
    format!(
        "epoch {epoch}/{epochs}  {split:<5}  loss {loss:.4}  {score}  {images_per_s:.0} img/s  lr {lr}  {seconds}"
    )
}

/// `0.0500`, `2e-7`: four decimals, or its magnitude where they say nothing.
pub(super) fn rate(lr: f64) -> String {
    if lr >= 1e-3 { format!("{lr:.4}") } else { format!("{lr:.0e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::WIDTH;

    #[test]
    fn small_rates_keep_their_magnitude() {
        assert_eq!(rate(0.05), "0.0500");
        assert_eq!(rate(2e-7), "2e-7");
    }

    #[test]
    fn long_trainings_fit_the_terminal() {
        let report = StepReport::default().with(|report| {
            report.epoch = 199;
            report.epochs = 200;
            report.step = 78_000;
            report.total_steps = 78_200;
            report.epoch_step = 1;
            report.epoch_steps = 391;
            report.batch_loss = 12.34567;
            report.loss = 12.34567;
            report.top1 = 1.0;
            report.lr = 0.05;
            report.waited = 0.123;
            report.images_per_s = 1234.5;
            report.seconds_left = 360_000.0;
        });
        // The bar and its frame come before.
        assert!(line(&report).chars().count() + 17 <= WIDTH, "{}", line(&report));
        let metrics = Metrics::default().with(|metrics| {
            metrics.epoch = 199;
            metrics.step = 78_000;
            metrics.split = "train".into();
            metrics.loss = 12.34567;
            metrics.top1 = 1.0;
            metrics.lr = 0.05;
            metrics.images_per_s = 1234.5;
            metrics.seconds = 360_000.0;
        });
        let line = pass_line(&metrics, 200);
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
}
