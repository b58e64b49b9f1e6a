//! Networks in 8 bits, as a plan runs them.
//!
//! [`Quantised`] is plain data beside a model ([`Model::quantised`](residual_weights::Model::quantised)), keyed by the
//! paths of the engine's own list of operations ([`Plan::steps`](crate::Plan::steps)). A plan of such a model computes in float32 with the values
//! that its integers stand for, and rounds every map that has a scale to the values of its bytes: what an integer plan
//! gives, but for the order of sums.

pub use residual_weights::{MapScale, QuantConv, Quantised};

use crate::graph::{Graph, INPUT};

/// Scale of each map of a graph, by its number. The last map of a plan that ends at a layer is float32: nothing behind
/// that layer is folded into it, so that it is not the map that has the scale.
pub(crate) fn scales(
    graph: &Graph,
    quantised: Option<&Quantised>,
    until_layer: bool,
) -> Vec<Option<MapScale>> {
    let Some(quantised) = quantised else { return vec![None; graph.maps.len()] };
    let mut scales = vec![None; graph.maps.len()];
    scales[INPUT] = quantised.input;
    for node in &graph.nodes {
        scales[node.output] = quantised.map(node.path);
    }
    if until_layer {
        scales[graph.last] = None;
    }
    scales
}
