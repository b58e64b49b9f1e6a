//! From a file to a model: a checkpoint says what it is, bare weights are recognised.

use std::path::Path;

use residual_arch::NetSpec;
use residual_arch::names::{TensorName, names};

use super::Model;
use crate::architecture::Architecture;
use crate::beside::{ClassList, Description};
use crate::channels::{RGB, adapted};
use crate::checkpoint::Weights;
use crate::error::Error;
use crate::folder::weights_file;
use crate::open_options::OpenOptions;
use crate::quantised_description::QUANTISED;
use crate::read::read_bytes;
use crate::recognise::{Recognised, recognise, recognise_as};
use crate::scheme::with_classes_of;
use crate::state_dict::StateDict;
use crate::tensor::Tensor;

impl Model {
    /// Opens a trained network: a checkpoint, the folder of a run (its best), or bare weights, whose network is
    /// recognised ([`recognise()`]).
    ///
    /// The file is mapped into memory, and read where and when a tensor is: see [`map()`](crate::map()) for what that
    /// asks of the caller.
    ///
    /// # Errors
    /// Those of [`Weights::map`], all of which name the file; [`Error::NoSpec`] for bare weights that are no residual
    /// network's; [`Error::Shape`] for a network that cannot be built; [`Error::Mismatch`] for tensors that are not the
    /// network's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens weights as those of a network that is named: `resnet18`, `mine.toml`, a [`NetSpec`]. The number of classes
    /// of bare weights is the file's, and their tensors may be named in any scheme. A trained checkpoint must be of that
    /// network.
    ///
    /// # Errors
    /// Those of [`Model::open`] and [`Architecture::specification`]; [`Error::OtherNetwork`].
    pub fn open_as(path: impl AsRef<Path>, network: impl Into<Architecture>) -> Result<Self, Error> {
        Self::open_with(path, &OpenOptions::default().with(|options| options.network = Some(network.into())))
    }

