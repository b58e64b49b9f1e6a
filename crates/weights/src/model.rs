//! A network with its weights, checked.

mod average;
mod notes;
mod opening;
mod quantised;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use residual_arch::{HeadPart, LayerPath, Naming, NetSpec, Network, Preprocess, TensorPath};

use crate::checkpoint::{Checkpoint, describe};
use crate::error::Error;
use crate::matching::match_tensors;
use crate::origin::Origin;
use crate::quantised::Quantised;
use crate::quantised_description::QUANTISED;
use crate::recognise::Recognised;
use crate::safetensors::Content;
use crate::scheme::scheme;
use crate::state_dict::StateDict;
use crate::temperature::{TEMPERATURE, check_temperature, temperature};
use crate::tensor::Tensor;
use crate::values::{BadValues, bad_values};

pub use average::Mean;

/// A network and its weights: a checked [`Network`], every one of its tensors by [`TensorPath`], the names of its
/// classes where they are known, and the preprocessing of its images.
///
/// Every tensor that the network has is there, with the network's shape, and no other. Names of files end here: what
/// computes with a model goes by paths.
///
/// ```
/// use residual_arch::families::family;
/// use residual_weights::{Model, Tensor};
///
/// let network = family("cifar_resnet8")?.with_classes(2).check([3, 32, 32])?;
/// let zeros = |shape: Vec<usize>| Tensor::new(shape.clone(), vec![0.0; shape.iter().product()]);
/// let tensors = network.tensors().map(|(path, tensor)| Ok((path, zeros(tensor.shape)?)));
/// let tensors = tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?;
/// let model = Model::new(network, tensors)?.with_classes(vec!["cat".into(), "dog".into()])?;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cats.safetensors");
/// model.save(&path)?;
/// let model = Model::open(&path)?;
/// assert_eq!(model.classes(), Some(&["cat".to_owned(), "dog".to_owned()][..]));
/// assert_eq!(model.tensor("head.linear.bias".parse()?).map(Tensor::shape), Some(&[2][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    network: Network,
    /// Tensors in the network's order.
    tensors: Vec<Entry>,
    by_path: HashMap<TensorPath, usize>,
    classes: Option<Vec<String>>,
    naming: Naming,
    file: Option<PathBuf>,
    origin: Origin,
    recognised: Option<Box<Recognised>>,
    /// False for a backbone whose file has no linear layer; then that is of one class, and zero.
    has_head: bool,
    /// Input channels for which a first convolution of three was adapted.
    adapted: Option<usize>,
    /// Who named the network of bare weights: `--model`, `config.json`; `None` where their tensors tell it.
    named_by: Option<&'static str>,
    /// Source of the preprocessing, in words.
    preprocess_source: String,
    /// Divisor of the logits of a calibrated network.
    temperature: Option<f64>,
    /// Line about a list of class names beside the file.
    class_list: Option<String>,
    /// Integers of a network in 8 bits.
    quantised: Option<Arc<Quantised>>,
}

/// A tensor of a model.
#[derive(Debug, Clone)]
struct Entry {
    path: TensorPath,
    /// Name in the file, for errors.
    name: String,
    tensor: Tensor,
}

impl Model {
    /// Takes the network out of a checkpoint; what the trainer keeps beside it is left out.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::Mismatch`], [`Error::Integers`]; [`Error::Metadata`] for a damaged temperature.
    pub fn from_checkpoint(trained: Checkpoint) -> Result<Self, Error> {
        let Checkpoint { spec, classes, tensors, .. } = trained;
        let temperature = temperature(&tensors)?;
        let model = match tensors.metadata.get(QUANTISED).cloned() {
            Some(text) => Self::of_quantised(&spec, tensors, &text)?,
            None => Self::from_state_dict(&spec, tensors)?,
        };
        Ok(Self { classes: (!classes.is_empty()).then_some(classes), temperature, ..model })
    }

