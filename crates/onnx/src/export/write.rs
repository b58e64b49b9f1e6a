//! The graph of a whole model, in a file.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;
use residual_arch::{LayerOp, Network, Norm, Reads, Source};
use residual_files::require_memory;
use residual_weights::{Model, write_atomically};

use super::graph::GraphBuilder;
use super::layers::LayerWriter;
use super::metadata::metadata;
use super::pixels::preprocessing;
use super::quantised;
use super::{ExportOptions, answers::answers};
use crate::element::{FLOAT, UINT8};
use crate::error::Error;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, ValueInfoProto};
use crate::value_info::{fixed, named, value};

/// Version of the file format, the first with opset 18.
const IR_VERSION: i64 = 8;

/// Version of the operators: the first whose `Resize` has antialiasing.
const OPSET: i64 = 18;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// Writes a model as an ONNX file, atomically. Weights beyond [`ExportOptions::embed_up_to`] bytes lie beside it, in a
/// file of its name and `.data` behind it.
///
/// # Errors
/// [`Error::Weights`] for weights that are not finite and for a file that cannot be written;
/// [`Error::Interpolation`], [`Error::NoProbabilities`]; [`Error::File`] where the memory does not suffice.
pub fn export(model: &Model, path: impl AsRef<Path>, options: &ExportOptions) -> Result<(), Error> {
    let path = path.as_ref();
    model.check_values(|_| true)?;
    let bytes: u64 = model.tensors().map(|(_, tensor)| 4 * tensor.elements() as u64).sum();
    // As the graph's constants, and once more as a message.
    require_memory(2 * bytes)?;
    let mut proto = graph_of(model, options)?;
    if bytes > options.embed_up_to {
        move_out(&mut proto, path).map_err(|error| error.in_file(path))?;
    }
    let bytes = proto.encode_to_vec();
    drop(proto);
    Ok(write_atomically(path, |file| file.write_all(&bytes))?)
}

/// The message of a whole file.
fn graph_of(model: &Model, options: &ExportOptions) -> Result<ModelProto, Error> {
    let mut graph = GraphBuilder::default();
    let (input, mut x) = input(model, options);
    if let Some(preprocess) = &options.preprocess {
        x = preprocessing(&mut graph, preprocess, &x)?;
    }
    let normalised = x.clone();
    let last = layers(&mut graph, model, x, options.keep_norms)?;
    let output = answers(&mut graph, model, &last, options.answers)?;
    let outputs = match model.has_head() {
        true => model.spec().head.classes,
        false => model.network().layers().last().map_or(0, |layer| layer.input()[0]),
    };
    let output = value(output, FLOAT, vec![named("batch"), fixed(outputs)]);
    let metadata_props = metadata(model, options, &normalised).map_err(unwritable)?;
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "residual".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(GraphProto {
            node: graph.nodes,
            name: model.spec().name.clone(),
            initializer: graph.constants,
            input: vec![input],
            output: vec![output],
        }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props,
    })
}

/// A specification that JSON does not hold, which its check has ruled out.
fn unwritable(error: serde_json::Error) -> Error {
    Error::Weights(residual_weights::Error::Unwritable { reason: error.to_string() })
}

/// The nodes of all layers; gives the name of the last one's value. Of a backbone the linear layer is left out.
fn layers(graph: &mut GraphBuilder, model: &Model, input: String, keep_norms: bool) -> Result<String, Error> {
    let network = model.network();
    let mut folded = if keep_norms { HashMap::new() } else { folds(network) };
    let mut values: Vec<String> = Vec::with_capacity(network.layers().len());
    let mut writer = LayerWriter { model, graph, scales: HashMap::new() };
    let (mut input, mut rounded) = (input, HashMap::new());
    if let Some(found) = model.quantised() {
        folded.extend(quantised::folds(network, found));
        rounded = quantised::ends(network, found);
        input = found.input.map_or(input.clone(), |scale| writer.rounded(&input, scale));
    }
    for (at, layer) in network.layers().iter().enumerate() {
        let of = |source: Source| match source {
            Source::Input => input.as_str(),
            Source::Layer(id) => values[id.index()].as_str(),
        };
        let reads: Vec<&str> = layer.reads().sources().map(of).collect();
        let is_folded = folded.values().any(|&norm| norm == at);
        let is_left_out = matches!(layer.op(), LayerOp::Linear { .. }) && !model.has_head();
        let value = match is_folded || is_left_out {
            true => reads[0].to_owned(),
            false => {
                let norm = folded.get(&at).map(|&norm| network.layers()[norm].path());
                writer.layer(layer, &reads, norm)?
            }
        };
        let value = match rounded.get(&at) {
            Some(&scale) => writer.rounded(&value, scale),
            None => value,
        };
        values.push(value);
    }
    folded.clear();
    Ok(values.pop().unwrap_or(input))
}

