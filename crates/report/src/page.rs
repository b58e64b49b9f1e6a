//! A page of HTML that needs nothing else.

use std::fmt::Write as _;

use crate::Figure;
use crate::svg::escape;

/// Numbers in rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The heading.
    pub columns: Vec<String>,
    /// The rows, a cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// A page: figures, tables and words, in order. One file, no script, light and dark.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
    figures: Vec<(String, Figure)>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--ink:#1b1b1b;--soft:#595959;--grid:#dcdcdc}\
@media(prefers-color-scheme:dark){:root{--bg:#16181c;--ink:#ececec;--soft:#b0b0b0;--grid:#3a3d44}}\
body{background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
figure{margin:1.5rem 0}figure svg{max-width:100%;height:auto}figcaption{color:var(--soft)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .7rem;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}\
th:first-child,td:first-child{text-align:left}pre{overflow-x:auto;border:1px solid var(--grid);padding:.7rem}";

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), body: String::new(), figures: Vec::new() }
    }

    fn push(mut self, html: &str) -> Self {
        self.body.push_str(html);
        self.body.push('\n');
        self
    }

    /// A paragraph.
    pub fn text(self, text: &str) -> Self {
        let html = format!("<p>{}</p>", escape(text));
        self.push(&html)
    }

    /// A heading.
    pub fn heading(self, text: &str) -> Self {
        let html = format!("<h2>{}</h2>", escape(text));
        self.push(&html)
    }

    /// Code: text that is to be read as typed, such as a command or a file.
    pub fn verbatim(self, text: &str) -> Self {
        let html = format!("<pre>{}</pre>", escape(text));
        self.push(&html)
    }

    /// Statements, one a line.
    pub fn list(self, items: &[String]) -> Self {
        let items: String = items.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
        self.push(&format!("<ul>{items}</ul>"))
    }

    /// A figure; `name` is the stem of its own file ([`figures`](Self::figures)).
    pub fn figure(mut self, name: &str, figure: Figure, caption: &str) -> Self {
        let html = format!("<figure>{}<figcaption>{}</figcaption></figure>", figure.svg(), escape(caption));
        self.figures.push((name.to_owned(), figure));
        self.push(&html)
    }

    /// Numbers.
    pub fn table(self, table: &Table) -> Self {
        let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
        // Writing to a string does not fail.
        for column in &table.columns {
            let _ = write!(html, "<th scope=\"col\">{}</th>", escape(column));
        }
        html.push_str("</tr></thead><tbody>");
        for row in &table.rows {
            let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            let _ = writeln!(html, "<tr>{cells}</tr>");
        }
        html.push_str("</tbody></table></div>");
        self.push(&html)
    }

    /// Figures by name.
    pub fn figures(&self) -> impl Iterator<Item = (&str, &Figure)> {
        self.figures.iter().map(|(name, figure)| (name.as_str(), figure))
    }

    /// The page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>\n{}</main></body></html>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, LineChart, Series};

    #[test]
    fn nothing_is_fetched_and_nothing_runs() {
        let chart = LineChart::new("a < b & \"c\"", Axis::linear("x"), Axis::log("y"))
            .with(Series::new("<script>", [(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.0)]));
        let mut table = Table::new(&["<b>", "n"]);
        table.row(["<i>".to_owned(), "1".to_owned()]);
        let html = Page::new("<t>").figure("f", chart.figure(), "<c>").table(&table).text("<p>").html();
        assert!(!html.contains("<script") && !html.contains("<i>") && !html.contains("<b>"), "{html}");
        let addresses: Vec<_> = html.match_indices("http").collect();
        // The namespace is a name.
        assert_eq!(addresses.len(), html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
        assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    }
}
