//! A service that answers about images with trained residual networks.
//!
//! A [`Service`] holds models, a bounded queue before them and the threads behind it. [`router`] makes an
//! [`axum::Router`] of it, which a test calls without a socket; [`Server`] puts it on one, with limits on slow clients,
//! TLS and an end that answers what was accepted. It speaks
//!
//! - the Open Inference Protocol v2 of KServe and Triton, over HTTP with JSON and binary tensors, and over gRPC on the
//!   same port;
//! - HTTP for people: `POST /v1/classify`, `/v1/embed`, `/v1/explain`, and a page at `/`;
//! - `/metrics` for Prometheus, `/openapi.json` for tools.
//!
//! ```no_run
//! use residual_serve::{ModelSource, Options, Server, ServerOptions, Service};
//!
//! let photos = ModelSource::file("photos", "runs/photos/best.safetensors");
//! let service = Service::start(vec![photos], Options::default())?;
//! let server = Server::start(&service, &ServerOptions::default())?;
//! println!("http://{}", server.address());
//! server.wait();
//! # Ok::<(), residual_serve::Error>(())
//! ```

mod budget;
mod compute;
mod error;
mod grpc;
mod http;
mod infer;
mod log;
mod metrics;
mod model;
mod options;
mod picture;
mod protocol;
mod queue;
mod rejection;
mod server;
mod service;

pub use error::Error;
pub use http::router;
pub use model::{ModelSource, Reloaded};
pub use options::{LogFormat, Options};
pub use protocol::{PictureKind, read_infer_request};
pub use server::{Server, ServerOptions, StopHandle};
pub use service::Service;
