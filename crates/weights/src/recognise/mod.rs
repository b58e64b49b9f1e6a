//! Telling a network by its tensors.
//!
//! - [`place`] finds where in a file a network may be: the prefix of its names, and the schemes that they may be of;
//! - [`fit`] holds a specification against the tensors at a place, whatever the head is called and however many classes
//!   and input channels it has ([`head`]);
//! - [`family`] does so with the family members of the same depths, and [`read_off`] with a specification that is read
//!   off the tensors;
//! - [`numbered`] gives the parts of a network their names where a file has numbers for them;
//! - [`recognise()`] puts these together, and [`seems`] says what else tensors may be.

mod family;
mod fit;
mod head;
mod nearest;
mod numbered;
mod place;
mod read_off;
mod recognised;
mod seems;
mod shapes;

pub(crate) use family::namesake;
pub(crate) use place::SCHEMES;
pub use recognised::{Recognised, recognise, recognise_as};
