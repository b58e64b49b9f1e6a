//! Networks looked at: their rows, and the gradient at their blocks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use residual::arch::{NetSpec, shape::flow};
use residual::study::{GradientFlow, Study, Watch};
use residual::weights::Architecture;
use serde_json::Value;

use crate::error::Error;
use crate::signals::Signals;
use crate::{json, recipe};

/// The network that Python names: a family member, a file, or a specification as a dict.
pub(crate) fn architecture(network: &Bound<'_, PyAny>) -> PyResult<Architecture> {
    if let Ok(name) = network.extract::<PathBuf>() {
        let name = name.to_str().ok_or_else(|| Error::value("network", "a name that is no text"))?;
        return Ok(Architecture::from(name));
    }
    let spec: Result<NetSpec, _> = serde_json::from_value(json::of_python(network)?);
    Ok(Architecture::from(&spec.map_err(|error| Error::value("network", error))?))
}

fn spec_of(network: &Bound<'_, PyAny>) -> PyResult<NetSpec> {
    Ok(architecture(network)?.specification().map_err(Error::from)?)
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
        fields.insert("task".to_owned(), spec.task.to_string().into());
    }
    json::to_python(network.py(), &found)
}

/// What is probed for [`gradflow`].
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Probed<'py> {
    network: Option<Bound<'py, PyAny>>,
    weights: Vec<PathBuf>,
    no_norm: bool,
    steps: u64,
    fields: Bound<'py, PyAny>,
}

/// Gradient at every block of a network and of its plain and its pre-activation twin, a dict for each.
#[pyfunction]
pub(crate) fn gradflow<'py>(py: Python<'py>, probed: Probed<'py>) -> PyResult<Bound<'py, PyAny>> {
    let network = probed.network.as_ref().map(spec_of).transpose()?;
    let base = recipe::for_studies();
    let recipe = json::merged("recipe", &base, json::of_python(&probed.fields)?, &["data"])?;
    let weights: Vec<PathBuf> =
        probed.weights.iter().map(std::path::absolute).collect::<Result<_, _>>().map_err(Error::from)?;
    let (no_norm, steps) = (probed.no_norm, probed.steps);
    let study = Study::Gradflow(GradientFlow { model: None, network, weights, no_norm, steps, recipe });
    let rows = py.detach(|| -> PyResult<_> {
        let folder = tempfile::tempdir().map_err(Error::from)?;
        let out = folder.path().join("gradflow");
        let stop = AtomicBool::new(false);
        let mut looking = Looking { stop: &stop, signals: Signals::new(), raised: None };
        let ended = study.run(&out, &mut looking, &stop);
        if let Some(raised) = looking.raised {
            return Err(raised);
        }
        let _outcome = ended.map_err(Error::from)?;
        Ok(study.rows(&out).map_err(Error::from)?)
    })?;
    json::to_python(py, &rows)
}

/// Observer of a study that stops it at Ctrl-C.
struct Looking<'s> {
    stop: &'s AtomicBool,
    signals: Signals,
    raised: Option<PyErr>,
}

impl Watch for Looking<'_> {
    fn progress(&mut self, _: f64, _: &str) {
        if let Err(raised) = self.signals.check() {
            self.raised.get_or_insert(raised);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
