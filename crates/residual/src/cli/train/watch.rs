//! What a training shows while it goes on.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use residual::report::duration;
use residual::train::{Metrics, Observer, StepReport, TensorBoard, Trainer, read_metrics};

use super::view::View;
use crate::cli::progress::{Bar, is_coloured, note};
use crate::cli::sparkline::Letters;

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);

/// Number of bad images that are named; the rest are counted.
const NAMED: usize = 10;

/// A live view on a terminal; elsewhere a plain line every ten seconds. A line an epoch either way.
pub(super) struct Watch {
    bar: Bar,
    view: View,
    epochs: usize,
    last: Instant,
    skipped: usize,
    events: Option<TensorBoard>,
}

impl Watch {
    pub(super) fn new(trainer: &Trainer, events: Option<TensorBoard>) -> Self {
        let mut view = View::new(Letters::of_terminal(), is_coloured());
        // Of a training that is resumed; one that cannot be read is not there yet.
        let before = read_metrics(trainer.folder().join("metrics.jsonl")).unwrap_or_default();
        before.iter().for_each(|metrics| view.pass(metrics));
        Self {
            bar: Bar::new(trainer.total_steps() as usize),
            view,
            epochs: trainer.recipe().epochs,
            last: Instant::now(),
            skipped: 0,
            events,
        }
    }

    /// Tells the event file too; where it cannot be written, the training goes on without it.
    fn log(&mut self, write: impl FnOnce(&mut TensorBoard) -> ControlFlow<()>) -> ControlFlow<()> {
        let Some(events) = &mut self.events else { return ControlFlow::Continue(()) };
        let answer = write(events);
        if let Some(error) = events.take_error() {
            note(&format!("{error}; the training goes on, and its events end here"));
        }
        answer
    }
}

/// End of the display: the images left out are counted.
impl Drop for Watch {
    fn drop(&mut self) {
        if self.skipped > 0 {
            note(&format!("left out {} images that cannot be decoded", self.skipped));
        }
    }
}

impl Observer for Watch {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        self.view.step(report);
        if self.bar.is_drawn() {
            self.bar.draw(|columns| self.view.lines(columns));
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            note(&format!("step {}/{} {}", report.step, report.total_steps, line(report)));
        }
        self.log(|events| events.step(report))
    }

    fn evaluating(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.view.evaluating(done, total);
        self.bar.draw(|columns| self.view.lines(columns));
        ControlFlow::Continue(())
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        self.last = Instant::now();
        self.view.pass(metrics);
        note(&pass_line(metrics, self.epochs));
        self.log(|events| events.pass(metrics))
    }

    fn remark(&mut self, remark: &str) {
        note(remark);
    }

    fn skipped(&mut self, reason: &str) {
        self.skipped += 1;
        if self.skipped <= NAMED {
            note(&format!("left out: {reason}"));
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

/// `54.32%`, `mAP 71.2%`: accuracy, or the score of another task.
pub(crate) fn score(metrics: &Metrics) -> String {
    metrics.score.map_or_else(|| format!("{:.2}%", 100.0 * metrics.top1), |score| score.to_string())
}

/// `0.0500`, `2e-7`: four decimals, or its magnitude where they say nothing.
pub(crate) fn rate(lr: f64) -> String {
    if (1e-3..1e4).contains(&lr) { format!("{lr:.4}") } else { format!("{lr:.0e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::WIDTH;

    #[test]
    fn small_and_great_rates_keep_their_magnitude() {
        assert_eq!(rate(0.05), "0.0500");
        assert_eq!([2e-7, 1e30].map(rate), ["2e-7", "1e30"]);
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
