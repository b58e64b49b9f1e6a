//! Networks as graphs.
//!
//! | file | holds |
//! | --- | --- |
//! | `options` | [`ExportOptions`] and [`Answers`] |
//! | `write` | [`export()`]: the graph of a whole model, in a file |
//! | `graph` | the nodes and constants of a graph as it is written |
//! | `attribute` | attributes of nodes |
//! | `layers` | the nodes of each operation of a layer |
//! | `fold` | weights with their standardisation and their batch norm folded in |
//! | `quantised` | networks in 8 bits: integers, scales, maps of bytes |
//! | `pixels` | the preprocessing of images as nodes |
//! | `resize` | the resize of images as nodes, as Pillow computes it |
//! | `answers` | probabilities and numbers behind the logits |
//! | `metadata` | what the file says beside the graph |

mod answers;
mod attribute;
mod fold;
mod graph;
mod layers;
mod metadata;
mod options;
mod pixels;
mod quantised;
mod resize;
mod write;

pub use options::{Answers, ExportOptions};
pub use write::export;
