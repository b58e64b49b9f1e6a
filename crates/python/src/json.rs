//! Values as JSON, the way in which specifications, recipes and metrics cross over.

use pyo3::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;

/// Python object of a value: dicts, lists, numbers, text.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| Error::value("answer", error))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// JSON value of a Python object that `json.dumps` takes.
pub(crate) fn of_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    let text: String = object.py().import("json")?.call_method1("dumps", (object,))?.extract()?;
    Ok(serde_json::from_str(&text).map_err(|error| Error::value("argument", error))?)
}

/// A value with fields of a dict in place of its own, those of the fields that `nested` names field by field; `None`
/// for a field is its absence.
///
/// # Errors
/// [`Error::Value`] for unknown fields and values of another type.
pub(crate) fn merged<T: Serialize + DeserializeOwned>(
    what: &'static str,
    value: &T,
    fields: Value,
    nested: &[&str],
) -> Result<T, Error> {
    let wrong = |error: serde_json::Error| Error::value(what, error);
    let Value::Object(fields) = fields else { return Err(Error::value(what, "expected a dict")) };
    let Value::Object(mut own) = serde_json::to_value(value).map_err(wrong)? else {
        return Err(Error::value(what, "has no fields"));
    };
    for (name, given) in fields {
        match (nested.contains(&name.as_str()), given, own.get_mut(&name)) {
            (true, Value::Object(given), Some(Value::Object(own))) => own.extend(given),
            (_, Value::Null, _) => drop(own.remove(&name)),
            (_, given, _) => drop(own.insert(name, given)),
        }
    }
    serde_json::from_value(Value::Object(own)).map_err(wrong)
}

/// Value of an object without fields.
#[cfg(feature = "train")]
pub(crate) fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}
