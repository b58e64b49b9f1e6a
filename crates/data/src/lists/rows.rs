//! Lines of a list.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use residual_arch::TaskKind;

use super::columns::{Columns, Role, key};
use super::find::{Found, Head};
use super::kind::ListKind;
use super::lines::{LineNumbers, Lines};
use crate::answers::{Given, answer};
use crate::split_name::split_name;
use crate::{Error, OpenOptions, Split};

/// The longest path of a list, in bytes: more than any system takes.
const LONGEST_PATH: usize = 1 << 16;
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 1 << 10;

/// An image of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Line, counted from 1.
    pub(super) line: u32,
    pub(super) path: String,
    /// Place in [`Rows::labels`].
    pub(super) label: u32,
    pub(super) split: Option<Split>,
}

/// Images of a list in their order, and the different labels in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) labels: Vec<String>,
    /// Names of the columns of the labels.
    pub(super) columns: Vec<String>,
    /// True where these names say nothing of labels.
    pub(super) guessed: bool,
    places: HashMap<String, u32>,
}

/// Reads a list.
///
/// # Errors
/// [`Error::ListColumns`] where the columns cannot be told; [`Error::List`] with the line for a line that says no path
/// or no label.
pub(super) fn read(path: &Path, text: &str, options: &OpenOptions) -> Result<Rows, Error> {
    let columns = &options.columns;
    let mut reader = Reader { file: path, task: options.task, rows: Rows::default() };
    reader.rows.columns = label_names(columns, Some("label"));
    match ListKind::of(path, text) {
        ListKind::Separated(separator) => reader.table(text, separator, columns)?,
        ListKind::Spaced => reader.spaced(text)?,
        ListKind::JsonLines => reader.objects(text, columns)?,
    }
    Ok(reader.rows)
}

struct Reader<'a> {
    file: &'a Path,
    task: TaskKind,
    rows: Rows,
}

