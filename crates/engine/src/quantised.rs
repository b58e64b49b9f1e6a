//! Networks in 8 bits, as a plan runs them.
//!
//! [`Quantised`] is plain data beside a model ([`Model::quantised`](residual_weights::Model::quantised)), keyed by the
//! paths of the engine's own list of operations ([`Plan::steps`](crate::Plan::steps)). Without
//! [`Options::integers`](crate::Options::integers) a plan of such a model computes in float32 with the values that its
//! integers stand for, and rounds every map that has a scale to the values of its bytes: what an integer plan gives, but
//! for the roundings of float32.

pub use residual_weights::{MapScale, QuantConv, Quantised};

use crate::error::Error;
use crate::graph::{Graph, INPUT};
use crate::steps::name;

/// Refuses a graph of which a convolution in 8 bits reads a map that has no scale.
///
/// # Errors
/// [`Error::NoScale`].
pub(crate) fn require_scales(graph: &Graph, quantised: Option<&Quantised>) -> Result<(), Error> {
    let scales = scales(graph, quantised, false);
    let is_integer = |path| quantised.is_some_and(|quantised| quantised.conv(path).is_some());
    let mut convs = graph.convs().filter(|node| is_integer(node.path));
    match convs.find(|node| scales[node.input].is_none()) {
        Some(node) => Err(Error::NoScale { layer: node.path, map: name(graph, node.input) }),
        None => Ok(()),
    }
}

/// Scale of each map of a graph, by its number. The last map of a plan that ends at a layer is float32: nothing behind
/// that layer is folded into it, so that it is not the map that has the scale.
pub(crate) fn scales(
    graph: &Graph,
    quantised: Option<&Quantised>,
    until_layer: bool,
) -> Vec<Option<MapScale>> {
    let mut scales = vec![None; graph.maps.len()];
    let Some(quantised) = quantised else { return scales };
    scales[INPUT] = quantised.input;
    for node in &graph.nodes {
        scales[node.output] = quantised.map(node.path);
    }
    if until_layer {
        scales[graph.last] = None;
    }
    scales
}