    /// Takes tensors under their names in files, whichever scheme names them: exactly those of `spec`, but for the
    /// counters of batches, which are left out. Nothing is copied.
    ///
    /// # Errors
    /// [`Error::Shape`] for a network that cannot be built; [`Error::Mismatch`] with all that is missing, unexpected or
    /// misshapen; [`Error::Integers`]; [`Error::InEightBits`].
    pub fn from_state_dict(spec: &NetSpec, mut state: StateDict) -> Result<Self, Error> {
        if state.metadata.contains_key(QUANTISED) {
            return Err(Error::InEightBits);
        }
        let network = spec.check(spec.input)?;
        let origin = state.origin().clone();
        let naming = scheme(spec, &state);
        let expected = network.file_names(naming);
        let in_file: Vec<_> = expected.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
        match_tensors(&in_file, &state)?;
        let shapes = network.tensors().map(|(_, tensor)| tensor.shape);
        let entry = |(file, shape): (residual_arch::names::FileName, Vec<usize>)| {
            // A linear layer may be a 1x1 convolution in the file: the same values in the same order.
            let tensor = state.remove(&file.name)?.reshaped(shape).ok()?;
            Some(Entry { path: file.path, name: file.name, tensor })
        };
        let tensors: Vec<Entry> = expected.into_iter().zip(shapes).filter_map(entry).collect();
        Ok(Self::of_entries(network, tensors, naming, origin))
    }

    /// Puts a model together from a network and its tensors by path, in any order.
    ///
    /// # Errors
    /// [`Error::Mismatch`] unless they are exactly the network's, with its shapes.
    pub fn new(
        network: Network,
        tensors: impl IntoIterator<Item = (TensorPath, Tensor)>,
    ) -> Result<Self, Error> {
        let mut state = StateDict::new();
        for (path, tensor) in tensors {
            state.insert(path.to_string(), tensor)?;
        }
        let expected: Vec<_> =
            network.tensors().map(|(path, tensor)| (path.to_string(), tensor.shape)).collect();
        match_tensors(&expected, &state)?;
        let entry = |((path, _), (name, _)): ((TensorPath, _), (String, _))| {
            let tensor = state.remove(&name)?;
            Some(Entry { path, name, tensor })
        };
        let tensors: Vec<Entry> = network.tensors().zip(expected).filter_map(entry).collect();
        let naming = network.spec().naming;
        Ok(Self::of_entries(network, tensors, naming, Origin::default()))
    }

    /// Model of a network and all of its tensors, with nothing known beside them.
    fn of_entries(network: Network, tensors: Vec<Entry>, naming: Naming, origin: Origin) -> Self {
        Self {
            by_path: index(&tensors),
            preprocess_source: spec_source(network.spec()),
            network,
            tensors,
            classes: None,
            naming,
            file: None,
            origin,
            recognised: None,
            has_head: true,
            adapted: None,
            named_by: None,
            temperature: None,
            class_list: None,
            quantised: None,
        }
    }

    /// Gives the classes names, in the order of the network's outputs.
    ///
    /// # Errors
    /// [`Error::Unwritable`] unless there is one for each.
    pub fn with_classes(self, names: Vec<String>) -> Result<Self, Error> {
        let (named, outputs) = (names.len(), self.spec().head.classes);
        if named != outputs {
            let reason = format!("{named} class names for a network of {outputs} classes");
            return Err(Error::Unwritable { reason });
        }
        Ok(Self { classes: Some(names), ..self })
    }

    /// Gives the network another preprocessing.
    ///
    /// # Errors
    /// [`Error::Shape`] where it does not fit the network.
    pub fn with_preprocess(self, preprocess: Preprocess) -> Result<Self, Error> {
        let spec = self.spec().clone().with(|net| net.preprocess = preprocess);
        let network = spec.check(self.network.input())?;
        Ok(Self { network, ..self })
    }

