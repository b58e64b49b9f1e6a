//! The live view of a training on a terminal: bars of the run and the epoch, curves of loss and accuracy.

use residual::report::duration;
use residual::train::{Metrics, StepReport};

use super::watch::{rate, score};
use crate::cli::sparkline::{Letters, Thinned};

/// Widest bar or curve, in letters: of a wider terminal the rest stays empty, so that making it narrower again seldom
/// breaks a line.
const WIDEST: usize = 60;

/// Narrowest bar or curve; where there is less room, there is none.
const NARROWEST: usize = 6;

/// Columns of the row's name.
const NAME: usize = 7;

const CYAN: &str = "36";
const YELLOW: &str = "33";
const GREEN: &str = "32";

/// State of a training that goes on.
pub(super) struct View {
    letters: Letters,
    is_coloured: bool,
    report: StepReport,
    losses: Thinned,
    /// Lines of the evaluations.
    passes: Vec<Metrics>,
    /// Images that are evaluated, and all of them.
    evaluating: Option<[usize; 2]>,
    /// Widest text beside a bar so far: bars that change their length with every number are restless.
    text: usize,
}

/// A row of the view.
struct Row {
    name: String,
    graph: Graph,
    text: String,
}

enum Graph {
    Bar(f64),
    Curve(Vec<f64>, &'static str),
}

impl View {
    pub(super) fn new(letters: Letters, is_coloured: bool) -> Self {
        Self {
            letters,
            is_coloured,
            report: StepReport::default(),
            losses: Thinned::default(),
            passes: Vec::new(),
            evaluating: None,
            text: 0,
        }
    }

    pub(super) fn step(&mut self, report: &StepReport) {
        self.report = *report;
        self.losses.push(report.batch_loss);
        self.evaluating = None;
    }

    pub(super) fn evaluating(&mut self, done: usize, total: usize) {
        self.evaluating = Some([done, total]);
    }

    pub(super) fn pass(&mut self, metrics: &Metrics) {
        if metrics.split != "train" {
            self.passes.push(metrics.clone());
        }
    }

    /// Lines for a terminal of so many columns.
    pub(super) fn lines(&mut self, columns: usize) -> Vec<String> {
        let rows = self.rows();
        let widest = rows.iter().map(|row| row.text.chars().count()).max().unwrap_or(0);
        self.text = self.text.max(widest);
        let room = columns.saturating_sub(NAME + 2 + self.text).min(WIDEST);
        rows.iter().map(|row| self.line(row, room)).collect()
    }

    fn rows(&self) -> Vec<Row> {
        let StepReport { epoch, epochs, step, total_steps, epoch_step, epoch_steps, .. } = self.report;
        let share = |done: u64, all: u64| done as f64 / all.max(1) as f64;
        let left = duration(self.report.seconds_left);
        let whole = share(step, total_steps);
        let run = format!("{:>3.0}%  epoch {epoch} of {epochs}  {left} left", (100.0 * whole).floor());
        let part = match self.evaluating {
            Some([done, total]) => {
                (share(done as u64, total as u64), format!("evaluating {done} of {total}"))
            }
            None => {
                let (speed, waited) = (self.report.images_per_s, 100.0 * self.report.waited);
                let text = format!("{epoch_step}/{epoch_steps}  {speed:.0} img/s  data {waited:.0}%");
                (share(epoch_step, epoch_steps), text)
            }
        };
        let loss = format!("{:.3}  rate {}", self.report.loss, rate(self.report.lr));
        let mut rows = vec![
            Row { name: "run".into(), graph: Graph::Bar(whole), text: run },
            Row { name: "epoch".into(), graph: Graph::Bar(part.0), text: part.1 },
            Row {
                name: "loss".into(),
                graph: Graph::Curve(self.losses.values().to_vec(), YELLOW),
                text: loss,
            },
        ];
        rows.push(self.accuracy());
        rows
    }

