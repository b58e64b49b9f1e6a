//! A trained residual network compiled once into a [`Plan`], which then runs without allocation, without a
//! framework and on the processor alone.
//!
//! What a plan does to a network, from the specification and the weights:
//!
//! - every batch norm behind a convolution is folded into its weights, the ReLU and the residual addition are
//!   done while the convolution's results are still in registers;
//! - a batch norm before a convolution (pre-activation networks) is one pass with its ReLU where what it
//!   reads has another reader as well, and folded like the others where it has none;
//! - the algorithm of each convolution is chosen by [`residual_kernels::select`] or by measuring ([`Tune`]),
//!   and its weights are packed (and for Winograd transformed) for it;
//! - a batch goes through the stem and the first stages a few images at a time, so that their maps stay in the
//!   cache, and through the others as a whole, so that their weights are read once;
//! - activations lie in one piece of memory, in places that are used again as soon as their last reader is
//!   through; a border of zeros is part of those whose reader pads.
//!
//! ```
//! # use residual_weights::{Model, Tensor};
//! # let network = residual_arch::families::family("cifar_resnet8")?.check([3, 32, 32])?;
//! # let tensors = network.tensors().map(|(path, tensor)| {
//! #     let elements = tensor.shape.iter().product();
//! #     Ok((path, Tensor::new(tensor.shape, vec![0.1; elements])?))
//! # });
//! # let tensors = tensors.collect::<Result<Vec<_>, residual_weights::Error>>()?;
//! # let model = Model::new(network, tensors)?;
//! use residual_engine::{Images, Options, Plan};
//!
//! let plan = Plan::compile(&model, &Options::default().with(|options| options.max_batch = 4))?;
//! let mut scratch = plan.scratch();
//! // Two images of bytes, [height][width][channels].
//! let images = vec![128_u8; 2 * 32 * 32 * 3];
//! let logits = plan.run(Images::Interleaved(&images), &mut scratch)?;
//! assert_eq!(logits.len(), 2 * 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arena;
mod arrangement;
mod error;
mod explain;
mod graph;
mod image_bytes;
mod images;
mod integers;
mod lower;
mod op;
mod options;
mod parameters;
mod plan;
mod profile;
mod program;
pub mod quantised;
mod scratch;
mod segments;
mod steps;
mod tune;

pub use error::Error;
pub use explain::Features;
pub use images::Images;
pub use options::{Options, Tune};
pub use plan::Plan;
pub use profile::{LayerProfile, Profile};
pub use scratch::Scratch;
pub use steps::{Folded, MapName, Seen, Step, StepKind};
pub use tune::processor;