    /// Sets the temperature of a calibrated network, which logits are divided by before they become probabilities (Guo et
    /// al. 2017); `None` for one that is not.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for what is no number above 0.
    pub fn with_temperature(self, temperature: Option<f64>) -> Result<Self, Error> {
        Ok(Self { temperature: check_temperature(temperature)?, ..self })
    }

    /// Temperature of a calibrated network, which logits are divided by before they become probabilities.
    pub fn temperature(&self) -> Option<f64> {
        self.temperature
    }

    /// The network, checked for the input that its specification names.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network's specification.
    pub fn spec(&self) -> &NetSpec {
        self.network.spec()
    }

    /// Preprocessing of the network's images.
    pub fn preprocess(&self) -> &Preprocess {
        &self.spec().preprocess
    }

    /// Names of the classes, in the order of the network's outputs; `None` where the file has none.
    pub fn classes(&self) -> Option<&[String]> {
        self.classes.as_deref()
    }

    /// The scheme that named the tensors in the file; the network's own for a model from no file.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// The file that was opened; of a folder, the file in it.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Source of the preprocessing in words: `the checkpoint`, `resnet50`, `preprocessor_config.json`.
    pub fn preprocess_source(&self) -> &str {
        &self.preprocess_source
    }

    /// Origin of the tensors: the file's format, and what wrapped them in it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Recognition of bare weights: their prefix, their head, what is left out; `None` for a checkpoint, which says
    /// itself what it is.
    pub fn recognised(&self) -> Option<&Recognised> {
        self.recognised.as_deref()
    }