impl Reader<'_> {
    fn table(&mut self, text: &str, separator: u8, columns: &Columns) -> Result<(), Error> {
        let mut lines = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut numbers = LineNumbers::new(text);
        let file = self.file;
        let mut read = |record: &mut csv::StringRecord| {
            // Of what the reader counts, lines that end in `\r` alone are none.
            let place = lines.position().byte() as usize;
            let more = lines.read_record(record);
            let line = numbers.of(place);
            match more {
                Ok(more) => Ok(more.then_some(line)),
                Err(error) => Err(Error::List { file: file.into(), line, reason: error.to_string() }),
            }
        };
        let (mut first, mut record) = (csv::StringRecord::new(), csv::StringRecord::new());
        let Some(first_line) = read(&mut first)? else { return Ok(()) };
        let mut next = read(&mut record)?;
        let found = self.columns_of(&first, &record, columns)?;
        if !found.header {
            self.record(&first, &found, first_line)?;
        }
        while let Some(line) = next {
            self.record(&record, &found, line)?;
            next = read(&mut record)?;
        }
        Ok(())
    }

    /// Columns by the first two lines, of which the second may be empty.
    fn columns_of(
        &mut self,
        first: &csv::StringRecord,
        second: &csv::StringRecord,
        columns: &Columns,
    ) -> Result<Found, Error> {
        let [first, second] = [first, second].map(|record| record.iter().collect::<Vec<&str>>());
        let head = Head { first: &first, second: &second };
        let found = head.find(columns, self.task);
        let found = found.ok_or_else(|| self.columns_unclear(&first, head.help(columns)))?;
        if found.header {
            self.rows.columns = found.labels.iter().map(|&at| first[at].to_owned()).collect();
            self.rows.guessed = found.guessed;
        }
        Ok(found)
    }

    fn record(&mut self, record: &csv::StringRecord, found: &Found, line: u64) -> Result<(), Error> {
        let field = |at: usize, name: &str| {
            record.get(at).ok_or_else(|| {
                let reason = format!("{} columns, the {name} is in column {}", record.len(), at + 1);
                self.at(line, reason)
            })
        };
        let path = field(found.path, "path")?;
        let labels = found.labels.iter().map(|&at| field(at, "label")).collect::<Result<Vec<_>, _>>()?;
        let split = match found.split {
            Some(at) => Some(self.split(field(at, "split")?, line)?),
            None => None,
        };
        let label = match (self.task, labels.as_slice()) {
            (TaskKind::SingleLabel, &[label]) => label.to_owned(),
            (_, labels) => {
                let given: Vec<Given<'_>> = labels.iter().map(|&label| Given::Text(label.into())).collect();
                self.answer(&given, line)?
            }
        };
        self.push(line, path, &label, split)
    }

    /// Text of what is known of an image.
    fn answer(&self, given: &[Given<'_>], line: u64) -> Result<String, Error> {
        answer(self.task, &self.rows.columns, given).map_err(|reason| self.at(line, reason))
    }

    fn spaced(&mut self, text: &str) -> Result<(), Error> {
        for (number, line) in Lines::new(text) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let parts = line.rsplit_once(char::is_whitespace);
            let (path, label) =
                parts.ok_or_else(|| self.at(number, "expected a path, a space and a label"))?;
            let label = match self.task {
                TaskKind::SingleLabel => label.to_owned(),
                _ => self.answer(&[Given::Text(label.into())], number)?,
            };
            self.push(number, path.trim_end(), &label, None)?;
        }
        Ok(())
    }

    fn objects(&mut self, text: &str, columns: &Columns) -> Result<(), Error> {
        for (number, line) in Lines::new(text) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let object: Map<String, Value> = serde_json::from_str(line)
                .map_err(|error| self.at(number, format!("no JSON object: {error}")))?;
            let value = |role| {
                key(role, columns, |name| object.contains_key(name)).map(|name| (name, object.get(name)))
            };
            let labels = label_names(columns, value(Role::Label).map(|(name, _)| name));
            let given: Option<Vec<&Value>> = labels.iter().map(|name| object.get(name)).collect();
            let (Some((_, Some(path))), Some(given)) =
                (value(Role::Path), given.filter(|given| !given.is_empty()))
            else {
                let found: Vec<&str> = object.keys().map(String::as_str).collect();
                let help = "name them, as in --columns path=photo,label=breed";
                return Err(self.columns_unclear(&found, help.to_owned()));
            };
            let path = path.as_str().ok_or_else(|| self.at(number, "the path is no text"))?;
            let label = match (self.task, given.as_slice()) {
                (TaskKind::SingleLabel, &[label]) => self.scalar(label, &labels[0], number)?,
                (_, given) => self.json_answer(&labels, given, number)?,
            };
            let split = match value(Role::Split) {
                Some((name, Some(split))) => Some(self.split(&self.scalar(split, name, number)?, number)?),
                Some((name, None)) => return Err(self.at(number, format!("`{name}` is missing"))),
                None => None,
            };
            self.push(number, path, &label, split)?;
        }
        Ok(())
    }

    fn json_answer(&mut self, labels: &[String], given: &[&Value], line: u64) -> Result<String, Error> {
        let of_value = |(name, value): (&String, &&Value)| {
            let reason = || self.at(line, format!("`{name}` is neither text, a number nor a list of them"));
            Given::of_json(value).ok_or_else(reason)
        };
        let given = labels.iter().zip(given).map(of_value).collect::<Result<Vec<_>, _>>()?;
        if self.rows.columns != labels {
            self.rows.columns = labels.to_vec();
        }
        self.answer(&given, line)
    }

    /// Text of a value of JSON: text, a whole number, true or false.
    fn scalar(&self, value: &Value, name: &str, line: u64) -> Result<String, Error> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Array(_) => {
                Err(self.at(
                line,
                format!("`{name}` is a list; help: give an image one label, or train for several (--task multi-label)"),
            ))
            }
            _ => Err(self.at(line, format!("`{name}` is neither text nor a whole number"))),
        }
    }

    fn split(&self, text: &str, line: u64) -> Result<Split, Error> {
        let found = split_name(text.as_bytes()).filter(|name| name.decoration.is_empty());
        let unknown = || self.at(line, format!("`{}` is no split; help: use train, val or test", cut(text)));
        found.map(|name| name.split).ok_or_else(unknown)
    }

    fn push(&mut self, line: u64, path: &str, label: &str, split: Option<Split>) -> Result<(), Error> {
        let label = label.trim();
        match (path.len(), label.len()) {
            (0, _) => return Err(self.at(line, "the path is empty")),
            (_, 0) if self.task.is_single_label() => return Err(self.at(line, "the label is empty")),
            (length, _) if length > LONGEST_PATH => {
                return Err(
                    self.at(line, format!("a path of {length} bytes, expected {LONGEST_PATH} at most"))
                );
            }
            (_, length) if length > LONGEST_LABEL && self.task.is_single_label() => {
                return Err(
                    self.at(line, format!("a label of {length} bytes, expected {LONGEST_LABEL} at most"))
                );
            }
            _ if path.contains("://") => {
                return Err(self.at(line, format!("{} is an address; help: download the images", cut(path))));
            }
            _ => {}
        }
        let line = u32::try_from(line).map_err(|_| self.at(line, "more lines than can be counted"))?;
        let label = self.rows.place(label);
        self.rows.rows.push(Row { line, path: path.to_owned(), label, split });
        Ok(())
    }

    fn at(&self, line: u64, reason: impl Into<String>) -> Error {
        Error::List { file: self.file.into(), line, reason: reason.into() }
    }

    fn columns_unclear(&self, found: &[&str], help: String) -> Error {
        let shown = found.iter().take(12).map(|name| cut(name)).collect();
        Error::ListColumns { file: self.file.into(), found: shown, help: cut_to(&help, 400) }
    }
}

impl Rows {
    fn place(&mut self, label: &str) -> u32 {
        if let Some(&place) = self.places.get(label) {
            return place;
        }
        let place = self.labels.len() as u32;
        self.labels.push(label.to_owned());
        self.places.insert(label.to_owned(), place);
        place
    }
}

/// Names of the columns of labels: those that were asked for, or the one that was found.
fn label_names(columns: &Columns, found: Option<&str>) -> Vec<String> {
    match columns.labels.as_slice() {
        [] => found.or(columns.label.as_deref()).map(str::to_owned).into_iter().collect(),
        names => names.to_vec(),
    }
}

/// The first characters of a text, for a message.
fn cut(text: &str) -> String {
    cut_to(text, 60)
}

fn cut_to(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}
