//! Residual networks in Rust: load one and ask it about images, train it, build blocks of one's own.
//!
//! ```no_run
//! use residual::Classifier;
//!
//! let classifier = Classifier::open("weights.safetensors")?;
//! let answer = classifier.classify("photo.jpg")?;
//! println!("{}", answer.best());
//! # Ok::<(), residual::predict::Error>(())
//! ```
//!
//! A [`Classifier`] takes paths, bytes of files, pixels and tensors, answers about many images in batches, embeds them,
//! and maps where it sees a class ([`predict`]). Weights of PyTorch, torchvision and timm are opened as the network
//! that they are for: `Classifier::open_as("resnet18.pth", "resnet18")`.
//!
//! # Training
//!
//! From a folder that has a folder of images for each class, into a folder for the run. The best network of the run
//! classifies as above:
//!
//! ```no_run
//! # #[cfg(feature = "train")]
//! # fn train() -> Result<(), Box<dyn std::error::Error>> {
//! use residual::train::{Outcome, Training};
//!
//! let mut trainer = Training::new("cifar_resnet20").data("photos").begin("runs/first")?;
//! if let Outcome::Finished { best, .. } = trainer.run()? {
//!     println!("{:.1}% of the held-out images after epoch {}", 100.0 * best.top1, best.epoch);
//! }
//! let classifier = residual::Classifier::open("runs/first")?;
//! # Ok(())
//! # }
//! ```
//!
//! # A block of one's own
//!
//! A residual block computes `y = act(F(x) + S(x))`: a branch `F`, a shortcut `S`. Any module is a branch once it
//! says so:
//!
//! ```
//! # #[cfg(feature = "train")]
//! # fn own_block() {
//! use residual::burn::{self, module::Module, tensor::{Device, Tensor}};
//! use residual::nn::{Activation, Branch, Init, Linear, Mode, Residual};
//!
//! #[derive(Module, Debug)]
//! struct Mlp {
//!     up: Linear,
//!     down: Linear,
//! }
//!
//! impl Branch<2> for Mlp {
//!     fn forward(&self, x: Tensor<2>, mode: Mode) -> Tensor<2> {
//!         self.down.forward(Activation::Relu.forward(self.up.forward(x, mode)), mode)
//!     }
//! }
//!
//! let device = Device::flex();
//! let init = Init::new(0, &device);
//! let (up, down) = (Linear::new(8, 32, init.at("up")), Linear::new(32, 8, init.at("down")));
//! let block = Residual::new(Mlp { up, down });
//! let y = block.forward(Tensor::<2>::ones([4, 8], &device), Mode::Eval);
//! assert_eq!(y.dims(), [4, 8]);
//! # }
//! # #[cfg(feature = "train")]
//! # own_block();
//! ```
//!
//! # The parts
//!
//! This crate is the facade; each part is a crate of its own:
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`arch`] | networks as data: [`arch::NetSpec`], families by name, checked networks, tensor names |
//! | [`weights`] | files of named tensors: safetensors, PyTorch checkpoints; [`Model`], a network with its weights |
//! | [`predict`] | [`Classifier`]: classes, embeddings, feature maps and heat maps of images |
//! | [`data`] | images in, batches out, deterministic |
//! | [`evaluation`] | answers about labelled images, what they are worth, and the page of it |
//! | [`report`] | figures and pages |
//! | [`search`] | indices of embeddings, similar images, near duplicates |
//! | [`measure`] | numbers about answers: confusion, precision and recall, average precision, calibration, intervals |
//! | [`kernels`] | f32 kernels on slices, without a framework |
//! | [`engine`] | models compiled into plans that run without a framework |
//! | `hub` | published weights and datasets, downloaded and cached |
//! | `onnx` | models as ONNX graphs, and graphs as models |
//! | `page` | a page that runs a network in the browser |
//! | `serve` | a service over HTTP and gRPC |
//! | `nn` | the networks as Burn modules |
//! | `train` | recipe, schedule, training loop, evaluation, checkpoints |
//! | `ranks` | processes that train together, over threads or MPI |
//! | `doctor` | checks for common errors of networks, weights, data and training, with help for each |
//! | `study` | experiments on why residual networks work |
//!
//! # Features
//!
//! | feature | on by default | gives |
//! | --- | --- | --- |
//! | `cli` | yes | the command line, `residual --help`: a program that uses the library leaves it out |
//! | `get` | yes | `hub` and `residual get`: published weights and datasets, by a client for HTTP and TLS |
//! | `onnx` | yes | `onnx`, `residual export` and `residual import`: graphs of ONNX |
//! | `page` | yes | `page` and `residual page`: a page that runs a network in the browser, with the engine as WebAssembly |
//! | `serve` | yes | `serve` and `residual serve`: a service over HTTP and gRPC, with tokio, axum and rustls |
//! | `train` | yes | the last five modules and Burn; without it there is no tensor framework in the tree |
//! | `mpi` | no | `ranks` of `mpirun`: training over several processes and hosts; needs MPI and libclang to build |
//! | `image` | no | images of the crate `image` as inputs of a classifier |

#![deny(missing_docs)]

#[cfg(feature = "train")]
pub use burn;
pub use residual_arch as arch;
pub use residual_data as data;
#[cfg(feature = "train")]
pub use residual_doctor as doctor;
pub use residual_engine as engine;
pub use residual_evaluation as evaluation;
#[cfg(feature = "get")]
pub use residual_hub as hub;
pub use residual_kernels as kernels;
pub use residual_measure as measure;
#[cfg(feature = "train")]
pub use residual_nn as nn;
#[cfg(feature = "onnx")]
pub use residual_onnx as onnx;
#[cfg(feature = "page")]
pub use residual_page as page;
pub use residual_predict as predict;
pub use residual_predict::{Classifier, Model};
pub use residual_quantize as quantize;
#[cfg(feature = "train")]
pub use residual_ranks as ranks;
pub use residual_report as report;
pub use residual_search as search;
#[cfg(feature = "serve")]
pub use residual_serve as serve;
#[cfg(feature = "train")]
pub use residual_study as study;
#[cfg(feature = "train")]
pub use residual_train as train;
pub use residual_weights as weights;
