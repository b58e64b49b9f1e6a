//! A whole network: from the output back to the input, then its specification.

use residual_arch::{
    BlockPath, BlockSpec, Field, HeadPart, HeadSpec, LayerPath, NetSpec, NormKind, StageSpec,
};

use super::block::{Found, block, block_at};
use super::head::{Ending, head};
use super::norm::{Linear, norm};
use super::stem::stem;
use super::tensors::Tensors;
use crate::error::Error;
use crate::import::interpret::Graph;

/// The most blocks of a network.
const MAX_BLOCKS: usize = 10_000;

/// A network as it is read off a graph.
pub(in crate::import) struct ReadOff {
    pub(in crate::import) spec: NetSpec,
    pub(in crate::import) tensors: Vec<(residual_arch::TensorPath, residual_weights::Tensor)>,
    pub(in crate::import) ending: Ending,
    /// What the graph does to its input first, by channel.
    pub(in crate::import) input: Option<Linear>,
}

/// Reads the specification and its tensors off a graph. `flips`: the channels of the graph's input are in reverse.
///
/// # Errors
/// [`Error::NotSaid`] with each part that no specification says.
pub(in crate::import) fn read_off(graph: &Graph, is_calibrated: bool, flips: bool) -> Result<ReadOff, Error> {
    let pieces = &graph.pieces;
    let said = |reason: String| Error::NotSaid { reasons: vec![reason] };
    let head = head(pieces, graph.output, is_calibrated).map_err(said)?;
    let mut end = head.end;
    let mut found: Vec<Found> = Vec::new();
    while let Some(next) = block_at(pieces, end) {
        let next = next.map_err(said)?;
        end = next.input;
        found.push(next);
        if found.len() > MAX_BLOCKS {
            return Err(said(format!("more than {MAX_BLOCKS} blocks")));
        }
    }
    if found.is_empty() {
        return Err(said(format!(
            "{}: no sum of a branch and a shortcut leads to the head",
            pieces[end].node
        )));
    }
    found.reverse();
    let (mut tensors, mut reasons) = (Tensors::of(graph.bytes), Vec::new());
    let stem = stem(pieces, end, flips, &mut tensors).map_err(|reason| reasons.push(reason)).ok();
    let mut offset = stem.as_ref().and_then(|stem| stem.offset.clone());
    let mut stages: Vec<StageSpec> = Vec::new();
    let mut channels = stem.as_ref().map_or(0, |stem| stem.spec.channels());
    for found in &found {
        let add = &pieces[found.add];
        let is_next =
            stages.is_empty() || add.shape[0] != channels || pieces[found.input].shape[1..] != add.shape[1..];
        if is_next {
            stages.push(StageSpec::new(Vec::new()));
        }
        let (stage, blocks) = (stages.len(), stages.last().map_or(0, |stage| stage.blocks.len()));
        let path = BlockPath { stage, block: blocks };
        match block(pieces, found, path, &mut offset, &mut tensors) {
            Ok(spec) => stages[stage - 1].blocks.push(spec),
            Err(reason) => {
                stages[stage - 1].blocks.push(BlockSpec::basic(add.shape[0]));
                reasons.push(reason);
            }
        }
        channels = add.shape[0];
    }
    let mut spec = HeadSpec::new(head.dense.outputs);
    match (&head.norm, offset) {
        (Some(parts), offset) => match norm(parts, offset.as_deref(), channels) {
            Ok(found) => {
                (spec.norm, spec.norm_kind) = (true, found.kind);
                let put = tensors.put_norm(LayerPath::Head(HeadPart::Norm), &found);
                reasons.extend(put.err());
            }
            Err(reason) => reasons.push(reason),
        },
        (None, Some(_)) => reasons.push("the last convolution has a bias, and no norm follows it".to_owned()),
        (None, None) => spec.norm_kind = NormKind::Batch,
    }
    let (linear, dense) = (LayerPath::Head(HeadPart::Linear), &head.dense);
    let weight = tensors.put(linear, Field::Weight, &[dense.outputs, dense.inputs], &dense.weight);
    reasons
        .extend(weight.and_then(|()| tensors.put(linear, Field::Bias, &[dense.outputs], &dense.bias)).err());
    let Some(stem) = stem.filter(|_| reasons.is_empty()) else { return Err(Error::NotSaid { reasons }) };
    let channels = pieces[0].shape[0];
    let spec = NetSpec::new("imported", pieces[0].shape, stem.spec, stages, spec).with(|spec| {
        // As many as the input has; what they are is not the graph's business.
        (spec.preprocess.mean, spec.preprocess.std) = (vec![0.0; channels], vec![1.0; channels]);
    });
    require_shapes(graph, &found, &spec)?;
    Ok(ReadOff { spec, tensors: tensors.found, ending: head.ending, input: stem.input })
}

/// Holds the shapes of the specification's blocks against those of the graph.
fn require_shapes(graph: &Graph, found: &[Found], spec: &NetSpec) -> Result<(), Error> {
    let network = spec.check(spec.input)?;
    for ((path, _, layers), found) in network.blocks().zip(found) {
        let (expected, add) = (layers.last().map(|layer| layer.output()), &graph.pieces[found.add]);
        if expected != Some(add.shape) {
            let expected = expected.unwrap_or_default();
            let reason = format!("{}: a map of {:?}, where {path} gives {expected:?}", add.node, add.shape);
            return Err(Error::NotSaid { reasons: vec![reason] });
        }
    }
    Ok(())
}

impl ReadOff {
    /// The specification for another input.
    pub(in crate::import) fn spec_of(&self, input: [usize; 3]) -> NetSpec {
        self.spec.clone().with(|spec| spec.input = input)
    }

    /// True where the graph ends in sigmoids: any number of classes may be there.
    pub(in crate::import) fn is_multi_label(&self) -> bool {
        self.ending == Ending::Sigmoid
    }
}
