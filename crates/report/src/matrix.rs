//! Matrices of numbers as coloured cells.

use std::fmt::Write as _;

use crate::svg::{Drawing, escape};
use crate::{Figure, Scale, number, theme};

/// Width and height of the drawing at the least, with what stands around the cells.
const WIDTH: f64 = 460.0;
/// Sides of the whole grid, at the most.
const GRID: [f64; 2] = [330.0, 330.0];
/// Cells up to this number a side have their text in them.
const WRITTEN: usize = 12;
/// Names up to this number a side are written out.
const NAMED: usize = 30;
/// Letters of a name, at the most.
const LETTERS: usize = 14;

/// Matrix of numbers, a coloured cell each: confusion, or the gradient of every block over time.
///
/// ```
/// use residual_report::MatrixChart;
/// let names = ["cat".to_owned(), "dog".to_owned()];
/// let chart = MatrixChart::new("Confusion", names.clone(), names)
///     .axes("label", "answer")
///     .row(0, [Some(9.0), Some(1.0)])
///     .row(1, [Some(2.0), None]);
/// assert!(chart.figure().svg().contains("cat, dog: 1"));
/// ```
#[derive(Clone, Debug)]
pub struct MatrixChart {
    title: String,
    rows: Vec<String>,
    columns: Vec<String>,
    axes: [String; 2],
    scale: Scale,
    cells: Vec<Vec<Option<f64>>>,
}

impl MatrixChart {
    /// Matrix of empty cells with names of its rows and columns.
    pub fn new(
        title: impl Into<String>,
        rows: impl IntoIterator<Item = String>,
        columns: impl IntoIterator<Item = String>,
    ) -> Self {
        let (rows, columns) = (Vec::from_iter(rows), Vec::from_iter(columns));
        let cells = vec![vec![None; columns.len()]; rows.len()];
        Self { title: title.into(), rows, columns, axes: Default::default(), scale: Scale::Linear, cells }
    }

    /// Names what the rows are, and what the columns are.
    pub fn axes(self, rows: impl Into<String>, columns: impl Into<String>) -> Self {
        Self { axes: [rows.into(), columns.into()], ..self }
    }

    /// Colours by the logarithm.
    pub fn log(self) -> Self {
        Self { scale: Scale::Log, ..self }
    }

    /// Sets the cells of a row. What is beyond the rows and columns is left out.
    pub fn row(mut self, row: usize, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        if let Some(cells) = self.cells.get_mut(row) {
            cells.iter_mut().zip(values).for_each(|(cell, value)| *cell = value);
        }
        self
    }

    /// Draws it.
    pub fn figure(&self) -> Figure {
        let mut drawing = Drawing::default();
        drawing.text([16.0, 26.0], "start", "title", &self.title);
        let longest =
            |names: &[String]| names.iter().map(|name| short(name).chars().count()).max().unwrap_or(0) as f64;
        let named = [self.rows.len() <= NAMED, self.columns.len() <= NAMED];
        let left = if named[0] { 30.0 + 7.5 * longest(&self.rows) } else { 34.0 };
        let above = if named[1] { 70.0 + 5.5 * longest(&self.columns) } else { 62.0 };
        // The names of columns lean to the right.
        let right = if named[1] { 8.0 + 4.7 * longest(&self.columns) } else { 20.0 };
        let side = ((WIDTH - left - right).min(GRID[0]) / self.columns.len().max(1) as f64).min(44.0);
        let height = (GRID[1] / self.rows.len().max(1) as f64).min(side.max(16.0));
        let place = Place { origin: [left, above], cell: [side, height] };
        self.cells(&mut drawing, &place);
        self.names(&mut drawing, &place, named);
        let bottom = above + height * self.rows.len() as f64;
        self.legend(&mut drawing, [left, bottom + 26.0]);
        Figure::new(&self.title, &self.description(), [WIDTH, bottom + 66.0], drawing)
    }

    /// Least and greatest value that has a colour.
    fn range(&self) -> Option<[f64; 2]> {
        let values = self.cells.iter().flatten().flatten().copied().filter(|&value| self.has(value));
        let zero = if self.scale == Scale::Linear { Some(0.0) } else { None };
        values.chain(zero).fold(None, |range, value| {
            let [low, high] = range.unwrap_or([value; 2]);
            Some([low.min(value), high.max(value)])
        })
    }

