//! A whole network: from the output back to the input, then its specification.

use residual_arch::{BlockPath, BlockSpec, Field, HeadPart, HeadSpec, LayerPath, NetSpec, StageSpec};

use super::block::{Found, Offset, block, block_at};
use super::head::{Ending, Head, head};
use super::norm::{Linear, norm};
use super::stem::stem;
use super::tensors::Tensors;
use crate::error::Error;
use crate::import::interpret::Graph;
use crate::import::piece::Piece;

/// The most blocks of a network.
const MAX_BLOCKS: usize = 10_000;

/// A network as it is read off a graph.
pub(in crate::import) struct ReadOff {
    pub(in crate::import) spec: NetSpec,
    pub(in crate::import) tensors: Vec<(residual_arch::TensorPath, residual_weights::Tensor)>,
    pub(in crate::import) ending: Ending,
    /// Linear map of the input by channel, ahead of the network.
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
    let (found, end) = blocks(pieces, head.end).map_err(said)?;
    let mut reader = Reader { pieces, tensors: Tensors::of(graph.bytes), offset: None, reasons: Vec::new() };
    let stem = stem(pieces, end, flips, &mut reader.tensors);
    let stem = stem.map_err(|reason| reader.reasons.push(reason)).ok();
    reader.offset = stem.as_ref().and_then(|stem| stem.offset.clone());
    let stages = reader.stages(&found, stem.as_ref().map_or(0, |stem| stem.spec.channels()));
    let spec = reader.head(&head);
    let Reader { tensors, reasons, .. } = reader;
    let Some(stem) = stem.filter(|_| reasons.is_empty()) else { return Err(Error::NotSaid { reasons }) };
    let channels = pieces[0].shape[0];
    let spec = NetSpec::new("imported", pieces[0].shape, stem.spec, stages, spec).with(|spec| {
        // As many as the input has; what they are is not the graph's business.
        (spec.preprocess.mean, spec.preprocess.std) = (vec![0.0; channels], vec![1.0; channels]);
    });
    require_shapes(graph, &found, &spec)?;
    Ok(ReadOff { spec, tensors: tensors.found, ending: head.ending, input: stem.input })
}

/// The blocks that lead to a piece, in the order in which they run, and the piece that the first of them reads.
fn blocks(pieces: &[Piece], mut end: usize) -> Result<(Vec<Found>, usize), String> {
    let mut found: Vec<Found> = Vec::new();
    while let Some(next) = block_at(pieces, end) {
        let next = next?;
        end = next.input;
        found.push(next);
        if found.len() > MAX_BLOCKS {
            return Err(format!("more than {MAX_BLOCKS} blocks"));
        }
    }
    found.reverse();
    match found.is_empty() {
        true => Err(format!("{}: no sum of a branch and a shortcut leads to the head", pieces[end].node)),
        false => Ok((found, end)),
    }
}

/// Reads the parts of a network off, in the order in which they run.
struct Reader<'p> {
    pieces: &'p [Piece],
    tensors: Tensors,
    offset: Offset,
    /// Parts that no specification says.
    reasons: Vec<String>,
}

impl Reader<'_> {
    /// The stages; a block that changes the shape begins one. `channels` are those behind the stem.
    fn stages(&mut self, found: &[Found], mut channels: usize) -> Vec<StageSpec> {
        let mut stages: Vec<StageSpec> = Vec::new();
        for found in found {
            let (shape, input) = (self.pieces[found.add].shape, self.pieces[found.input].shape);
            if stages.is_empty() || shape[0] != channels || input[1..] != shape[1..] {
                stages.push(StageSpec::new(Vec::new()));
            }
            channels = shape[0];
            let number = stages.len();
            let Some(stage) = stages.last_mut() else { continue };
            let path = BlockPath { stage: number, block: stage.blocks.len() };
            let spec = block(self.pieces, found, path, &mut self.offset, &mut self.tensors);
            stage.blocks.push(spec.unwrap_or_else(|reason| {
                self.reasons.push(reason);
                // Stands in its place, so that the others are looked at as well.
                BlockSpec::basic(channels)
            }));
        }
        stages
    }

    fn head(&mut self, head: &Head<'_>) -> HeadSpec {
        let (dense, mut spec) = (&head.dense, HeadSpec::new(head.dense.outputs));
        match (&head.norm, self.offset.take()) {
            (Some(parts), offset) => match norm(parts, offset.as_deref(), dense.inputs) {
                Ok(found) => {
                    (spec.norm, spec.norm_kind) = (true, found.kind);
                    let put = self.tensors.put_norm(LayerPath::Head(HeadPart::Norm), &found);
                    self.reasons.extend(put.err());
                }
                Err(reason) => self.reasons.push(reason),
            },
            (None, Some(_)) => {
                self.reasons.push("the last convolution has a bias, and no norm follows it".to_owned());
            }
            (None, None) => {}
        }
        let layer = LayerPath::Head(HeadPart::Linear);
        let weight = self.tensors.put(layer, Field::Weight, &[dense.outputs, dense.inputs], &dense.weight);
        let put = weight.and_then(|()| self.tensors.put(layer, Field::Bias, &[dense.outputs], &dense.bias));
        self.reasons.extend(put.err());
        spec
    }
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
