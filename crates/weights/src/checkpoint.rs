//! A trained network in one file.

use std::borrow::Cow;
use std::path::Path;

use residual_arch::{NetSpec, Preprocess};
use residual_files::Budget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::folder::weights_file;
use crate::open_options::OpenOptions;
use crate::quantised_description::QUANTISED;
use crate::read::{map_key, read, read_key};
use crate::recognise::recognise;
use crate::safetensors::{Content, JSON_MEMORY, charge_json};
use crate::state_dict::StateDict;
use crate::temperature::put_temperature;
use crate::tensor::Tensor;

/// Before the names of the optimiser's tensors in a file.
const OPTIMISER: &str = "optimiser.";

const VERSION: &str = "residual.version";
const SPEC: &str = "residual.spec";
const CLASSES: &str = "residual.classes";
const STATE: &str = "residual.state";
const CHECKSUM: &str = "residual.checksum";

/// The version of the metadata that this release writes and reads.
const CURRENT: &str = "1";

/// That of a file in 8 bits, which earlier releases do not read.
const IN_8_BITS: &str = "2";

/// A trained network in one safetensors file: any reader of the format finds the tensors there, and
/// prediction needs nothing else.
///
/// | metadata key | value |
/// | --- | --- |
/// | `residual.version` | `1`; of a network in 8 bits `2` |
/// | `residual.spec` | the [`NetSpec`] as JSON, with the preprocessing |
/// | `residual.classes` | the class names as a JSON array, in the order of the outputs; `null` where they have none |
/// | `residual.state` | what else the trainer needs to go on, as JSON; may be absent |
/// | `residual.quantised` | of a network in 8 bits: the scales of its maps, and the norms that are folded in, as JSON |
/// | `residual.temperature` | what the logits of a calibrated network are divided by; may be absent |
/// | `residual.checksum` | with `residual.state`: the checksum of all that is in the file |
///
/// The checksum is FNV-1a of 64 bits over words of 32: for each metadata key and tensor in the order of their names,
/// the name, then the text or the elements' bits, each with its length in front. Changed bytes are an error;
/// files without it are read as well.
///
/// The optimiser's tensors are stored beside the network's, their names prefixed `optimiser.`.
///
/// ```
/// # fn spec() -> residual_arch::NetSpec {
/// #     serde_json::from_value(serde_json::json!({
/// #         "name": "tiny", "input": [3, 8, 8], "stem": { "convs": [{ "channels": 4, "kernel": 3 }] },
/// #         "head": { "classes": 2 },
/// #     })).unwrap()
/// # }
/// use residual_weights::{Checkpoint, StateDict, Tensor};
///
/// let mut tensors = StateDict::new();
/// tensors.insert("fc.bias", Tensor::new(vec![2], vec![0.5, -0.5])?)?;
/// let trained = Checkpoint {
///     spec: spec(),
///     classes: vec!["cat".into(), "dog".into()],
///     tensors,
///     optimiser: StateDict::new(),
///     state: None,
/// };
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("best.safetensors");
/// trained.write(&path)?;
/// assert_eq!(Checkpoint::read(&path)?, trained);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The network, and the preprocessing of its images.
    pub spec: NetSpec,
    /// The name of every class, in the order of the network's outputs; empty where they have none.
    pub classes: Vec<String>,
    /// The network's tensors. Metadata other than this type's own are kept.
    pub tensors: StateDict,
    /// The optimiser's tensors, without the prefix; empty in a file that is for prediction alone.
    pub optimiser: StateDict,
    /// State that the trainer needs to go on. Finite floats and 64-bit integers come back as they were; JSON
    /// has no infinity and no NaN.
    pub state: Option<Value>,
}

