//! Networks looked at: their specification and their rows.

use std::path::PathBuf;

use pyo3::prelude::*;
use residual::arch::{NetSpec, TaskKind, shape::flow};
use residual::weights::Architecture;
use serde_json::Value;

use crate::error::Error;
use crate::json;

/// The network that Python names: a family member, a file, or a specification as a dict.
pub(crate) fn architecture(network: &Bound<'_, PyAny>) -> PyResult<Architecture> {
    if let Ok(name) = network.extract::<PathBuf>() {
        let name = name.to_str().ok_or_else(|| Error::value("network", "a name that is no text"))?;
        return Ok(Architecture::from(name));
    }
    let spec: Result<NetSpec, _> = serde_json::from_value(json::of_python(network)?);
    Ok(Architecture::from(&spec.map_err(|error| Error::value("network", error))?))
}

/// Specification of the network that Python names.
pub(crate) fn spec_of(network: &Bound<'_, PyAny>) -> PyResult<NetSpec> {
    Ok(architecture(network)?.specification().map_err(Error::from)?)
}

/// `single-label`, `multi-label` or `regression`.
pub(crate) fn task_name(kind: TaskKind) -> String {
    kind.to_string().replace(' ', "-")
}

/// Specification of a network as a dict.
#[pyfunction]
pub(crate) fn specification<'py>(network: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    json::to_python(network.py(), &spec_of(network)?)
}

/// Rows of a network with shapes, parameters and operations, as a dict.
#[pyfunction]
#[pyo3(signature = (network, input=None))]
pub(crate) fn summary<'py>(
    network: &Bound<'py, PyAny>,
    input: Option<[usize; 3]>,
) -> PyResult<Bound<'py, PyAny>> {
    let spec = spec_of(network)?;
    let flow = flow(&spec, input.unwrap_or(spec.input)).map_err(Error::from)?;
    let mut found = serde_json::to_value(&flow).map_err(|error| Error::value("summary", error))?;
    if let Value::Object(fields) = &mut found {
        fields.insert("model".to_owned(), spec.name.clone().into());
        fields.insert("task".to_owned(), task_name(spec.task.kind()).into());
    }
    json::to_python(network.py(), &found)
}
