//! A page of HTML that needs nothing else.

use std::fmt::Write as _;

use crate::svg::escape;
use crate::{Figure, Picture};

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

/// Fact at the head of a page: a name, its value, and a remark on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fact {
    /// Name.
    pub name: String,
    /// Value, in the fewest words.
    pub value: String,
    /// Remark, such as an interval; may be empty.
    pub remark: String,
}

impl Fact {
    /// Fact without a remark.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), remark: String::new() }
    }

    /// Adds a remark.
    pub fn remark(self, remark: impl Into<String>) -> Self {
        Self { remark: remark.into(), ..self }
    }
}

/// A page: figures, tables and words, in order. One file, no script, light and dark.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
    figures: Vec<(String, Figure)>,
}

/// Mark in every page's head, by which a program knows its own pages again.
pub const GENERATOR: &str = "<meta name=\"generator\" content=\"residual\">";

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--ink:#1b1b1b;--soft:#595959;--grid:#dcdcdc}\
@media(prefers-color-scheme:dark){:root{--bg:#16181c;--ink:#ececec;--soft:#b0b0b0;--grid:#3a3d44}}\
body{background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
figure{margin:1.5rem 0}.side{display:grid;gap:0 1.5rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,25rem),1fr))}\
.side figure{margin:.7rem 0}.side svg{width:100%}\
.pictures{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr))}\
.pictures figure{margin:0;font-size:.8rem;line-height:1.35;overflow-wrap:anywhere}\
.pictures img{width:100%;height:auto;image-rendering:pixelated;display:block;margin-bottom:.3rem}\
.facts{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));margin:1.5rem 0}\
.facts div{border-left:3px solid var(--grid);padding-left:.7rem}.facts dt{color:var(--soft);font-size:.85rem}\
.facts dd{margin:0;font-size:1.5rem;line-height:1.25}.facts p{margin:0;color:var(--soft);font-size:.8rem}\
summary{cursor:pointer;margin:.5rem 0}figure svg{max-width:100%;height:auto}figcaption{color:var(--soft)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .7rem;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}\
th:first-child,td:first-child{text-align:left}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--grid);padding:.7rem}";

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

    /// Figures side by side where there is room, and below each other on a phone: name, figure and caption of each.
    pub fn grid<'n>(mut self, figures: impl IntoIterator<Item = (&'n str, Figure, String)>) -> Self {
        let mut html = String::from("<div class=\"side\">");
        for (name, figure, caption) in figures {
            // Writing to a string does not fail.
            let _ = write!(
                html,
                "<figure>{}<figcaption>{}</figcaption></figure>",
                figure.svg(),
                escape(&caption)
            );
            self.figures.push((name.to_owned(), figure));
        }
        html.push_str("</div>");
        self.push(&html)
    }

    /// Facts side by side.
    pub fn facts(self, facts: &[Fact]) -> Self {
        let mut html = String::from("<dl class=\"facts\">");
        for fact in facts {
            let [name, value, remark] = [&fact.name, &fact.value, &fact.remark].map(|text| escape(text));
            let remark = if remark.is_empty() { remark } else { format!("<p>{remark}</p>") };
            // As above.
            let _ = write!(html, "<div><dt>{name}</dt><dd>{value}{remark}</dd></div>");
        }
        html.push_str("</dl>");
        self.push(&html)
    }

    /// Pictures side by side, as many as there is room for.
    pub fn pictures(self, pictures: &[Picture]) -> Self {
        let mut html = String::from("<div class=\"pictures\">");
        for picture in pictures {
            let lines: Vec<String> = picture.lines.iter().map(|line| escape(line)).collect();
            // As above.
            let _ = write!(
                html,
                "<figure><img src=\"{}\" alt=\"{}\" loading=\"lazy\"><figcaption>{}</figcaption></figure>",
                picture.address(),
                escape(&picture.description),
                lines.join("<br>")
            );
        }
        html.push_str("</div>");
        self.push(&html)
    }

    /// The body of another page behind a heading that is opened by a click.
    pub fn folded(mut self, heading: &str, page: Page) -> Self {
        let html = format!("<details><summary>{}</summary>\n{}</details>", escape(heading), page.body);
        self.figures.extend(page.figures);
        self.push(&html)
    }

    /// The body of another page, after what there is.
    pub fn with(mut self, page: Page) -> Self {
        self.body.push_str(&page.body);
        self.figures.extend(page.figures);
        self
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
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">{GENERATOR}\
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