    fn has(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// Place of a value between the ends of the range.
    fn share(&self, value: f64, [low, high]: [f64; 2]) -> f64 {
        match self.scale {
            _ if high <= low => 0.5,
            Scale::Linear => (value - low) / (high - low),
            Scale::Log => (value / low).ln() / (high / low).ln(),
        }
    }

    fn cells(&self, drawing: &mut Drawing, place: &Place) {
        let Some(range) = self.range() else { return };
        let written = self.rows.len().max(self.columns.len()) <= WRITTEN && self.scale == Scale::Linear;
        for (row, cells) in self.cells.iter().enumerate() {
            for (column, value) in cells.iter().enumerate() {
                let Some(value) = value.filter(|&value| self.has(value)) else { continue };
                let ([x, y], [width, height]) = (place.at(row, column), place.cell);
                let share = self.share(value, range);
                let text = number(value, 3);
                drawing.raw(format_args!(
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}, {}: {text}</title></rect>",
                    width + 0.2,
                    height + 0.2,
                    theme::heat(share),
                    escape(&self.rows[row]),
                    escape(&self.columns[column]),
                ));
                if written && value != 0.0 {
                    let ink = if share < 0.5 { "#fff" } else { "#000" };
                    drawing.raw(format_args!(
                        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"fill:{ink}\" class=\"cell\">{text}</text>",
                        x + width / 2.0,
                        y + height / 2.0 + 4.5,
                    ));
                }
            }
        }
    }

    fn names(&self, drawing: &mut Drawing, place: &Place, named: [bool; 2]) {
        let ([left, above], [width, height]) = (place.origin, place.cell);
        drawing.text(
            [16.0, 46.0],
            "start",
            "soft",
            &format!("rows: {}; columns: {}", self.axes[0], self.axes[1]),
        );
        for (row, name) in self.rows.iter().enumerate().filter(|_| named[0]) {
            let y = above + (row as f64 + 0.5) * height + 4.0;
            drawing.text([left - 6.0, y], "end", "", &short(name));
        }
        for (column, name) in self.columns.iter().enumerate().filter(|_| named[1]) {
            let (x, y) = (left + (column as f64 + 0.5) * width + 4.0, above - 6.0);
            let text = escape(&short(name));
            drawing
                .raw(format_args!("<text transform=\"translate({x:.1} {y:.1}) rotate(-50)\">{text}</text>"));
        }
        let (bottom, right) =
            (above + height * self.rows.len() as f64, left + width * self.columns.len() as f64);
        if !named[0] {
            drawing.text([left - 6.0, above + 10.0], "end", "soft", "1");
            drawing.text([left - 6.0, bottom], "end", "soft", &self.rows.len().to_string());
        }
        if !named[1] {
            let ends =
                [self.columns.first(), self.columns.last()].map(|name| name.map_or("", String::as_str));
            drawing.text([left, above - 6.0], "start", "soft", ends[0]);
            drawing.text([right, above - 6.0], "end", "soft", ends[1]);
        }
    }

    /// Scale of the colours.
    fn legend(&self, drawing: &mut Drawing, [left, top]: [f64; 2]) {
        const STEPS: usize = 40;
        let Some([low, high]) = self.range() else { return };
        for step in 0..STEPS {
            drawing.raw(format_args!(
                "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"4.3\" height=\"10\" fill=\"{}\"/>",
                left + 4.0 * step as f64,
                theme::heat(step as f64 / (STEPS - 1) as f64),
            ));
        }
        drawing.text([left, top + 26.0], "start", "soft", &number(low, 3));
        drawing.text([left + 4.0 * STEPS as f64, top + 26.0], "end", "soft", &number(high, 3));
    }

    fn description(&self) -> String {
        let mut text = format!("Rows: {}. Columns: {}.", self.axes[0], self.axes[1]);
        if let Some([low, high]) = self.range() {
            // Writing to a string does not fail.
            let _ = write!(text, " Values from {} to {}.", number(low, 3), number(high, 3));
        }
        text
    }
}

/// Place and size of the cells.
struct Place {
    origin: [f64; 2],
    cell: [f64; 2],
}

impl Place {
    fn at(&self, row: usize, column: usize) -> [f64; 2] {
        [self.origin[0] + column as f64 * self.cell[0], self.origin[1] + row as f64 * self.cell[1]]
    }
}

/// Name cut to what fits.
fn short(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("name {index}")).collect()
    }

    #[test]
    fn cells_are_written_where_there_are_few() {
        let chart = |side: usize| {
            let row = (0..side).map(|column| Some(column as f64 + 1.0));
            MatrixChart::new("m", names(side), names(side)).row(0, row).figure().svg()
        };
        assert_eq!(chart(10).matches("class=\"cell\"").count(), 10);
        assert_eq!(chart(40).matches("class=\"cell\"").count(), 0);
        assert!(!chart(40).contains(">name 20<") && chart(40).contains("name 0, name 20: 21"));
    }

    #[test]
    fn what_has_no_colour_has_no_cell() {
        let chart = MatrixChart::new("m", names(1), names(4)).log();
        let svg = chart.clone().row(0, [Some(0.0), Some(f64::NAN), None, Some(2.0)]).figure().svg();
        assert_eq!(svg.matches("name 0, ").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(!MatrixChart::new("m", [], []).figure().svg().contains("NaN"));
    }
}