    /// Row of the split that counts: the one that was evaluated last. Before the first evaluation, of the training
    /// images of the epoch.
    fn accuracy(&self) -> Row {
        let Some(last) = self.passes.last() else {
            let text = match self.report.score {
                Some(score) => format!("{score} so far"),
                None => format!("{:.1}% so far", 100.0 * self.report.top1),
            };
            return Row { name: "train".into(), graph: Graph::Curve(Vec::new(), GREEN), text };
        };
        let same = || self.passes.iter().filter(|pass| pass.split == last.split);
        let values: Vec<f64> = same().map(|pass| pass.score.map_or(pass.top1, |score| score.value)).collect();
        let best = Metrics::best(same());
        let text = format!("{}  best {}", score(last), score(best.unwrap_or(last)));
        Row { name: last.split.clone(), graph: Graph::Curve(values, GREEN), text }
    }

    fn line(&self, row: &Row, room: usize) -> String {
        let name = format!("{:<NAME$}", row.name.chars().take(NAME - 1).collect::<String>());
        if room < NARROWEST {
            return format!("{name}{}", row.text);
        }
        let (graph, rest) = match &row.graph {
            Graph::Bar(share) => {
                let (full, rest) = self.letters.bar(*share, room);
                (self.paint(&full, CYAN), rest)
            }
            Graph::Curve(values, colour) => {
                let curve = self.letters.curve(values, room);
                let rest = " ".repeat(room - curve.chars().count());
                (self.paint(&curve, colour), rest)
            }
        };
        format!("{name}{graph}{rest}  {}", row.text)
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        match self.is_coloured && !text.is_empty() {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let mut view = View::new(Letters::Ascii, false);
        for step in 1..=30 {
            let report = StepReport::default().with(|report| {
                (report.epoch, report.epochs) = (3, 20);
                (report.step, report.total_steps) = (step + 20, 200);
                (report.epoch_step, report.epoch_steps) = (step % 10, 10);
                (report.loss, report.batch_loss) = (1.5, 3.0 / step as f64);
                (report.lr, report.images_per_s, report.seconds_left) = (0.05, 312.4, 725.0);
                report.waited = 0.013;
            });
            view.step(&report);
        }
        view
    }

    fn pass(split: &str, top1: f64) -> Metrics {
        Metrics::default().with(|metrics| (metrics.split, metrics.top1) = (split.to_owned(), top1))
    }

    #[test]
    fn the_view_says_where_the_training_stands() {
        let mut view = view();
        let lines = view.lines(79);
        assert_eq!(
            lines[0],
            "run    =========----------------------------   25%  epoch 3 of 20  12m 05s left"
        );
        assert!(lines[1].ends_with("  0/10  312 img/s  data 1%"), "{lines:?}");
        assert!(lines[2].starts_with("loss   ^") && lines[2].ends_with("  1.500  rate 0.0500"), "{lines:?}");
        assert!(lines[3].starts_with("train") && lines[3].ends_with("  0.0% so far"), "{lines:?}");
        for (split, top1) in [("train", 0.9), ("val", 0.25), ("ema", 0.3), ("val", 0.5), ("ema", 0.2)] {
            view.pass(&pass(split, top1));
        }
        view.evaluating(20, 400);
        let lines = view.lines(79);
        assert!(lines[1].ends_with("  evaluating 20 of 400"), "{lines:?}");
        assert!(
            lines[3].starts_with("ema    ^_  ") && lines[3].ends_with("  20.00%  best 30.00%"),
            "{lines:?}"
        );
    }

    #[test]
    fn every_width_is_kept_to_as_far_as_numbers_can_be_read() {
        for columns in 0..200 {
            let lines = view().lines(columns);
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.max(45), "{columns}: {lines:?}");
            // All bars and curves begin and end alike.
            let texts = lines.iter().map(|line| line.rfind("  ").is_some());
            assert!(texts.count() == 4);
        }
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let mut view = View { is_coloured: true, ..view() };
        assert!(view.lines(79)[0].contains("\u{1b}[36m=") && view.lines(79)[2].contains("\u{1b}[33m"));
        view.is_coloured = false;
        assert!(view.lines(79).iter().all(|line| !line.contains('\u{1b}')));
    }
}
