//! Plain tables that fit 80 columns.

use residual_files::escaped;

/// Widest line, in characters.
pub(crate) const WIDTH: usize = 80;

/// Alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading. Where a row would be too wide, the widest text column is cut, `…` in place of
/// its middle; numbers are never cut.
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|&(title, align)| (title.to_owned(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, a cell for each column. Control characters are escaped, so that what is cut and aligned is what is
    /// seen.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| escaped(&cell).to_string()).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// The lines, heading first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let heading: Vec<String> = self.columns.iter().map(|(title, _)| title.clone()).collect();
        std::iter::once(&heading).chain(&self.rows).map(|row| self.set(row, &widths)).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(title, _)| title.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + gaps).saturating_sub(WIDTH);
        while excess > 0 {
            let text = (0..widths.len()).filter(|&i| self.columns[i].1 == Align::Left);
            let Some(widest) = text.max_by_key(|&i| widths[i]).filter(|&i| widths[i] > 3) else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        widths
    }

    fn set(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).zip(&self.columns).map(|((cell, &width), (_, align))| {
            let cell = shorten(cell, width);
            match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

/// `text` in at most `width` characters, `…` in place of its middle where it is longer.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let front = kept.div_ceil(2);
    let head: String = text.chars().take(front).collect();
    let tail: String = text.chars().skip(count - (kept - front)).collect();
    format!("{head}…{tail}")
}

/// `11689512` as `11,689,512`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1814073344` as `1.814 G`: four figures and a unit.
pub(crate) fn short_count(number: u64) -> String {
    let value = number as f64;
    let (scaled, unit) = match number {
        0..1_000 => return number.to_string(),
        1_000..1_000_000 => (value / 1e3, "k"),
        1_000_000..1_000_000_000 => (value / 1e6, "M"),
        1_000_000_000..1_000_000_000_000 => (value / 1e9, "G"),
        _ => (value / 1e12, "T"),
    };
    let decimals = if scaled < 10.0 {
        3
    } else if scaled < 100.0 {
        2
    } else {
        1
    };
    format!("{scaled:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(11_689_512), "11,689,512");
        assert_eq!(short_count(999), "999");
        assert_eq!(short_count(1_814_073_344), "1.814 G");
        assert_eq!(short_count(40_551_040), "40.55 M");
    }

    #[test]
    fn wide_text_is_cut_and_numbers_are_kept() {
        let mut table = Table::new(&[("name", Align::Left), ("number", Align::Right)]);
        table.row(["a".repeat(200), thousands(123_456_789)]);
        table.row(["b".to_owned(), "7".to_owned()]);
        let lines = table.lines();
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines[1].ends_with("123,456,789") && lines[1].contains('…'), "{lines:?}");
        assert_eq!(lines[1].chars().count(), WIDTH);
    }

    #[test]
    fn control_characters_are_escaped_before_they_are_counted() {
        let mut table = Table::new(&[("name", Align::Left), ("number", Align::Right)]);
        table.row(["\u{1b}[2J".repeat(50), "1".to_owned()]);
        table.row(["a\nb".to_owned(), "2".to_owned()]);
        let lines = table.lines();
        assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\n'])), "{lines:?}");
        assert_eq!(lines[1].chars().count(), WIDTH);
        assert!(lines[2].starts_with("a\\nb "), "{lines:?}");
    }

    #[test]
    fn shortening_keeps_both_ends() {
        assert_eq!(shorten("abcdefgh", 5), "ab…gh");
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("äöüäöü", 4), "äö…ü");
        assert_eq!(shorten("abc", 0), "…");
    }
}