impl Checkpoint {
    /// Reads a checkpoint and checks its description.
    ///
    /// # Errors
    /// Those of [`read()`]; [`Error::NoSpec`] for weights without a description, such as a PyTorch checkpoint
    /// or converted weights; [`Error::Metadata`] for a damaged description. All name the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = &weights_file(path)?;
        read(path).and_then(Self::from_state_dict).map_err(|error| error.in_file(path))
    }

    /// Takes the description off the metadata of tensors that were read.
    ///
    /// # Errors
    /// [`Error::NoSpec`] and [`Error::Metadata`], as for [`Checkpoint::read`].
    pub fn from_state_dict(mut tensors: StateDict) -> Result<Self, Error> {
        let is_whole = check_checksum(&mut tensors);
        let version = tensors.metadata.remove(VERSION);
        let Some(spec) = tensors.metadata.remove(SPEC) else {
            return Err(match recognise(&tensors) {
                Ok(found) => Error::NoSpec { model: Some(found.spec.name), seems: None, nearest: None },
                Err(error @ Error::NoSpec { .. }) => error,
                Err(_) => Error::NoSpec { model: None, seems: None, nearest: None },
            });
        };
        let current = if tensors.metadata.contains_key(QUANTISED) { IN_8_BITS } else { CURRENT };
        if version.as_deref() != Some(current) {
            let version = version.unwrap_or_else(|| "none".to_owned());
            let reason =
                format!("found {version}, expected {current}; help: read it with the release that wrote it");
            return Err(Error::Metadata { key: VERSION, reason });
        }
        let classes = tensors.metadata.remove(CLASSES).ok_or_else(|| missing(CLASSES))?;
        let state = tensors.metadata.remove(STATE);
        let mut budget = Budget::new(JSON_MEMORY);
        for text in [Some(&spec), Some(&classes), state.as_ref()].into_iter().flatten() {
            charge_json(&mut budget, "the memory for the metadata", text.as_bytes())?;
        }
        let spec: NetSpec = parse(SPEC, &spec)?;
        let classes: Option<Vec<String>> = parse(CLASSES, &classes)?;
        if let Some(names) = &classes {
            check_classes(&spec, names).map_err(|reason| Error::Metadata { key: CLASSES, reason })?;
        }
        let checkpoint = Self {
            spec,
            classes: classes.unwrap_or_default(),
            state: state.map(|state| parse(STATE, &state)).transpose()?,
            optimiser: tensors.split_prefix(OPTIMISER)?,
            tensors,
        };
        checkpoint.check().map_err(|(key, reason)| Error::Metadata { key, reason })?;
        // After what can be named.
        is_whole?;
        Ok(checkpoint)
    }

    /// Sets the temperature of a calibrated network, which logits are divided by; `None` for one that is not.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for what is no number above 0.
    pub fn with_temperature(mut self, temperature: Option<f64>) -> Result<Self, Error> {
        put_temperature(&mut self.tensors.metadata, temperature)?;
        Ok(self)
    }

    /// Writes the checkpoint, atomically ([`crate::write_atomically`]). Equal checkpoints give equal bytes.
    ///
    /// # Errors
    /// Those of [`crate::safetensors::write`]; [`Error::Unwritable`] where class names or preprocessing do not
    /// fit the network; [`Error::ReservedName`] for a tensor of the network called `optimiser.*`.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.content().and_then(|content| content.write(path)).map_err(|error| error.in_file(path))
    }

    fn content(&self) -> Result<Content<'_>, Error> {
        self.check().map_err(|(_, reason)| Error::Unwritable { reason })?;
        let mut content = Content::of(&self.tensors);
        if let Some(name) = content.tensors.keys().find(|name| name.starts_with(OPTIMISER)) {
            return Err(Error::ReservedName { name: name.clone().into_owned() });
        }
        let optimiser = self.optimiser.iter();
        content
            .tensors
            .extend(optimiser.map(|(name, tensor)| (Cow::Owned(format!("{OPTIMISER}{name}")), tensor)));
        describe(&mut content, &self.spec, &self.classes)?;
        if let Some(state) = &self.state {
            content.metadata.insert(Cow::Borrowed(STATE), Cow::Owned(to_json(STATE, state)?));
            let metadata = content.metadata.iter().map(|(key, text)| (&**key, &**text));
            let tensors = content.tensors.iter().map(|(name, tensor)| (&**name, *tensor));
            let sum = checksum(metadata, tensors);
            content.metadata.insert(Cow::Borrowed(CHECKSUM), Cow::Owned(sum));
        }
        Ok(content)
    }

    /// The metadata that do not fit the network, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if !self.classes.is_empty() {
            check_classes(&self.spec, &self.classes).map_err(|reason| (CLASSES, reason))?;
        }
        check_preprocess(&self.spec.preprocess, self.spec.input[0])
            .map_err(|reason| (SPEC, format!("preprocess: {reason}")))
    }
}

/// Puts the description of a trained network into a file's metadata.
pub(crate) fn describe(content: &mut Content<'_>, spec: &NetSpec, classes: &[String]) -> Result<(), Error> {
    let names = (!classes.is_empty()).then_some(classes);
    let version = if content.metadata.contains_key(QUANTISED) { IN_8_BITS } else { CURRENT };
    let described =
        [(VERSION, version.to_owned()), (SPEC, to_json(SPEC, spec)?), (CLASSES, to_json(CLASSES, &names)?)];
    let metadata = described.into_iter().map(|(key, text)| (Cow::Borrowed(key), Cow::Owned(text)));
    content.metadata.extend(metadata);
    Ok(())
}

