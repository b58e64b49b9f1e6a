//! Points without lines.

use crate::axis::{Fitted, value_text};
use crate::figure::Frame;
use crate::svg::Drawing;
use crate::{Axis, Figure};

const PLOT: [f64; 2] = [370.0, 250.0];
const ORIGIN: [f64; 2] = [66.0, 66.0];
const RIGHT: f64 = 34.0;
/// Width of a digit, at the most.
const DIGIT: f64 = 8.0;
/// Points that are drawn, at the most.
const MOST: usize = 2000;

/// Scatter plot: a point for each pair of numbers, with a dashed line to compare with.
///
/// ```
/// use residual_report::{Axis, ScatterChart};
/// let chart = ScatterChart::new("Age", Axis::linear("true"), Axis::linear("predicted"), [(30.0, 28.0)]);
/// assert_eq!(chart.with_diagonal().figure().svg().matches("<circle").count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct ScatterChart {
    title: String,
    x: Axis,
    y: Axis,
    points: Vec<(f64, f64)>,
    guide: Guide,
}

/// Dashed line of a scatter plot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Guide {
    None,
    Diagonal,
    Level(f64),
}

impl ScatterChart {
    /// Plot of points; of more than 2,000 of them as many are drawn, from all over the list.
    pub fn new(
        title: impl Into<String>,
        x: Axis,
        y: Axis,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        Self { title: title.into(), x, y, points: points.into_iter().collect(), guide: Guide::None }
    }

    /// Gives both axes the same range, and draws the line on which both numbers are the same.
    pub fn with_diagonal(self) -> Self {
        Self { guide: Guide::Diagonal, ..self }
    }

    /// Draws a level line.
    pub fn with_level(self, value: f64) -> Self {
        Self { guide: Guide::Level(value), ..self }
    }

    /// Number of points that are drawn of so many.
    pub fn drawn(points: usize) -> usize {
        points.min(MOST)
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let drawn: Vec<(f64, f64)> =
            self.points.iter().copied().filter(|&(x, y)| self.x.has(x) && self.y.has(y)).collect();
        let [x, y] = self.ranges(&drawn);
        let longest = y.ticks.iter().map(|&tick| y.text(tick).chars().count()).max().unwrap_or(0);
        let left = ORIGIN[0].max(14.0 + DIGIT * longest as f64);
        let ends = [x.low, x.high];
        let frame = Frame { x, y, origin: [left, ORIGIN[1]], size: PLOT };
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        frame.draw(&mut drawing, [&self.x, &self.y], false);
        let line = match self.guide {
            Guide::None => None,
            Guide::Diagonal => Some(ends),
            Guide::Level(value) => Some([value; 2]),
        };
        if let Some([first, last]) = line {
            drawing.path(&[frame.at(ends[0], first), frame.at(ends[1], last)], "line s6", "6 4");
        }
        let opacity = (6.0 / (drawn.len().max(1) as f64).sqrt()).clamp(0.2, 0.8);
        let count = Self::drawn(drawn.len());
        for index in 0..count {
            let (x, y) = drawn[index * drawn.len() / count];
            let [x, y] = frame.at(x, y);
            drawing.raw(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"f0\" fill-opacity=\"{opacity:.2}\"/>"
            ));
        }
        let size = [left + PLOT[0] + RIGHT, frame.bottom() + 50.0];
        Figure::new(&self.title, &self.description(&drawn), size, drawing)
    }

    fn ranges(&self, drawn: &[(f64, f64)]) -> [Fitted; 2] {
        let (xs, ys) = (drawn.iter().map(|point| point.0), drawn.iter().map(|point| point.1));
        match self.guide {
            Guide::Diagonal => [self.x.fit(xs.clone().chain(ys.clone())), self.y.fit(xs.chain(ys))],
            Guide::Level(value) => [self.x.fit(xs), self.y.fit(ys.chain([value]))],
            Guide::None => [self.x.fit(xs), self.y.fit(ys)],
        }
    }

    fn description(&self, drawn: &[(f64, f64)]) -> String {
        let range = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) =
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (v.min(l), v.max(h)));
            format!("{} to {}", value_text(low), value_text(high))
        };
        let (x, y) = (&self.x.label, &self.y.label);
        if drawn.is_empty() {
            return format!("{y} against {x}: no points.");
        }
        let [xs, ys] =
            [range(&mut drawn.iter().map(|point| point.0)), range(&mut drawn.iter().map(|point| point.1))];
        format!("{y} against {x}: {} points, {x} from {xs}, {y} from {ys}.", drawn.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> ScatterChart {
        ScatterChart::new("Age", Axis::linear("true"), Axis::linear("predicted"), points)
    }

    #[test]
    fn many_points_are_thinned_and_others_left_out() {
        let many = chart((0..10_000).map(|i| (f64::from(i), f64::from(i % 7))).collect());
        assert_eq!(many.figure().svg().matches("<circle").count(), ScatterChart::drawn(10_000));
        let odd = chart(vec![(f64::NAN, 1.0), (2.0, f64::INFINITY), (1.0, 2.0)]).with_level(0.0).figure();
        let svg = odd.svg();
        assert_eq!((svg.matches("<circle").count(), svg.matches("NaN").count()), (1, 0));
        assert!(chart(Vec::new()).with_diagonal().figure().svg().contains("no points"));
    }

    #[test]
    fn a_diagonal_goes_from_corner_to_corner() {
        let svg = chart(vec![(0.0, 100.0), (50.0, 60.0)]).with_diagonal().figure().svg();
        assert!(svg.contains("M66.0 316.0") && svg.contains("436.0 66.0"), "{svg}");
    }
}
