//! A number for every point of a square, as colours and contours.

use crate::axis::value_text;
use crate::svg::Drawing;
use crate::{Figure, theme};

const SIDE: f64 = 300.0;
const ORIGIN: [f64; 2] = [50.0, 60.0];
const LEVELS: usize = 9;

/// A field on a square grid around the origin.
#[derive(Clone, Debug)]
pub struct FieldChart {
    title: String,
    quantity: String,
    /// Half the side.
    reach: f64,
    rows: Vec<Vec<f64>>,
    range: [f64; 2],
}

impl FieldChart {
    /// `rows[j][i]` is the value at `x = reach (2i / (n - 1) - 1)`, `y` alike with `j`. Colours show the
    /// logarithm over `range`, so that several charts can be compared; what is beyond has the colours of its ends.
    pub fn new(
        title: impl Into<String>,
        quantity: impl Into<String>,
        reach: f64,
        rows: Vec<Vec<f64>>,
        range: [f64; 2],
    ) -> Self {
        Self { title: title.into(), quantity: quantity.into(), reach, rows, range }
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        self.cells(&mut drawing);
        for level in self.levels() {
            self.contour(&mut drawing, level);
        }
        let [cx, cy] = self.pixel(0.5, 0.5);
        drawing.raw(format_args!(
            "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\" fill=\"#fff\" stroke=\"#000\"/>"
        ));
        self.scales(&mut drawing);
        Figure::new(&self.title, &self.description(), [430.0, 420.0], drawing)
    }

    /// The place of `(u, v)` in `[0, 1]^2`.
    fn pixel(&self, u: f64, v: f64) -> [f64; 2] {
        [ORIGIN[0] + u * SIDE, ORIGIN[1] + (1.0 - v) * SIDE]
    }

    /// Between 0 and 1 by the logarithm.
    fn share(&self, value: f64) -> f64 {
        let [low, high] = self.range.map(|bound| bound.max(f64::MIN_POSITIVE).ln());
        if !value.is_finite() || high <= low {
            return if value.is_finite() { 0.0 } else { 1.0 };
        }
        ((value.max(f64::MIN_POSITIVE).ln() - low) / (high - low)).clamp(0.0, 1.0)
    }

    fn cells(&self, drawing: &mut Drawing) {
        let n = self.rows.len().max(1) as f64;
        let side = SIDE / n;
        for (j, row) in self.rows.iter().enumerate() {
            for (i, &value) in row.iter().enumerate() {
                let [x, y] = self.pixel(i as f64 / n, (j + 1) as f64 / n);
                drawing.raw(format_args!(
                    "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{}\"/>",
                    side + 0.3,
                    side + 0.3,
                    theme::heat(self.share(value))
                ));
            }
        }
    }

    /// Evenly by the logarithm.
    fn levels(&self) -> Vec<f64> {
        let [low, high] = self.range.map(|bound| bound.max(f64::MIN_POSITIVE).ln());
        (1..=LEVELS).map(|i| (low + (high - low) * i as f64 / (LEVELS + 1) as f64).exp()).collect()
    }

