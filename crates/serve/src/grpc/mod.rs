//! The Open Inference Protocol over gRPC, on the port of HTTP.
//!
//! The messages are those of the protocol's schema, `open_inference_grpc.proto`, written as `prost` derives them: building
//! needs no compiler for it.

mod convert;
mod messages;
mod methods;

pub(crate) use methods::routes;
