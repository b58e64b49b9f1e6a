//! Answers about images that are more than one class: sets of classes, and numbers.
//!
//! While data are opened, an answer is a text in the place of a label; once all of them are known, it is decoded.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use residual_arch::TaskKind;
use serde_json::Value;

use crate::Error;
use crate::classes::sort_labels;

/// Between the classes or numbers of an answer's text; no name has it.
const BETWEEN: char = '\u{1f}';

/// Bytes of the longest text of an answer.
const LONGEST: usize = 1 << 16;

/// Value of a field as a list has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given<'a> {
    Text(Cow<'a, str>),
    List(Vec<String>),
}

impl Given<'_> {
    /// Value of JSON: text, a number, true or false, nothing, or a list of them.
    pub(crate) fn of_json(value: &Value) -> Option<Given<'static>> {
        let scalar = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        };
        match value {
            Value::Array(values) => values.iter().map(scalar).collect::<Option<_>>().map(Given::List),
            Value::Null => Some(Given::List(Vec::new())),
            other => scalar(other).map(|text| Given::Text(text.into())),
        }
    }
}

/// Text of an answer from the fields that say it, one for each of the `columns`. A single column of a multi-label task
/// holds names; several hold 0 or 1 each, and are classes, of which an image of the single-label task has one.
///
/// # Errors
/// The reason, as a sentence.
pub(crate) fn answer(kind: TaskKind, columns: &[String], fields: &[Given<'_>]) -> Result<String, String> {
    let text = match (kind, fields) {
        (TaskKind::MultiLabel, [field]) => names(field)?,
        (TaskKind::MultiLabel, fields) => flagged(columns, fields)?.join(&BETWEEN.to_string()),
        (TaskKind::SingleLabel, fields) => match flagged(columns, fields)?.as_slice() {
            [class] => (*class).to_owned(),
            [] => {
                let help = "images of several labels or none are --task multi-label";
                return Err(format!("none of the columns of classes is 1; help: {help}"));
            }
            [first, second, ..] => {
                return Err(format!(
                    "`{first}` and `{second}` are both 1; help: several labels an image are --task multi-label"
                ));
            }
        },
        (_, fields) => {
            let numbers = columns.iter().zip(fields).map(|(column, field)| number(column, field));
            let numbers = numbers.collect::<Result<Vec<f64>, _>>()?;
            numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(&BETWEEN.to_string())
        }
    };
    match text.len() {
        length if length > LONGEST => Err(format!("labels of {length} bytes, expected {LONGEST} at most")),
        _ => Ok(text),
    }
}

/// Names of a field, each once and sorted: `cat|dog`, also with `;` or `,`, or a JSON list.
fn names(field: &Given<'_>) -> Result<String, String> {
    let listed;
    let names: BTreeSet<&str> = match field {
        Given::Text(text) if text.trim_start().starts_with('[') => {
            let value = serde_json::from_str::<Value>(text).ok();
            listed = value.as_ref().and_then(Given::of_json);
            match &listed {
                Some(Given::List(names)) => names.iter().map(|name| name.trim()).collect(),
                _ => return Err("the labels are no list of JSON; help: write [\"cat\", \"dog\"]".to_owned()),
            }
        }
        Given::Text(text) => {
            text.split(['|', ';', ',']).map(str::trim).filter(|name| !name.is_empty()).collect()
        }
        Given::List(names) => names.iter().map(|name| name.trim()).collect(),
    };
    if names.iter().any(|name| name.is_empty() || name.contains(char::is_control)) {
        return Err("a label is empty or has a control character".to_owned());
    }
    Ok(names.into_iter().collect::<Vec<_>>().join(&BETWEEN.to_string()))
}

/// The only text of a field.
fn single<'a>(column: &str, field: &'a Given<'_>) -> Result<&'a str, String> {
    match field {
        Given::Text(text) => Ok(text.trim()),
        Given::List(texts) => match texts.as_slice() {
            [] => Ok(""),
            [text] => Ok(text.trim()),
            _ => Err(format!("`{column}` is a list; help: give a column for each value")),
        },
    }
}

/// Columns that are 1.
fn flagged<'a>(columns: &'a [String], fields: &[Given<'_>]) -> Result<Vec<&'a str>, String> {
    let mut names = Vec::new();
    for (column, field) in columns.iter().zip(fields) {
        if flag(column, field)? {
            names.push(column.as_str());
        }
    }
    Ok(names)
}

fn flag(column: &str, field: &Given<'_>) -> Result<bool, String> {
    match single(column, field)? {
        "1" | "1.0" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "0.0" | "false" | "False" | "FALSE" => Ok(false),
        other => Err(format!(
            "`{column}` is `{}`, expected 0 or 1; help: give a single column of names, or columns of 0 and 1",
            shown(other)
        )),
    }
}

fn number(column: &str, field: &Given<'_>) -> Result<f64, String> {
    let text = single(column, field)?;
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ if text.is_empty() => {
            Err(format!("`{column}` is empty, expected a number; help: leave the line out, or fill it in"))
        }
        _ => Err(format!("`{column}` is `{}`, expected a finite number", shown(text))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Answers of a data set, by the place of their texts.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) kind: TaskKind,
    /// Classes, or targets.
    outputs: usize,
    /// Places of the classes of each text.
    sets: Vec<Box<[u32]>>,
    /// Numbers of each text, `[texts][outputs]`.
    numbers: Vec<f64>,
}

/// Texts of answers, and what is known of them.
pub(crate) struct Texts<'a> {
    pub(crate) kind: TaskKind,
    /// Names of the columns that they come from.
    pub(crate) columns: &'a [String],
    pub(crate) texts: &'a [String],
    /// True for a text that a training image has.
    pub(crate) trained: Vec<bool>,
    /// Name of the data in errors.
    pub(crate) origin: &'a str,
}

impl Texts<'_> {
    /// Names of the outputs, and the answers. The classes are those of the training images, or of all where there are
    /// none; or all columns of 0 and 1.
    ///
    /// # Errors
    /// [`Error::UnknownClass`] for classes that the training images do not have.
    pub(crate) fn decode(self) -> Result<(Vec<String>, Answers), Error> {
        let Self { kind, columns, texts, trained, origin } = self;
        if kind == TaskKind::Regression {
            let numbers = texts.iter().flat_map(|text| text.split(BETWEEN));
            let numbers = numbers.map(|number| number.parse().unwrap_or(f64::NAN)).collect();
            let answers = Answers { kind, outputs: columns.len(), sets: Vec::new(), numbers };
            return Ok((columns.to_vec(), answers));
        }
        let of_text =
            |text: &String| text.split(BETWEEN).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let named: Vec<Vec<String>> = texts.iter().map(of_text).collect();
        let names = |is_wanted: &dyn Fn(usize) -> bool| {
            let wanted = named.iter().enumerate().filter(|(place, _)| is_wanted(*place));
            let mut names: Vec<String> = wanted.flat_map(|(_, names)| names.clone()).collect();
            sort_labels(&mut names);
            names
        };
        let classes = match columns {
            [_] if trained.contains(&true) => names(&|place| trained[place]),
            [_] => names(&|_| true),
            columns => columns.to_vec(),
        };
        let places: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
        let unknown: Vec<String> =
            names(&|_| true).into_iter().filter(|name| !places.contains_key(name.as_str())).collect();
        if !unknown.is_empty() {
            return Err(Error::UnknownClass { path: origin.to_owned(), unknown, known: classes });
        }
        let set = |names: &Vec<String>| {
            let mut set: Vec<u32> = names.iter().map(|name| places[name.as_str()]).collect();
            set.sort_unstable();
            set.into()
        };
        let sets = named.iter().map(set).collect();
        Ok((classes.clone(), Answers { kind, outputs: classes.len(), sets, numbers: Vec::new() }))
    }
}

