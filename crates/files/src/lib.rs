//! Reading files that somebody else wrote: regular files only, up to a limit, within a memory budget, and their
//! names printed without the control characters that they may hold.
//!
//! Every reader of the workspace opens its files here, so that a FIFO, a link to `/dev/zero` or a file of
//! gigabytes is the same error everywhere.

mod budget;
mod error;
mod human;
mod name;
mod open;
mod system;

pub use budget::{Budget, Charged};
pub use error::Error;
pub use human::HumanBytes;
pub use name::{Escaped, escaped};
pub use open::{open, read, read_text};
pub use system::{available_memory, require_memory};
