//! Residual networks in Rust: define, check, train, evaluate and ship them.
//!
//! A residual block computes `y = act(F(x) + S(x))`: a branch `F`, a shortcut `S`. This crate is the
//! facade; each part is a crate of its own:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arch`] | networks as data: [`arch::NetSpec`], families by name, shape checks, tensor names |
//! | [`weights`] | named tensors on disk: safetensors, PyTorch checkpoints, trained networks |
//! | [`data`] | images in, batches out, deterministic |
//! | [`kernels`] | f32 kernels on slices, without a framework |
//! | [`engine`] | trained networks compiled into plans that run without a framework |
//! | `nn` | the networks as Burn modules |
//! | `train` | recipe, schedule, training loop, evaluation, checkpoints |
//! | `doctor` | the common errors of networks, weights, data and training, and their mends |
//! | `study` | experiments on why residual networks work |
//! | `report` | figures and pages |
//!
//! The last five come with the feature `train`, which is on by default. Without it there is no tensor
//! framework in the tree, and the engine computes everything.
//!
//! The binary of the same name is the command line over them: `residual --help`.
//!
//! ```
//! use residual::arch::{BlockPath, families::family, tensors};
//!
//! let spec = family("resnet18")?;
//! let parameters: u64 = tensors(&spec).iter().filter(|t| t.role.is_parameter()).map(|t| t.elements()).sum();
//! assert_eq!(parameters, 11_689_512);
//! let (path, block) = spec.blocks().nth(2).unwrap();
//! assert_eq!(path, BlockPath { stage: 2, block: 0 });
//! assert_eq!(block.shortcut.stride(), Some(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

#[cfg(feature = "train")]
pub use burn;
pub use residual_arch as arch;
pub use residual_data as data;
#[cfg(feature = "train")]
pub use residual_doctor as doctor;
pub use residual_engine as engine;
pub use residual_kernels as kernels;
#[cfg(feature = "train")]
pub use residual_nn as nn;
pub use residual_predict as predict;
pub use residual_predict::{Classifier, Model};
#[cfg(feature = "train")]
pub use residual_report as report;
#[cfg(feature = "train")]
pub use residual_study as study;
#[cfg(feature = "train")]
pub use residual_train as train;
pub use residual_weights as weights;
