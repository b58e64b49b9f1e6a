//! The service over HTTP: its addresses, and what happens to every request.

mod answers;
mod auth;
mod body;
mod catalogue;
mod health;
mod infer;
mod multipart;
mod observe;
mod openapi;
mod overlay;
mod page;
mod png;
mod router;
mod upload;

pub(crate) use auth::digest;
pub(crate) use catalogue::EXTENSIONS;
pub use router::router;