    /// The line where the field is `level`, cell by cell between four values (marching squares).
    fn contour(&self, drawing: &mut Drawing, level: f64) {
        let n = self.rows.len();
        let mut path = String::new();
        for (j, pair) in self.rows.windows(2).enumerate() {
            for i in 0..pair[0].len().min(pair[1].len()).saturating_sub(1) {
                let corners = [
                    (i, j, pair[0][i]),
                    (i + 1, j, pair[0][i + 1]),
                    (i + 1, j + 1, pair[1][i + 1]),
                    (i, j + 1, pair[1][i]),
                ];
                let crossings: Vec<[f64; 2]> = (0..4)
                    .filter_map(|k| self.crossing(corners[k], corners[(k + 1) % 4], level, n))
                    .collect();
                for ends in crossings.chunks_exact(2) {
                    let ([x1, y1], [x2, y2]) = (ends[0], ends[1]);
                    path += &format!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}");
                }
            }
        }
        if !path.is_empty() {
            drawing.raw(format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"#000\" stroke-opacity=\".55\"/>"
            ));
        }
    }

    /// Point at which an edge of a cell crosses a level.
    fn crossing(
        &self,
        a: (usize, usize, f64),
        b: (usize, usize, f64),
        level: f64,
        n: usize,
    ) -> Option<[f64; 2]> {
        if !(a.2.is_finite() && b.2.is_finite()) || (a.2 < level) == (b.2 < level) {
            return None;
        }
        let t = (level - a.2) / (b.2 - a.2);
        let centre = |from: usize, to: usize| (from as f64 + t * (to as f64 - from as f64) + 0.5) / n as f64;
        Some(self.pixel(centre(a.0, b.0), centre(a.1, b.1)))
    }

    fn scales(&self, drawing: &mut Drawing) {
        let bottom = ORIGIN[1] + SIDE;
        for (share, value) in [(0.0, -self.reach), (0.5, 0.0), (1.0, self.reach)] {
            let [x, y] = self.pixel(share, share);
            drawing.text([x, bottom + 18.0], "middle", "soft", &value_text(value));
            drawing.text([ORIGIN[0] - 6.0, y + 4.0], "end", "soft", &value_text(value));
        }
        drawing.text([ORIGIN[0] + SIDE / 2.0, bottom + 38.0], "middle", "", "first and second direction");
        let left = ORIGIN[0] + SIDE + 14.0;
        for step in 0..40 {
            let y = bottom - f64::from(step + 1) * SIDE / 40.0;
            let fill = theme::heat(f64::from(step) / 39.0);
            drawing.raw(format_args!(
                "<rect x=\"{left:.1}\" y=\"{y:.1}\" width=\"12\" height=\"{:.1}\" fill=\"{fill}\"/>",
                SIDE / 40.0 + 0.3
            ));
        }
        drawing.text([left + 16.0, bottom], "start", "soft", &value_text(self.range[0]));
        let beyond = self.rows.iter().flatten().any(|&value| value > self.range[1]);
        let top = if beyond { "≥ " } else { "" };
        drawing.text(
            [left + 16.0, ORIGIN[1] + 10.0],
            "start",
            "soft",
            &format!("{top}{}", value_text(self.range[1])),
        );
        drawing.text([left - 4.0, ORIGIN[1] - 10.0], "start", "", &self.quantity);
    }

    fn description(&self) -> String {
        let values = || self.rows.iter().flatten().copied().filter(|value| value.is_finite());
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let middle = self.rows.get(self.rows.len() / 2).and_then(|row| row.get(row.len() / 2));
        let middle = middle.map_or("nothing".to_owned(), |&value| value_text(value));
        format!(
            "{}: {middle} in the middle, from {} to {} over the plane.",
            self.quantity,
            value_text(low),
            value_text(high)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cone of height `height` over 5x5 points, its tip 1.
    fn svg(height: f64, range: [f64; 2]) -> String {
        let far = |index: usize| (index as f64 - 2.0).abs();
        let row = |j: usize| (0..5).map(|i| 1.0 + height * far(i).max(far(j)) / 2.0).collect();
        let chart = FieldChart::new("cone", "loss", 1.0, (0..5).map(row).collect(), range);
        chart.figure().svg()
    }

    #[test]
    fn a_contour_is_closed_around_a_tip() {
        let svg = svg(9.0, [1.0, 10.0]);
        let levels = svg.matches("<path").count();
        assert_eq!(levels, LEVELS);
        // Every level crosses 4 or more of the cells around the tip, once each but at corners.
        let path = svg.split("<path d=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let ends: Vec<&str> = path.split(['M', 'L']).filter(|end| !end.is_empty()).collect();
        assert!(ends.iter().all(|end| ends.iter().filter(|other| *other == end).count() == 2), "{path}");
    }

    #[test]
    fn what_is_beyond_the_range_is_said() {
        assert!(svg(9.0, [1.0, 5.0]).contains("≥ 5"));
        assert!(!svg(9.0, [1.0, 10.0]).contains('≥'));
    }
}
