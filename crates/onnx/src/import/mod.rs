//! Graphs as networks.
//!
//! | file | holds |
//! | --- | --- |
//! | `options` | [`ImportOptions`] and [`InputScale`] |
//! | `open` | [`import()`]: the model of a file |
//! | `message` | a file's message, within a budget |
//! | `array` | constants, in the file or beside it |
//! | `value` | what a name of a graph stands for while it is followed |
//! | `piece` | the graph in its normal form: maps of `[channels, height, width]`, and what makes one of others |
//! | `interpret` | every node of a graph brought to that form |
//! | `read_off` | the specification and the tensors of that form |

mod array;
mod interpret;
mod message;
mod open;
mod options;
mod piece;
mod read_off;
mod value;

pub use open::{Imported, import, import_bytes};
pub use options::{ImportOptions, InputScale};
