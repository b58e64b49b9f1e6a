//! The page that shows what a residual network sees: drop a picture, see its classes and where they are seen.
//!
//! There is one page. Of a service ([`service_page`]) it asks that over HTTP; of files alone ([`write_folder`]) it asks the
//! engine as WebAssembly, in a worker of the browser, so that any static server serves it and no picture leaves the
//! machine. The playground ([`write_playground`]) is a page of the same engine, where the text of a network is edited. How
//! that engine is built is in `crates/wasm`, and why its product is a part of this crate in
//! `docs/decisions/021-page-from-one-binary.md`.

mod engine;
mod error;
mod folder;
mod html;

pub use error::Error;
pub use folder::{PageModel, SaveWeights, write_folder, write_playground};
pub use html::{service_page, service_script};
