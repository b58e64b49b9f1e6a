//! Members of a shard that are a sample together.

use residual_arch::TaskKind;
use residual_files::json_memory;
use serde_json::Value;

use crate::Columns;
use crate::lists::{Role, column_key};
use crate::path::is_image;

/// The most bytes of a member that holds a label.
pub(super) const MAX_LABEL: u64 = 4096;
/// The most bytes of a member of JSON.
pub(super) const MAX_JSON: u64 = 1 << 20;

/// Endings of members that hold a label as text.
const LABELS: [&str; 3] = ["cls", "class", "label"];

/// Key and ending of a member: its name up to the first dot of the base name, and what follows that. `None` for names
/// without a dot and for hidden ones.
pub(super) fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].iter().position(|&byte| byte == b'.')?;
    (dot > base).then(|| (&name[..dot], &name[dot + 1..]))
}

/// Meaning of a member, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    Image(Rank),
    Text(Rank),
    Json,
}

/// Order of members of one meaning: the one that was asked for, the plain one, `mask.png` and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Asked,
    Plain,
    Other,
}

/// Rule of what members mean.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    columns: Columns,
    task: TaskKind,
}

impl Rule {
    pub(super) fn new(columns: &Columns) -> Self {
        Self { columns: columns.clone(), task: TaskKind::SingleLabel }
    }

    /// Rule for labels of a task: of several classes, a list of JSON is one label.
    pub(super) fn for_task(self, task: TaskKind) -> Self {
        Self { task, ..self }
    }

    /// Meaning of a member with this ending; `None` for what is of no matter.
    pub(super) fn meaning(&self, ending: &[u8]) -> Option<Meaning> {
        let ending = std::str::from_utf8(ending).ok()?;
        let asked =
            |name: &Option<String>| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(ending));
        let is_plain = !ending.contains('.');
        if asked(&self.columns.path) {
            return Some(Meaning::Image(Rank::Asked));
        }
        if asked(&self.columns.label) {
            return Some(Meaning::Text(Rank::Asked));
        }
        if is_image(format!("x.{ending}").as_bytes()) {
            return Some(Meaning::Image(if is_plain { Rank::Plain } else { Rank::Other }));
        }
        let ending = ending.to_ascii_lowercase();
        match LABELS.contains(&ending.as_str()) {
            true => Some(Meaning::Text(Rank::Plain)),
            false => (ending == "json").then_some(Meaning::Json),
        }
    }

    /// Label that a member of JSON holds: the field that was asked for or has a usual name, or the whole where it is a
    /// number or a text. `Ok(None)` where there is no such field.
    pub(super) fn json_label(&self, bytes: &[u8]) -> Result<Option<String>, String> {
        if json_memory(bytes) > 64 << 20 {
            return Err("has more elements than a sample's JSON can need".to_owned());
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("is no JSON: {error}"))?;
        let scalar = |value: &Value| match value {
            Value::Array(_) | Value::Number(_) if !self.task.is_single_label() => Ok(value.to_string()),
            other => scalar(other),
        };
        let Value::Object(fields) = &value else { return scalar(&value).map(Some) };
        let key = column_key(Role::Label, &self.columns, |name| fields.contains_key(name));
        match key.and_then(|key| fields.get(key)) {
            Some(Value::Null) | None => Ok(None),
            Some(label) => scalar(label).map(Some),
        }
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => text_label(text.as_bytes()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("has a label that is neither a whole number nor a text: {other:.40}")),
    }
}

/// Label of a member of text.
pub(super) fn text_label(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
    match text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}') {
        "" => Err("holds no label".to_owned()),
        // 007 is 7, as Python reads it.
        label => Ok(label.parse::<i64>().map_or_else(|_| label.to_owned(), |number| number.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_dot_of_the_base_name() {
        let split = |name: &str| {
            let (key, ending) = split_name(name.as_bytes())?;
            Some((String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(ending).into_owned()))
        };
        let pair = |key: &str, ending: &str| Some((key.to_owned(), ending.to_owned()));
        assert_eq!(split("a.b/000.left.jpg"), pair("a.b/000", "left.jpg"));
        assert_eq!(split("./000.jpg"), pair("000", "jpg"));
        for name in ["000", "a.b/000", "a/.jpg", "", "a/"] {
            assert_eq!(split(name), None, "{name}");
        }
    }

    #[test]
    fn endings_say_what_a_member_is() {
        let rule = Rule::default();
        assert_eq!(rule.meaning(b"JPG"), Some(Meaning::Image(Rank::Plain)));
        assert_eq!(rule.meaning(b"mask.png"), Some(Meaning::Image(Rank::Other)));
        assert_eq!(rule.meaning(b"cls"), Some(Meaning::Text(Rank::Plain)));
        assert_eq!(rule.meaning(b"json"), Some(Meaning::Json));
        assert_eq!(rule.meaning(b"txt"), None);
        let asked = Rule::new(&"path=mask.png,label=txt".parse().unwrap());
        assert_eq!(asked.meaning(b"mask.png"), Some(Meaning::Image(Rank::Asked)));
        assert_eq!(asked.meaning(b"txt"), Some(Meaning::Text(Rank::Asked)));
        assert!(Rank::Asked < Rank::Plain && Rank::Plain < Rank::Other);
    }

    #[test]
    fn labels_are_numbers_or_names() {
        for (text, label) in [("3", "3"), (" 007\n", "7"), ("cat\r\n", "cat"), ("-1", "-1"), ("1.5", "1.5")] {
            assert_eq!(text_label(text.as_bytes()).unwrap(), label);
        }
        assert!(text_label(b" \n").is_err() && text_label(b"\x80\x04K").is_err());
        let rule = Rule::default();
        let of = |text: &str| rule.json_label(text.as_bytes());
        assert_eq!(of(r#"{"label": 5, "class": "x"}"#).unwrap().as_deref(), Some("5"));
        assert_eq!(of(r#"{"caption": "x", "cls": "cat"}"#).unwrap(), None, "`cls` is an ending, not a field");
        assert_eq!(of("7").unwrap().as_deref(), Some("7"));
        assert_eq!(of(r#"{"label": null}"#).unwrap(), None);
        assert!(of(r#"{"label": [1]}"#).is_err() && of("{").is_err() && of(r#"{"label": 1.5}"#).is_err());
        let asked = Rule::new(&"label=breed".parse().unwrap());
        assert_eq!(asked.json_label(br#"{"label": 5, "breed": "pug"}"#).unwrap().as_deref(), Some("pug"));
    }
}