    /// Who named the network of bare weights: `--model` for the caller, `config.json` for the file beside them; `None`
    /// where it is told by their tensors.
    pub fn named_by(&self) -> Option<&'static str> {
        self.named_by
    }

    /// False for a backbone: the file has no linear layer. It gives features, and no classes.
    pub fn has_head(&self) -> bool {
        self.has_head
    }

    /// The tensor at `path`; `None` where the network has no such tensor.
    pub fn tensor(&self, path: TensorPath) -> Option<&Tensor> {
        self.by_path.get(&path).map(|&at| &self.tensors[at].tensor)
    }

    /// The values of the tensor at `path`, to be changed in place; those of a mapped file are copied first.
    pub fn tensor_mut(&mut self, path: TensorPath) -> Option<&mut [f32]> {
        self.by_path.get(&path).map(|&at| self.tensors[at].tensor.data_mut())
    }

    /// Tensors by path, in the network's order.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorPath, &Tensor)> {
        self.tensors.iter().map(|entry| (entry.path, &entry.tensor))
    }

    /// Tensors by path, in the network's order, without a copy.
    pub fn into_tensors(self) -> impl Iterator<Item = (TensorPath, Tensor)> {
        self.tensors.into_iter().map(|entry| (entry.path, entry.tensor))
    }

    /// Checks that the values of the tensors whose path `chosen` takes are finite, and running variances not negative.
    /// One pass over the values.
    ///
    /// # Errors
    /// [`Error::Values`] with the names in the file of every tensor of the model that has others.
    pub fn check_values(&self, chosen: impl Fn(TensorPath) -> bool) -> Result<(), Error> {
        let bad = |entry: &Entry| bad_values(&entry.name, entry.tensor.data());
        if !self.tensors.iter().filter(|entry| chosen(entry.path)).any(|entry| bad(entry).is_some()) {
            return Ok(());
        }
        let mut tensors: Vec<BadValues> = self.tensors.iter().filter_map(bad).collect();
        tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Err(Error::Values { tensors })
    }

    /// The tensors under the names of a scheme, as copies but for those that lie in a mapped file.
    ///
    /// # Errors
    /// [`Error::InEightBits`]; [`Error::Duplicate`], which no scheme gives.
    pub fn to_state_dict(&self, naming: Naming) -> Result<StateDict, Error> {
        self.clone().into_state_dict(naming)
    }

    /// The tensors under the names of a scheme, without a copy.
    ///
    /// # Errors
    /// [`Error::InEightBits`]; [`Error::Duplicate`], which no scheme gives.
    pub fn into_state_dict(self, naming: Naming) -> Result<StateDict, Error> {
        self.require_float32()?;
        let names = self.network.file_names(naming);
        let mut state = StateDict::new();
        for (file, entry) in names.into_iter().zip(self.tensors) {
            state.insert(file.name, entry.tensor.reshaped(file.shape)?)?;
        }
        Ok(state)
    }

    /// The tensors under the names of a scheme, of a backbone without those of the linear layer that it has not.
    pub(crate) fn to_plain(&self, naming: Naming) -> Result<StateDict, Error> {
        let mut state = self.to_state_dict(naming)?;
        if !self.has_head {
            let head = self.network.file_names(naming);
            let head = head.iter().filter(|file| file.path.layer == LayerPath::Head(HeadPart::Linear));
            head.for_each(|file| drop(state.remove(&file.name)));
        }
        Ok(state)
    }

    /// The tensors under the names that a scheme gives those of a network that computes as this one does.
    pub(crate) fn named_as(&self, spec: &NetSpec, naming: Naming) -> Result<StateDict, Error> {
        self.require_float32()?;
        let mut state = StateDict::new();
        for file in residual_arch::names::file_names(spec, naming) {
            let missing = || Error::NoSuchTensor { name: file.path.to_string() };
            let tensor = self.tensor(file.path).ok_or_else(missing)?.clone().reshaped(file.shape)?;
            state.insert(file.name, tensor)?;
        }
        Ok(state)
    }

    /// Writes the model as a checkpoint, atomically ([`write_atomically`](crate::write_atomically())), its tensors named
    /// by the network's own scheme. [`Model::open`] reads it, and any reader of safetensors finds the tensors there.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::NotAFile`], naming the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.write(path).map_err(|error| error.in_file(path))
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        if !self.has_head {
            return Err(Error::Unwritable { reason: "a backbone that has no head".to_owned() });
        }
        if let Some(quantised) = self.quantised() {
            let (mut state, text) = self.quantised_tensors(quantised)?;
            state.metadata.insert(QUANTISED.to_owned(), text);
            return self.write_described(Content::of(&state), path);
        }
        let names = self.network.file_names(self.spec().naming);
        // Those that have another shape in files: a linear layer.
        let reshaped = names.iter().zip(&self.tensors).map(|(file, entry)| {
            let other = entry.tensor.shape() != file.shape;
            other.then(|| entry.tensor.clone().reshaped(file.shape.clone())).transpose()
        });
        let reshaped = reshaped.collect::<Result<Vec<Option<Tensor>>, Error>>()?;
        let mut content = Content::default();
        for ((file, entry), reshaped) in names.iter().zip(&self.tensors).zip(&reshaped) {
            content.tensors.insert(file.name.as_str().into(), reshaped.as_ref().unwrap_or(&entry.tensor));
        }
        self.write_described(content, path)
    }

    fn write_described(&self, mut content: Content<'_>, path: &Path) -> Result<(), Error> {
        describe(&mut content, self.spec(), self.classes().unwrap_or_default())?;
        let temperature = self.temperature.map(|value| (TEMPERATURE.into(), value.to_string().into()));
        content.metadata.extend(temperature);
        content.write(path)
    }
}

impl PartialEq for Model {
    /// Equal networks, tensors and classes; where they came from does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.network == other.network
            && self.classes == other.classes
            && self.temperature == other.temperature
            && self.quantised == other.quantised
            && self.tensors().zip(other.tensors()).all(|(a, b)| a == b)
    }
}

/// The specification as the source of its preprocessing.
fn spec_source(spec: &NetSpec) -> String {
    format!("the specification of {}", spec.name)
}

fn index(tensors: &[Entry]) -> HashMap<TensorPath, usize> {
    tensors.iter().enumerate().map(|(at, entry)| (entry.path, at)).collect()
}