/// The batch norm behind each convolution that nothing else reads: numbers of layers.
fn folds(network: &Network) -> HashMap<usize, usize> {
    let mut readers: HashMap<usize, usize> = HashMap::new();
    let read = network.layers().iter().flat_map(|layer| layer.reads().sources());
    for source in read {
        if let Source::Layer(id) = source {
            *readers.entry(id.index()).or_default() += 1;
        }
    }
    let norm = |(at, layer): (usize, &residual_arch::Layer)| {
        let Reads::One(Source::Layer(conv)) = layer.reads() else { return None };
        let is_norm = matches!(layer.op(), LayerOp::Norm(Norm::Batch { .. }));
        let is_conv = matches!(network.layer(conv).op(), LayerOp::Conv(_));
        (is_norm && is_conv && readers[&conv.index()] == 1).then_some((conv.index(), at))
    };
    network.layers().iter().enumerate().filter_map(norm).collect()
}

/// The graph's input, and its name.
fn input(model: &Model, options: &ExportOptions) -> (ValueInfoProto, String) {
    let [channels, height, width] = model.network().input();
    let side = |name: &str, side: usize| if options.fixed_size { fixed(side) } else { named(name) };
    let (height, width) = match options.preprocess {
        // Photographs have any size.
        Some(_) => (named("height"), named("width")),
        None => (side("height", height), side("width", width)),
    };
    match options.preprocess {
        Some(_) => {
            let extents = vec![named("batch"), height, width, fixed(channels)];
            (value("pixels", UINT8, extents), "pixels".to_owned())
        }
        None => {
            let extents = vec![named("batch"), fixed(channels), height, width];
            (value("image", FLOAT, extents), "image".to_owned())
        }
    }
}

/// Moves the constants of a kilobyte and more into a file beside `path`.
fn move_out(proto: &mut ModelProto, path: &Path) -> Result<(), Error> {
    const SMALL: usize = 1024;
    /// Boundary that readers map memory at.
    const ALIGNMENT: usize = 4096;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".data");
    let Some(name) = Path::new(&beside).file_name().and_then(|name| name.to_str()) else {
        let reason = "a name that is not UTF-8, with weights in a file beside it".to_owned();
        return Err(residual_weights::Error::Unwritable { reason }.into());
    };
    let mut at = 0;
    let mut moved: Vec<(usize, Bytes)> = Vec::new();
    let constants = proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    for constant in constants.filter(|constant| constant.raw_data.len() >= SMALL) {
        let bytes = std::mem::take(&mut constant.raw_data);
        let entries =
            [("location", name.to_owned()), ("offset", at.to_string()), ("length", bytes.len().to_string())];
        let entry = |(key, value): (&str, String)| StringStringEntryProto { key: key.to_owned(), value };
        constant.external_data = entries.map(entry).into();
        constant.data_location = EXTERNAL;
        let padding = (at + bytes.len()).next_multiple_of(ALIGNMENT) - at - bytes.len();
        at += bytes.len() + padding;
        moved.push((padding, bytes));
    }
    Ok(write_atomically(&beside, |file| {
        for (padding, bytes) in &moved {
            file.write_all(bytes)?;
            file.write_all(&vec![0; *padding])?;
        }
        Ok(())
    })?)
}