fn check_classes(spec: &NetSpec, names: &[String]) -> Result<(), String> {
    let (named, outputs) = (names.len(), spec.head.classes);
    match named == outputs {
        true => Ok(()),
        false => Err(format!("{named} class names for a network of {outputs} classes")),
    }
}

/// Takes the checksum off the metadata and holds what was read against it.
fn check_checksum(read: &mut StateDict) -> Result<(), Error> {
    let Some(written) = read.metadata.remove(CHECKSUM) else { return Ok(()) };
    let metadata = read.metadata.iter().map(|(key, text)| (key.as_str(), text.as_str()));
    let found = checksum(metadata, read.iter());
    if found == written {
        return Ok(());
    }
    let reason =
        format!("the file is damaged: its content has the checksum {found}, and was written with {written}");
    Err(Error::Metadata { key: CHECKSUM, reason })
}

/// The checksum of a file's content, both parts in the order of their names.
fn checksum<'a>(
    metadata: impl Iterator<Item = (&'a str, &'a str)>,
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)>,
) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    // Every step is a bijection of the hash: one changed word changes the result for certain.
    let mut write = |word: u32| hash = (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3);
    let text = |write: &mut dyn FnMut(u32), text: &str| {
        write(text.len() as u32);
        text.bytes().for_each(|byte| write(u32::from(byte)));
    };
    for (key, value) in metadata {
        text(&mut write, key);
        text(&mut write, value);
    }
    for (name, tensor) in tensors {
        text(&mut write, name);
        write(tensor.data().len() as u32);
        tensor.data().iter().for_each(|element| write(element.to_bits()));
    }
    format!("{hash:016x}")
}

/// Content of a file of weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// A trained network, description and all.
    Trained(Box<Checkpoint>),
    /// Tensors alone; [`recognise`] says which network they belong to.
    Plain(StateDict),
}

impl Weights {
    /// Reads a file once, whichever of the two it is.
    ///
    /// # Errors
    /// Those of [`Checkpoint::read`] but [`Error::NoSpec`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::read_with(path, &OpenOptions::default())
    }

    /// Reads the set of weights of a file that the options choose.
    ///
    /// # Errors
    /// Those of [`Weights::read`]; [`Error::NoSuchKey`].
    pub fn read_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = &weights_file(path)?;
        Self::of(read_key(path, options.key.as_deref())?, path)
    }

    /// Maps a file, whichever of the two it is: see [`map()`](crate::map()) for what that asks of the caller.
    ///
    /// # Errors
    /// Those of [`Weights::read`].
    pub fn map(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::map_with(path, &OpenOptions::default())
    }

    /// Maps the set of weights of a file that the options choose.
    ///
    /// # Errors
    /// Those of [`Weights::read_with`].
    pub fn map_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, Error> {
        let path = &weights_file(path)?;
        Self::of(map_key(path, options.key.as_deref())?, path)
    }

    fn of(state: StateDict, path: &Path) -> Result<Self, Error> {
        Self::from_state_dict(state).map_err(|error| error.in_file(path))
    }

    /// Tells what was read: a trained network where the metadata describe one.
    ///
    /// # Errors
    /// [`Error::Metadata`] for a damaged description.
    pub fn from_state_dict(state: StateDict) -> Result<Self, Error> {
        if !state.metadata.contains_key(SPEC) {
            return Ok(Self::Plain(state));
        }
        Ok(Self::Trained(Box::new(Checkpoint::from_state_dict(state)?)))
    }
}

fn check_preprocess(preprocess: &Preprocess, channels: usize) -> Result<(), String> {
    let (mean, std) = (&preprocess.mean, &preprocess.std);
    if mean.len() != channels || std.len() != channels {
        return Err(format!("{} means and {} deviations for {channels} channels", mean.len(), std.len()));
    }
    if !mean.iter().all(|mean| mean.is_finite()) || !std.iter().all(|&std| std.is_finite() && std > 0.0) {
        return Err(format!("mean {mean:?} and deviation {std:?} cannot normalise an image"));
    }
    Ok(())
}

fn missing(key: &'static str) -> Error {
    Error::Metadata { key, reason: "it is missing".to_owned() }
}

fn parse<T: DeserializeOwned>(key: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Metadata { key, reason: error.to_string() })
}

fn to_json(key: &'static str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Metadata { key, reason: error.to_string() })
}