    /// Opens the set of weights that the options choose, as those of the network that they name.
    ///
    /// # Errors
    /// Those of [`Model::open_as`]; [`Error::NoSuchKey`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = &weights_file(path)?;
        let weights = Weights::map_with(path, options)?;
        let is_plain = matches!(weights, Weights::Plain(_));
        let description = if is_plain { Description::beside(path)? } else { None }.unwrap_or_default();
        let model = Self::described(weights, options.network.as_ref(), description)
            .map_err(|error| error.in_file(path))?;
        let model = Self { file: Some(path.clone()), ..model };
        Ok(if is_plain { model.with_class_list(path) } else { model })
    }

    /// The model with the names of a list beside its file, where it has no others and the list is of its outputs.
    fn with_class_list(self, path: &Path) -> Self {
        if self.classes.is_some() || !self.has_head {
            return self;
        }
        let outputs = self.spec().head.classes;
        let Some(ClassList { file, names }) = ClassList::beside(path, outputs) else { return self };
        let (classes, line) = match names {
            Ok(names) if names.len() == outputs => {
                (Some(names), format!("class names from {file} beside the file"))
            }
            Ok(names) => (
                None,
                format!("{file} beside the file has {} names for {outputs} outputs: not used", names.len()),
            ),
            Err(reason) => (None, format!("{file} beside the file is not used: {reason}")),
        };
        Self { classes, class_list: Some(line), ..self }
    }

    /// Weights with the description beside them. A network that is named comes before the one that is described.
    fn described(
        weights: Weights,
        network: Option<&Architecture>,
        description: Description,
    ) -> Result<Self, Error> {
        let described = description.network.map(Architecture::from);
        let named_by = match (network, &described) {
            (None, Some(_)) => Some("config.json"),
            _ => None,
        };
        let mut model = Self::of_weights(weights, network.or(described.as_ref()))?;
        model.named_by = named_by.or(model.named_by);
        if let Some((preprocess, source)) = description.preprocess {
            let channels = model.spec().input[0];
            let [height, width] = preprocess.crop.unwrap_or([model.spec().input[1], model.spec().input[2]]);
            if preprocess.mean.len() == channels {
                let spec = model.spec().clone().with(|net| net.input = [channels, height, width]);
                model.network =
                    spec.with(|net| net.preprocess = preprocess).check([channels, height, width])?;
                source.clone_into(&mut model.preprocess_source);
            }
        }
        match description.classes {
            Some(names) if model.has_head => {
                let (named, outputs) = (names.len(), model.spec().head.classes);
                if named != outputs {
                    let reason =
                        format!("config.json names {named} classes, and the head has {outputs} outputs");
                    return Err(Error::Config { reason });
                }
                model.with_classes(names)
            }
            _ => Ok(model),
        }
    }

    /// Takes a network from the bytes of its file.
    ///
    /// # Errors
    /// As for [`Model::open`], without a file's name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::of_weights(Weights::from_state_dict(read_bytes(bytes)?)?, None)
    }

    /// Takes the weights of a network that is named from the bytes of their file.
    ///
    /// # Errors
    /// As for [`Model::open_as`], without a file's name.
    pub fn from_bytes_as(bytes: &[u8], network: impl Into<Architecture>) -> Result<Self, Error> {
        Self::of_weights(Weights::from_state_dict(read_bytes(bytes)?)?, Some(&network.into()))
    }

    /// Takes what a file of weights holds, as [`Model::open`] does; where there is a `network`, as [`Model::open_as`].
    ///
    /// # Errors
    /// As for [`Model::open_as`], without a file's name.
    pub fn of_weights(weights: Weights, network: Option<&Architecture>) -> Result<Self, Error> {
        match weights {
            Weights::Trained(trained) => {
                if let Some(network) = network {
                    network.require(&trained.spec)?;
                }
                let name = trained.spec.name.clone();
                let model = Self::from_checkpoint(*trained).map_err(|error| error.of_model(&name))?;
                Ok(Self { preprocess_source: "the checkpoint".to_owned(), ..model })
            }
            Weights::Plain(state) if state.metadata.contains_key(QUANTISED) => Err(Error::InEightBits),
            Weights::Plain(state) => match network {
                Some(network) => {
                    let spec = network.specification()?;
                    Self::of_network(&spec, state).map_err(|error| error.of_model(&spec.name))
                }
                None => Self::of_recognised(recognise(&state)?, state),
            },
        }
    }

    /// The tensors of a network that is named, with whatever prefix and head they are found. Where the file is for three
    /// channels and the network for others, the first convolution is adapted; the channels of other files are theirs.
    fn of_network(spec: &NetSpec, state: StateDict) -> Result<Self, Error> {
        let found = match recognise_as(&state, spec) {
            Ok(found) => found,
            // Which tensors do not fit is said of the whole file.
            Err(Error::NoSpec { .. }) => {
                return Self::from_state_dict(&with_classes_of(spec.clone(), &state), state);
            }
            Err(error) => return Err(error),
        };
        let channels = spec.input[0];
        if found.spec.input[0] != RGB || channels == RGB {
            let model = Self::of_recognised(found, state)?;
            return Ok(Self { named_by: Some("--model"), ..model });
        }
        let mut named = found.rename(state)?;
        complete(&found, &mut named)?;
        let asked = spec.clone().with_classes(found.spec.head.classes);
        let first = names(&asked, found.naming).into_iter().next();
        if let Some((weight, first)) = first.and_then(|first| Some((named.remove(&first.name)?, first))) {
            named.insert(first.name, adapted(weight, channels)?)?;
        }
        let model = Self::from_state_dict(&asked, named)?;
        let (has_head, named_by) = (found.head.is_some(), Some("--model"));
        Ok(Self { has_head, named_by, adapted: Some(channels), recognised: Some(Box::new(found)), ..model })
    }

    fn of_recognised(found: Recognised, state: StateDict) -> Result<Self, Error> {
        let mut named = found.rename(state)?;
        complete(&found, &mut named)?;
        let model = Self::from_state_dict(&found.spec, named)?;
        let preprocess_source = found.like.clone();
        let has_head = found.head.is_some();
        Ok(Self { has_head, preprocess_source, recognised: Some(Box::new(found)), ..model })
    }
}

/// Adds what a file may do without: the bias of the head, or the head itself, which is then zero and of one class.
fn complete(found: &Recognised, named: &mut StateDict) -> Result<(), Error> {
    let is_head = |tensor: &TensorName| tensor.path.starts_with("head.linear.");
    for tensor in names(&found.spec, found.naming).into_iter().filter(is_head) {
        if named.get(&tensor.name).is_none() {
            let count = tensor.shape.iter().product();
            named.insert(tensor.name, Tensor::new(tensor.shape, vec![0.0; count])?)?;
        }
    }
    Ok(())
}
