//! Reliability diagrams.

use crate::figure::Frame;
use crate::svg::Drawing;
use crate::{Axis, Figure, number};

const SIZE: [f64; 2] = [460.0, 370.0];
const PLOT: [f64; 2] = [370.0, 250.0];
const ORIGIN: [f64; 2] = [66.0, 66.0];

/// Reliability diagram (Guo et al. 2017, figure 1): how often answers of a confidence are right, a bar a bin, and the
/// diagonal on which both are the same. Bins with few answers are pale.
///
/// ```
/// use residual_report::{ReliabilityChart, ReliabilityBar};
/// let bar = ReliabilityBar { low: 0.5, high: 1.0, count: 10, confidence: 0.8, accuracy: 0.6 };
/// assert!(ReliabilityChart::new("Reliability", [bar]).figure().svg().contains("10 answers"));
/// ```
#[derive(Clone, Debug)]
pub struct ReliabilityChart {
    title: String,
    bars: Vec<ReliabilityBar>,
}

/// Bar of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReliabilityBar {
    /// Lower end of the confidences.
    pub low: f64,
    /// Upper end of the confidences.
    pub high: f64,
    /// Number of answers.
    pub count: u64,
    /// Mean confidence of the answers.
    pub confidence: f64,
    /// Fraction of the answers that is right.
    pub accuracy: f64,
}

impl ReliabilityChart {
    /// Diagram of some bins.
    pub fn new(title: impl Into<String>, bars: impl IntoIterator<Item = ReliabilityBar>) -> Self {
        Self { title: title.into(), bars: bars.into_iter().collect() }
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let axes = [Axis::linear("confidence of the answer"), Axis::linear("fraction that is right")];
        let [x, y] = axes.each_ref().map(|axis| axis.fit([0.0, 1.0].into_iter()));
        let frame = Frame { x, y, origin: ORIGIN, size: PLOT };
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        frame.draw(&mut drawing, axes.each_ref(), false);
        let most = self.bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1) as f64;
        for bar in self.bars.iter().filter(|bar| bar.count > 0) {
            let ([left, top], [right, bottom]) = (frame.at(bar.low, bar.accuracy), frame.at(bar.high, 0.0));
            let opacity = 0.25 + 0.75 * (bar.count as f64 / most).sqrt();
            drawing.raw(format_args!(
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"f0\" fill-opacity=\"{opacity:.2}\">\
                 <title>{}</title></rect>",
                left + 0.5,
                right - left - 1.0,
                (bottom - top).max(1.0),
                words(bar),
            ));
            let [x, y] = frame.at(bar.confidence, bar.accuracy);
            drawing.raw(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"f1\"/>"));
        }
        drawing.path(&[frame.at(0.0, 0.0), frame.at(1.0, 1.0)], "line s6", "6 4");
        Figure::new(&self.title, &self.description(), SIZE, drawing)
    }

    fn description(&self) -> String {
        let bars: Vec<String> = self.bars.iter().filter(|bar| bar.count > 0).map(words).collect();
        format!("Fraction that is right against confidence. {}", bars.join(" "))
    }
}

fn words(bar: &ReliabilityBar) -> String {
    let [low, high, confidence, accuracy] =
        [bar.low, bar.high, bar.confidence, bar.accuracy].map(|share| number(100.0 * share, 3));
    format!("{} answers of {low}% to {high}%: {confidence}% sure, {accuracy}% right.", bar.count)
}
