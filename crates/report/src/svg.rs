//! Writing SVG.

use std::fmt::{Display, Write as _};

/// Text as XML has it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The elements of a drawing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawing {
    body: String,
}

impl Drawing {
    pub(crate) fn raw(&mut self, element: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.body, "{element}");
    }

    /// `anchor` is start, middle or end.
    pub(crate) fn text(&mut self, [x, y]: [f64; 2], anchor: &str, class: &str, text: &str) {
        let text = escape(text);
        self.raw(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
        ));
    }

    pub(crate) fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], class: &str) {
        self.raw(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// A line through points.
    pub(crate) fn path(&mut self, points: &[[f64; 2]], class: &str, dashes: &str) {
        if points.is_empty() {
            return;
        }
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.raw(format_args!("<path d=\"{}\" class=\"{class}\"{dashes}/>", steps(points)));
    }

    /// A filled area.
    pub(crate) fn area(&mut self, points: &[[f64; 2]], class: &str) {
        if points.len() > 2 {
            self.raw(format_args!("<path d=\"{}Z\" class=\"{class}\"/>", steps(points)));
        }
    }

    pub(crate) fn into_body(self) -> String {
        self.body
    }
}

fn steps(points: &[[f64; 2]]) -> String {
    let mut d = String::new();
    for (index, [x, y]) in points.iter().enumerate() {
        let _ = write!(d, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    d
}
