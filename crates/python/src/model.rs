//! A network with its weights.

use std::path::PathBuf;

use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyDict;
use residual::weights::{Architecture, Model as Weighted, OpenOptions, StateDict, Tensor, Weights};

use crate::arrays::{array, not_contiguous};
use crate::error::Error;
use crate::inspection::architecture;
use crate::json;

/// A network with its weights.
#[pyclass(frozen, module = "residual_nets._native")]
pub(crate) struct Model {
    pub(crate) model: Weighted,
}

#[pymethods]
impl Model {
    /// Opens a checkpoint, the folder of a run or bare weights.
    #[staticmethod]
    #[pyo3(signature = (path, network=None, key=None))]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        network: Option<&Bound<'_, PyAny>>,
        key: Option<String>,
    ) -> PyResult<Self> {
        let network = network.map(architecture).transpose()?;
        let options = OpenOptions::default().with(|options| (options.network, options.key) = (network, key));
        Ok(Self { model: py.detach(|| Weighted::open_with(path, &options)).map_err(Error::from)? })
    }

    /// Takes tensors by name, whose network is recognised unless it is named.
    #[staticmethod]
    #[pyo3(signature = (tensors, network=None))]
    fn from_tensors(
        py: Python<'_>,
        tensors: Vec<(String, PyReadonlyArrayDyn<'_, f32>)>,
        network: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let network: Option<Architecture> = network.map(architecture).transpose()?;
        let mut state = StateDict::new();
        for (name, values) in tensors {
            let shape = values.shape().to_vec();
            let values = values.as_slice().map_err(not_contiguous)?.to_vec();
            let tensor = Tensor::new(shape, values).map_err(Error::from)?;
            state.insert(name, tensor).map_err(Error::from)?;
        }
        let model = py.detach(|| Weighted::of_weights(Weights::Plain(state), network.as_ref()));
        Ok(Self { model: model.map_err(Error::from)? })
    }

    /// Takes a network from the bytes of its file.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: PyBackedBytes) -> PyResult<Self> {
        Ok(Self { model: py.detach(|| Weighted::from_bytes(&bytes)).map_err(Error::from)? })
    }

    /// The model with other fields of its preprocessing.
    fn with_preprocess(&self, fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fields = json::of_python(fields)?;
        let preprocess = json::merged("preprocess", self.model.preprocess(), fields, &[])?;
        Ok(Self { model: self.model.clone().with_preprocess(preprocess).map_err(Error::from)? })
    }

    /// The model with names of its classes.
    fn with_classes(&self, names: Vec<String>) -> PyResult<Self> {
        Ok(Self { model: self.model.clone().with_classes(names).map_err(Error::from)? })
    }

    /// Writes the model as a checkpoint.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        Ok(py.detach(|| self.model.save(path)).map_err(Error::from)?)
    }

    /// Tensors by the names of the scheme that named them in the file, as copies.
    fn tensors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = PyDict::new(py);
        let state = self.model.to_state_dict(self.model.naming()).map_err(Error::from)?;
        for (name, tensor) in state.into_tensors() {
            let (shape, values) = tensor.into_parts();
            tensors.set_item(name, array(py, values, &shape)?)?;
        }
        Ok(tensors)
    }

    /// Specification as a dict.
    #[getter]
    fn spec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, self.model.spec())
    }

    /// Names of the classes in the file.
    #[getter]
    fn classes(&self) -> Option<Vec<String>> {
        self.model.classes().map(<[String]>::to_vec)
    }

    /// Temperature of a calibrated network.
    #[getter]
    fn temperature(&self) -> Option<f64> {
        self.model.temperature()
    }

    /// False for a backbone.
    #[getter]
    fn has_head(&self) -> bool {
        self.model.has_head()
    }

    /// The file that was opened.
    #[getter]
    fn file(&self) -> Option<PathBuf> {
        self.model.file().map(ToOwned::to_owned)
    }

    /// Notes of what was recognised.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.model.notes()
    }
}
