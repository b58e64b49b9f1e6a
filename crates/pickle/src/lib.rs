//! Python pickles read as plain values, for files that somebody else wrote.
//!
//! Python's own unpickler runs whatever the file tells it to. Here a machine builds plain values ([`Value`]): a
//! global is a name, a call is a record of function and arguments, nothing is looked up or run. Text and bytes stay
//! where they are in the file, and whatever is made is charged to a [`residual_files::Budget`] before it is.
//!
//! ```
//! // {'labels': [3, 8]}, as Python 2 writes it.
//! let bytes = b"\x80\x02}U\x06labels](K\x03K\x08es.";
//! let pickled = residual_pickle::interpret(bytes, &mut residual_pickle::budget())?;
//! let labels = pickled.entry("labels").and_then(|id| pickled.heap.sequence(id)).unwrap();
//! assert_eq!(labels.iter().filter_map(|&id| pickled.heap.int(id)).collect::<Vec<_>>(), [3, 8]);
//! # Ok::<(), residual_pickle::Error>(())
//! ```

mod error;
mod machine;
mod opcode;
mod value;

pub use error::Error;
pub use machine::{Pickled, budget, interpret};
pub use value::{Call, Heap, Id, Value};
