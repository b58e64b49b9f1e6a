//! Drawings of networks.
//!
//! | file | holds |
//! | --- | --- |
//! | `diagram` | [`NetworkDiagram`], and the column of stem, stages and head |
//! | `block` | a block: branch, shortcut, addition |
//! | `runs` | equal blocks in a row, which are drawn once |
//! | `units` | layers that are drawn as one box |
//! | `label` | a layer in a few words |
//! | `pen` | boxes, lines and arrows at the places where they go |

mod block;
mod diagram;
mod label;
mod pen;
mod runs;
mod units;

pub use diagram::NetworkDiagram;
