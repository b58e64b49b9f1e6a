//! Bars by name.

use crate::axis::value_text;
use crate::figure::Frame;
use crate::svg::Drawing;
use crate::{Axis, Figure};

const PLOT: [f64; 2] = [620.0, 280.0];
const ORIGIN: [f64; 2] = [66.0, 66.0];
/// Names are written out where there are at most so many.
const NAMED: usize = 12;

/// A bar for each name, with a line to compare with.
#[derive(Clone, Debug)]
pub struct BarChart {
    title: String,
    names: Axis,
    y: Axis,
    bars: Vec<(String, f64, usize)>,
    reference: Option<(String, f64)>,
}

impl BarChart {
    /// A chart without bars; `names` says what they are.
    pub fn new(title: impl Into<String>, names: impl Into<String>, y: Axis) -> Self {
        let names = Axis::linear(names);
        Self { title: title.into(), names, y: y.from_zero(), bars: Vec::new(), reference: None }
    }

    /// Adds a bar; bars of one `group` share a colour.
    pub fn with(mut self, name: impl Into<String>, value: f64, group: usize) -> Self {
        self.bars.push((name.into(), value, group));
        self
    }

    /// A level line.
    pub fn with_reference(self, name: impl Into<String>, value: f64) -> Self {
        Self { reference: Some((name.into(), value)), ..self }
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let count = self.bars.len().max(1) as f64;
        let values = self.bars.iter().map(|bar| bar.1).chain(self.reference.iter().map(|line| line.1));
        let x = Axis::linear("").fit([0.0, count].into_iter());
        let x = crate::axis::Fitted { low: 0.0, high: count, ..x };
        let frame = Frame { x, y: self.y.fit(values), origin: ORIGIN, size: PLOT };
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        frame.draw(&mut drawing, [&self.names, &self.y], true);
        for (index, (name, value, group)) in self.bars.iter().enumerate() {
            self.draw(&mut drawing, &frame, index, (name, *value, *group));
        }
        if let Some((name, value)) = &self.reference {
            let [x, y] = frame.at(0.0, *value);
            drawing.path(&[[x, y], [x + PLOT[0], y]], "line s6", "6 4");
            drawing.path(&[[x + PLOT[0] - 28.0, 50.0], [x + PLOT[0], 50.0]], "line s6", "6 4");
            drawing.text([x + PLOT[0] - 36.0, 54.0], "end", "", &format!("{name}: {}", value_text(*value)));
        }
        Figure::new(&self.title, &self.description(), [720.0, frame.bottom() + 58.0], drawing)
    }

    fn draw(
        &self,
        drawing: &mut Drawing,
        frame: &Frame,
        index: usize,
        (name, value, group): (&str, f64, usize),
    ) {
        let middle = index as f64 + 0.5;
        if self.y.has(value) {
            let ([x0, y0], [x1, y1]) = (frame.at(middle - 0.4, value), frame.at(middle + 0.4, 0.0));
            let hue = crate::theme::colour(group);
            drawing.raw(format_args!(
                "<rect x=\"{x0:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"f{hue}\"><title>{}: {}</title></rect>",
                y0.min(y1),
                x1 - x0,
                (y1 - y0).abs().max(0.5),
                crate::svg::escape(name),
                value_text(value)
            ));
        }
        let every = self.bars.len().div_ceil(NAMED).max(1);
        if index.is_multiple_of(every) {
            let [x, _] = frame.at(middle, 0.0);
            drawing.text([x, frame.bottom() + 18.0], "middle", "soft", name);
        }
    }

    fn description(&self) -> String {
        let bars: Vec<_> =
            self.bars.iter().map(|(name, value, _)| format!("{name}: {}", value_text(*value))).collect();
        let line = self.reference.iter().map(|(name, value)| format!(" {name}: {}.", value_text(*value)));
        format!("{}. {}.{}", self.y.label, bars.join(", "), line.collect::<String>())
    }
}
