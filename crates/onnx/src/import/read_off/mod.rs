//! The specification and the tensors of a graph in its normal form.
//!
//! | file | holds |
//! | --- | --- |
//! | `network` | [`read_off`]: from the output back to the input, then the specification |
//! | `token` | a run of pieces as the layers of a specification |
//! | `norm` | the tensors of a norm, whatever it was folded into or split up to |
//! | `dense` | linear layers and channel attentions |
//! | `head`, `block`, `stem` | the parts of a network |
//! | `tensors` | tensors by path as they are found |

mod block;
mod dense;
mod head;
mod network;
mod norm;
mod stem;
mod tensors;
mod token;

pub(super) use network::{ReadOff, read_off};