impl Answers {
    /// First class of the text at a place; 0 where there is none, and for numbers.
    pub(crate) fn first(&self, place: usize) -> usize {
        self.sets.get(place).and_then(|set| set.first()).map_or(0, |&class| class as usize)
    }

    /// Targets of the text at a place, a number for each output.
    pub(crate) fn targets(&self, place: usize) -> Vec<f64> {
        if self.kind == TaskKind::Regression {
            return self.numbers[place * self.outputs..(place + 1) * self.outputs].to_vec();
        }
        let mut targets = vec![0.0; self.outputs];
        self.sets[place].iter().for_each(|&class| targets[class as usize] = 1.0);
        targets
    }

    /// Answers whose output `i` is now the one at `places[i]` of `outputs`.
    pub(crate) fn moved(&self, places: &[usize], outputs: usize) -> Self {
        let set = |set: &[u32]| {
            let mut set: Vec<u32> = set.iter().map(|&class| places[class as usize] as u32).collect();
            set.sort_unstable();
            set.into()
        };
        let mut numbers = vec![0.0; self.numbers.len()];
        for (row, old) in numbers.chunks_mut(outputs.max(1)).zip(self.numbers.chunks(self.outputs.max(1))) {
            places.iter().zip(old).for_each(|(&place, &value)| row[place] = value);
        }
        Self { kind: self.kind, outputs, sets: self.sets.iter().map(|one| set(one)).collect(), numbers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: TaskKind, columns: &[&str], fields: &[&str]) -> Result<String, String> {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let fields: Vec<Given<'_>> = fields.iter().map(|&text| Given::Text(text.into())).collect();
        answer(kind, &columns, &fields)
    }

    #[test]
    fn labels_are_sets_however_they_are_written() {
        let one = |text: &str| read(TaskKind::MultiLabel, &["label"], &[text]).unwrap();
        for text in ["cat|dog", "dog, cat", " dog ;cat;", "dog|cat|dog", "[\"dog\", \"cat\"]"] {
            assert_eq!(one(text), "cat\u{1f}dog", "{text}");
        }
        assert_eq!(one("[\"a,b\", \"c\"]"), "a,b\u{1f}c");
        assert_eq!((one("").as_str(), one("[]").as_str()), ("", ""));
        assert_eq!(read(TaskKind::MultiLabel, &["a", "b", "c"], &["1", "0", "true"]).unwrap(), "a\u{1f}c");
        let error = read(TaskKind::MultiLabel, &["a", "b"], &["1", "2"]).unwrap_err();
        assert!(error.starts_with("`b` is `2`, expected 0 or 1; help: "), "{error}");
        assert!(read(TaskKind::MultiLabel, &["a"], &["[1"]).is_err());
    }

    #[test]
    fn numbers_are_finite() {
        let of = |fields: &[&str]| read(TaskKind::Regression, &["x", "y"], fields);
        assert_eq!(of(&["1.50", "-2e3"]).unwrap(), "1.5\u{1f}-2000");
        assert!(of(&["1", ""]).unwrap_err().starts_with("`y` is empty, expected a number; help: "));
        for wrong in ["nan", "inf", "1,5", "cat"] {
            let said = of(&[wrong, "1"]).unwrap_err();
            assert_eq!(said, format!("`x` is `{wrong}`, expected a finite number"));
        }
    }

    #[test]
    fn answers_are_decoded_and_moved() {
        let texts = ["b\u{1f}a", "", "c"].map(str::to_owned);
        let columns = ["label".to_owned()];
        let of = |trained: [bool; 3]| {
            let trained = trained.to_vec();
            Texts { kind: TaskKind::MultiLabel, columns: &columns, texts: &texts, trained, origin: "x" }
                .decode()
        };
        let (classes, answers) = of([true; 3]).unwrap();
        assert_eq!(classes, ["a", "b", "c"]);
        assert_eq!(answers.targets(0), [1.0, 1.0, 0.0]);
        assert_eq!((answers.targets(1), answers.first(1), answers.first(2)), (vec![0.0; 3], 0, 2));
        assert_eq!(answers.moved(&[2, 0, 1], 4).targets(0), [1.0, 0.0, 1.0, 0.0]);
        let error = of([true, true, false]).unwrap_err().to_string();
        assert!(error.contains("c") && error.contains("not among the known classes"), "{error}");
        let numbers = ["1\u{1f}2", "3\u{1f}4"].map(str::to_owned);
        let columns = ["x", "y"].map(str::to_owned);
        let trained = vec![true; 2];
        let texts =
            Texts { kind: TaskKind::Regression, columns: &columns, texts: &numbers, trained, origin: "x" };
        let (names, answers) = texts.decode().unwrap();
        assert_eq!((names.as_slice(), answers.targets(1)), (&columns[..], vec![3.0, 4.0]));
        assert_eq!(answers.moved(&[1, 0], 2).targets(1), [4.0, 3.0]);
    }
}
