//! Lines through points.

use crate::figure::Frame;
use crate::svg::Drawing;
use crate::theme::{colour, dashes};
use crate::{Axis, Figure};

/// Width and height that data are drawn in.
const WIDE: [f64; 2] = [620.0, 300.0];
/// Size of a chart that is read on a phone.
const NARROW: [f64; 2] = [370.0, 220.0];
/// Width on its right.
const RIGHT: f64 = 34.0;
/// Width of a digit, at the most.
const DIGIT: f64 = 8.0;
const ORIGIN: [f64; 2] = [66.0, 66.0];
const LEGEND_LINE: f64 = 20.0;

/// Line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    deviations: Vec<f64>,
    style: Option<(usize, usize)>,
}

impl Series {
    /// A line through points.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().collect();
        Self { name: name.into(), points, deviations: Vec::new(), style: None }
    }

    /// A band of a deviation around each point.
    pub fn with_deviations(self, deviations: impl IntoIterator<Item = f64>) -> Self {
        Self { deviations: deviations.into_iter().collect(), ..self }
    }

    /// A colour and dashes by number, where lines belong together.
    pub fn with_style(self, colour: usize, dashes: usize) -> Self {
        Self { style: Some((colour, dashes)), ..self }
    }

    fn bounds(&self) -> impl Iterator<Item = f64> + '_ {
        let deviation = |i: usize| self.deviations.get(i).copied().filter(|d| d.is_finite()).unwrap_or(0.0);
        self.points.iter().enumerate().flat_map(move |(i, &(_, y))| [y - deviation(i), y + deviation(i), y])
    }
}

/// Lines over one pair of axes, with a legend.
#[derive(Clone, Debug)]
pub struct LineChart {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    plot: [f64; 2],
}

impl LineChart {
    /// A chart without lines.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new(), plot: WIDE }
    }

    /// Draws narrower, with letters that are read on a phone, where several charts stand side by side.
    pub fn narrow(self) -> Self {
        Self { plot: NARROW, ..self }
    }

    /// Adds a line.
    pub fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let drawn = |&(x, y): &(f64, f64)| self.x.has(x) && self.y.has(y);
        let xs = self.series.iter().flat_map(|series| series.points.iter().filter(|p| drawn(p)).map(|p| p.0));
        let y = self.y.fit(self.series.iter().flat_map(Series::bounds));
        let longest = y.ticks.iter().map(|&tick| y.text(tick).chars().count()).max().unwrap_or(0);
        let left = ORIGIN[0].max(14.0 + DIGIT * longest as f64);
        let frame = Frame { x: self.x.fit(xs), y, origin: [left, ORIGIN[1]], size: self.plot };
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        frame.draw(&mut drawing, [&self.x, &self.y], false);
        for (index, series) in self.series.iter().enumerate() {
            self.draw(&mut drawing, &frame, index, series);
        }
        let legend = frame.bottom() + 62.0;
        self.legend(&mut drawing, legend);
        let rows = self.series.len().div_ceil(self.legend_columns()) as f64;
        Figure::new(
            &self.title,
            &self.description(),
            [left + self.plot[0] + RIGHT, legend + rows * LEGEND_LINE],
            drawing,
        )
    }

    fn style(&self, index: usize, series: &Series) -> (String, &'static str) {
        let (hue, dash) = series.style.unwrap_or((index, index));
        (format!("{}", colour(hue)), dashes(dash))
    }

    fn draw(&self, drawing: &mut Drawing, frame: &Frame, index: usize, series: &Series) {
        let (hue, dashes) = self.style(index, series);
        let has = |&&(x, y): &&(f64, f64)| self.x.has(x) && self.y.has(y);
        let points: Vec<_> = series.points.iter().filter(has).map(|&(x, y)| frame.at(x, y)).collect();
        if !series.deviations.is_empty() {
            let edge = |sign: f64| {
                let both =
                    series.points.iter().zip(&series.deviations).filter(move |((x, y), d)| {
                        d.is_finite() && self.x.has(*x) && self.y.has(y + sign * *d)
                    });
                both.map(move |(&(x, y), d)| frame.at(x, y + sign * d))
            };
            let upper: Vec<_> = edge(1.0).collect();
            let band: Vec<_> =
                upper.into_iter().chain(edge(-1.0).collect::<Vec<_>>().into_iter().rev()).collect();
            drawing.area(&band, &format!("band f{hue}"));
        }
        drawing.path(&points, &format!("line s{hue}"), dashes);
        if points.len() <= 30 {
            for [x, y] in points {
                drawing.raw(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"f{hue}\"/>"));
            }
        }
    }

    /// Number of names side by side: those that are long stand alone.
    fn legend_columns(&self) -> usize {
        let longest = self.series.iter().map(|series| series.name.chars().count()).max();
        let letters = (self.plot[0] / 2.0 - 36.0) / 7.5;
        if longest.unwrap_or(0) as f64 > letters { 1 } else { 2 }
    }

    fn legend(&self, drawing: &mut Drawing, top: f64) {
        let columns = self.legend_columns();
        for (index, series) in self.series.iter().enumerate() {
            let x = ORIGIN[0] + (index % columns) as f64 * (self.plot[0] / 2.0 + 10.0);
            let y = top + (index / columns) as f64 * LEGEND_LINE;
            let (hue, dashes) = self.style(index, series);
            drawing.path(&[[x, y - 4.0], [x + 28.0, y - 4.0]], &format!("line s{hue}"), dashes);
            drawing.text([x + 36.0, y], "start", "", &series.name);
        }
    }

    /// Description in words: the ends of every line.
    fn description(&self) -> String {
        let value_text = crate::axis::value_text;
        let line = |series: &Series| match (series.points.first(), series.points.last()) {
            (Some(first), Some(last)) => format!(
                "{}: {} at {} to {} at {}.",
                series.name,
                value_text(first.1),
                value_text(first.0),
                value_text(last.1),
                value_text(last.0)
            ),
            _ => format!("{}: no points.", series.name),
        };
        let lines: Vec<_> = self.series.iter().map(line).collect();
        format!("{} against {}. {}", self.y.label, self.x.label, lines.join(" "))
    }
}
