//! Every node of a graph brought to the normal form.
//!
//! | file | holds |
//! | --- | --- |
//! | `walk` | [`interpret`]: the nodes that lead to the output, in the order in which they run |
//! | `node` | a node with its attributes and its inputs, and why it is not understood |
//! | `layers` | convolutions, matrices, normalisations, activations, pools |
//! | `padding` | rows, columns and channels added and left out |
//! | `arithmetic` | sums and products, of maps, constants and numbers |
//! | `axes` | reshapes, transpositions: the same map by other axes |
//! | `numbers` | shapes as they are computed |
//! | `quantised` | integers of a quantised graph |
//! | `constants` | constants made of others |

mod arithmetic;
mod axes;
mod constants;
mod layers;
mod node;
mod numbers;
mod padding;
mod quantised;
mod walk;

pub(super) use walk::{Graph, interpret};
