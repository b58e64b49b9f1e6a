//! Gradient at the blocks of networks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use residual::study::{GradientFlow, Study, Watch};

use crate::error::Error;
use crate::inspection::spec_of;
use crate::signals::Signals;
use crate::{json, recipe};

/// Networks, weights and images that [`gradflow`] probes.
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
