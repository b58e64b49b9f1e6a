//! A finished figure.

use crate::axis::Fitted;
use crate::svg::{Drawing, escape};
use crate::{Axis, theme};

/// Beginning of every figure's file, by which a program knows its own figures again.
pub const SVG_START: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" role=\"img\"";

/// A figure: a drawing that stands alone, and the numbers in it.
#[derive(Clone, Debug)]
pub struct Figure {
    title: String,
    description: String,
    size: [f64; 2],
    body: String,
}

impl Figure {
    pub(crate) fn new(title: &str, description: &str, size: [f64; 2], drawing: Drawing) -> Self {
        let (title, description) = (title.to_owned(), description.to_owned());
        Self { title, description, size, body: drawing.into_body() }
    }

    /// The title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Several figures side by side as one, wrapped to `columns`.
    pub fn panels(title: &str, columns: usize, figures: &[Figure]) -> Self {
        let columns = columns.clamp(1, figures.len().max(1));
        let width = figures.iter().map(|figure| figure.size[0]).fold(0.0, f64::max);
        let height = figures.iter().map(|figure| figure.size[1]).fold(0.0, f64::max);
        let mut drawing = Drawing::default();
        for (index, figure) in figures.iter().enumerate() {
            let (x, y) = ((index % columns) as f64 * width, (index / columns) as f64 * height);
            drawing.raw(format_args!("<g transform=\"translate({x:.1} {y:.1})\">{}</g>", figure.body));
        }
        let rows = figures.len().div_ceil(columns);
        let all: Vec<_> =
            figures.iter().map(|figure| format!("{}: {}", figure.title, figure.description)).collect();
        Self::new(title, &all.join(" "), [columns as f64 * width, rows as f64 * height], drawing)
    }

    /// The figure as the text of an SVG file.
    pub fn svg(&self) -> String {
        let [width, height] = self.size;
        format!(
            "{SVG_START} viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\"><title>{}</title><desc>{}</desc><style>{}</style>\
             <rect class=\"bg\" width=\"100%\" height=\"100%\"/>{}</svg>\n",
            escape(&self.title),
            escape(&self.description),
            theme::STYLE,
            self.body
        )
    }
}

/// The rectangle that data are drawn in, in pixels, with its axes.
pub(crate) struct Frame {
    pub(crate) x: Fitted,
    pub(crate) y: Fitted,
    /// Left, top.
    pub(crate) origin: [f64; 2],
    /// Width, height.
    pub(crate) size: [f64; 2],
}

impl Frame {
    /// Place at which a point is drawn.
    pub(crate) fn at(&self, x: f64, y: f64) -> [f64; 2] {
        let ([left, top], [width, height]) = (self.origin, self.size);
        [left + self.x.place(x) * width, top + (1.0 - self.y.place(y)) * height]
    }

    /// The lowest place.
    pub(crate) fn bottom(&self) -> f64 {
        self.origin[1] + self.size[1]
    }

    /// Grid, ticks and labels; without ticks along x where `categories` stand there.
    pub(crate) fn draw(&self, drawing: &mut Drawing, axes: [&Axis; 2], categories: bool) {
        let ([left, top], [width, height]) = (self.origin, self.size);
        let bottom = top + height;
        for &tick in &self.y.ticks {
            let y = self.at(self.x.low, tick)[1];
            drawing.line([left, y], [left + width, y], "grid");
            drawing.text([left - 6.0, y + 4.0], "end", "soft", &self.y.text(tick));
        }
        for &tick in self.x.ticks.iter().filter(|_| !categories) {
            let x = self.at(tick, self.y.low)[0];
            drawing.line([x, bottom], [x, bottom + 4.0], "axis");
            drawing.text([x, bottom + 18.0], "middle", "soft", &self.x.text(tick));
        }
        drawing.line([left, bottom], [left + width, bottom], "axis");
        drawing.text([left + width / 2.0, bottom + 38.0], "middle", "", &axes[0].label);
        drawing.text([left - 44.0, top - 12.0], "start", "", &axes[1].label);
    }
}
