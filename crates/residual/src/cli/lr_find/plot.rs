//! The smoothed loss over the rates, in characters.

use residual::train::Range;

/// Columns and rows of the plot.
const SIZE: [usize; 2] = [64, 12];

/// Multiple of the first loss above which a plot is cut.
const HIGHEST: f64 = 1.3;

/// Lines of a plot of the smoothed loss, 80 columns wide at most: the rates along a logarithmic axis.
pub(super) fn lines(range: &Range) -> Vec<String> {
    let [columns, rows] = SIZE;
    let (Some(first), Some(last)) = (range.points.first(), range.points.last()) else { return Vec::new() };
    let top = HIGHEST * first.smoothed;
    let bottom = range.points.iter().map(|point| point.smoothed).fold(top, f64::min);
    let mut cells = vec![vec![' '; columns]; rows];
    let width = (last.lr / first.lr).ln().max(f64::MIN_POSITIVE);
    for point in &range.points {
        let along = (point.lr / first.lr).ln() / width;
        let column = ((columns - 1) as f64 * along).round() as usize;
        let down = (top - point.smoothed.min(top)) / (top - bottom).max(f64::MIN_POSITIVE);
        let row = ((rows - 1) as f64 * down).round() as usize;
        cells[row.min(rows - 1)][column.min(columns - 1)] = '*';
    }
    let label = |row: usize| match row {
        0 => format!("{top:8.3}"),
        _ if row + 1 == rows => format!("{bottom:8.3}"),
        _ => " ".repeat(8),
    };
    let line =
        |(row, cells): (usize, Vec<char>)| format!("{} |{}", label(row), String::from_iter(cells).trim_end());
    let mut lines: Vec<String> = cells.into_iter().enumerate().map(line).collect();
    lines.push(format!("{} +{}", " ".repeat(8), "-".repeat(columns)));
    let (from, to) = (format!("{:.0e}", first.lr), format!("{:.0e}", last.lr));
    lines.push(format!("{}{from}{to:>width$}", " ".repeat(10), width = columns - from.len()));
    lines
}
