//! The model of a file.

use std::path::Path;

use residual_arch::families::{all, family};
use residual_arch::{NetSpec, Preprocess, Task};
use residual_files::{Budget, json_memory};
use residual_weights::Model;
use serde::de::DeserializeOwned;

use super::interpret::interpret;
use super::message;
use super::options::{ImportOptions, InputScale};
use super::read_off::{ReadOff, read_off};
use crate::element::FLOAT;
use crate::error::Error;
use crate::keys;
use crate::proto::{GraphProto, ModelProto};
use crate::value_info::{self, fixed, value};

/// Bytes of memory that the metadata of one file may take.
const METADATA_MEMORY: u64 = 224 << 20;

/// A model as it is read from a graph.
#[derive(Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The model.
    pub model: Model,
    /// Remarks for a user: what was taken for granted, and what was left out.
    pub notes: Vec<String>,
}

/// Reads an ONNX file as a model: the graph is brought to a normal form, its layers are matched against those of a
/// specification, and its constants are the weights.
///
/// A batch norm that was folded into its convolution is one with a mean of 0 and a variance of 1 again; what it
/// computes is the same.
///
/// # Errors
/// [`Error::NotOnnx`], [`Error::Constant`], [`Error::File`] for a file that is none or is damaged; [`Error::NotSaid`]
/// for a graph that no specification says, with its nodes; all naming the file.
pub fn import(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported, Error> {
    let path = path.as_ref();
    let folder =
        path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let read = message::read(path).and_then(|proto| model_of(&proto, options, folder, &stem));
    read.map_err(|error| error.in_file(path))
}

/// Reads the bytes of an ONNX file as [`import`] does. Weights in other files are refused.
///
/// # Errors
/// As for [`import`], without a file's name.
pub fn import_bytes(bytes: Vec<u8>, options: &ImportOptions) -> Result<Imported, Error> {
    message::decode(bytes.into()).and_then(|proto| model_of(&proto, options, None, ""))
}

/// The model of a message; weights outside it lie in `folder`.
fn model_of(
    proto: &ModelProto,
    options: &ImportOptions,
    folder: Option<&Path>,
    file: &str,
) -> Result<Imported, Error> {
    let graph =
        proto.graph.as_ref().ok_or_else(|| Error::NotOnnx { reason: "it has no graph".to_owned() })?;
    let own = proto.opset_import.iter().find(|opset| matches!(opset.domain.as_str(), "" | "ai.onnx"));
    let described = Described::of(proto)?;
    let behind = described.behind_pixels(graph);
    let opset = own.map_or(1, |opset| opset.version);
    let graph = interpret(behind.as_ref().unwrap_or(graph), opset, options.size, folder)?;
    let has_own_scale = described.preprocess.is_some();
    let flips = options.input == InputScale::Caffe && !has_own_scale;
    let read = read_off(&graph, described.temperature.is_some(), flips)?;
    let mut notes = Vec::new();
    if graph.rounded > 0 {
        notes.push(format!(
            "a network in 8 bits, of which the weights are read as the floats that they stand for, and {} roundings of maps \
             are left out; `residual quantize` rounds them again",
            graph.rounded
        ));
    }
    let spec = named(&read, options, &described, file, &mut notes)?;
    let network = spec.check(spec.input)?;
    let mut model = Model::new(network, read.tensors)?.with_temperature(described.temperature)?;
    match described.classes.filter(|classes| classes.len() == model.spec().head.classes) {
        Some(classes) => model = model.with_classes(classes)?,
        None => notes.push("the file has no class names".to_owned()),
    }
    model.check_values(|_| true)?;
    Ok(Imported { model, notes })
}

/// Metadata of a file about its model.
#[derive(Default)]
struct Described {
    spec: Option<NetSpec>,
    preprocess: Option<Preprocess>,
    classes: Option<Vec<String>>,
    temperature: Option<f64>,
    /// Name of the value behind the preprocessing in the graph.
    normalised: Option<String>,
}

impl Described {
    /// Metadata of a message. A key that is not understood is passed over: the keys are anybody's.
    fn of(proto: &ModelProto) -> Result<Self, Error> {
        let mut budget = Budget::new(METADATA_MEMORY);
        let text =
            |key: &str| proto.metadata_props.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        let spec: Option<NetSpec> = json(text(keys::SPEC), &mut budget)?;
        let preprocess = json(text(keys::PREPROCESS), &mut budget)?;
        let temperature = text(keys::TEMPERATURE).and_then(|text| text.parse().ok());
        let is_number = |temperature: &f64| temperature.is_finite() && *temperature > 0.0;
        Ok(Self {
            classes: json(text(keys::CLASSES), &mut budget)?,
            temperature: temperature.filter(is_number).filter(|_| spec.is_some()),
            preprocess: preprocess.filter(|_| spec.is_some()),
            normalised: text(keys::NORMALISED).filter(|_| spec.is_some()).cloned(),
            spec,
        })
    }

    /// A graph that takes pixels, as one that takes the normalised ones; `None` for any other. The preprocessing of
    /// those pixels is known from the metadata.
    fn behind_pixels(&self, graph: &GraphProto) -> Option<GraphProto> {
        let (name, spec) = (self.normalised.as_deref()?, self.spec.as_ref()?);
        let mut behind = graph.clone();
        behind.node.retain(|node| node.output.iter().all(|output| output != name));
        let extents =
            [value_info::named("batch"), fixed(spec.input[0]), fixed(spec.input[1]), fixed(spec.input[2])];
        behind.input = vec![value(name, FLOAT, extents.into())];
        Some(behind)
    }
}

/// A text of JSON as a value; `None` for what is none.
fn json<T: DeserializeOwned>(text: Option<&String>, budget: &mut Budget) -> Result<Option<T>, Error> {
    let Some(text) = text else { return Ok(None) };
    budget.charge(json_memory(text.as_bytes()))?;
    Ok(serde_json::from_str(text).ok())
}

/// The specification with its name, its task and its preprocessing: the file's own, that of a family member that
/// computes the same, or what the options say.
fn named(
    read: &ReadOff,
    options: &ImportOptions,
    described: &Described,
    file: &str,
    notes: &mut Vec<String>,
) -> Result<NetSpec, Error> {
    let name =
        |net: NetSpec| net.with(|net| net.name = options.name.clone().unwrap_or_else(|| net.name.clone()));
    let [channels, height, width] = read.spec.input;
    let scaled = |preprocess: Preprocess| {
        let (mut mean, mut std) = options.input.statistics(channels);
        if let Some(input) = &read.input {
            // y = a (p - m) / s + b is (p - (m - b s / a)) / (s / a), by the graph's channels.
            for channel in 0..channels {
                let from = if options.input == InputScale::Caffe { channels - 1 - channel } else { channel };
                let (scale, shift) = (input.scale[from], input.shift[from]);
                let deviation = f64::from(std[channel]) / scale;
                mean[channel] = (f64::from(mean[channel]) - shift * deviation) as f32;
                std[channel] = deviation as f32;
            }
        }
        preprocess.with(|preprocess| (preprocess.mean, preprocess.std) = (mean, std))
    };
    if let Some(own) = described.spec.as_ref().filter(|own| own.computes_as(&read.spec_of(own.input))) {
        let preprocess = described.preprocess.clone().unwrap_or_else(|| own.preprocess.clone());
        return Ok(name(own.clone().with(|own| own.preprocess = preprocess)));
    }
    let member = all().into_iter().filter_map(|name| family(name).ok()).find_map(|member| {
        let member = member.with_classes(read.spec.head.classes).with_input(read.spec.input);
        member.computes_as(&read.spec).then_some(member)
    });
    let usual = match height == width && height >= 64 {
        // Seven eighths, as most are evaluated.
        true => Preprocess::imagenet((height * 8).div_ceil(7), height),
        false => Preprocess::normalise_only(),
    };
    let is_plain = options.input == InputScale::Imagenet && read.input.is_none();
    let found = match member {
        Some(member) if is_plain => member,
        Some(member) => {
            let preprocess = scaled(member.preprocess.clone());
            member.with(|member| member.preprocess = preprocess)
        }
        None => read.spec.clone().with(|net| {
            net.name = if file.is_empty() { net.name.clone() } else { file.to_owned() };
            net.preprocess = scaled(usual);
        }),
    };
    notes.push(format!("images are normalised for {}, as the file does not say", options.input));
    let task = if read.is_multi_label() { Task::multi_label() } else { Task::SingleLabel };
    Ok(name(found.with(|net| (net.task, net.stochastic_depth, net.head.dropout) = (task, 0.0, 0.0))))
}
