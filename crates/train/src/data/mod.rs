//! Images of a training: opened, listed, resized by schedule.

pub(crate) mod images;
pub(crate) mod inventory;
pub(crate) mod resizing;
