//! Pooling of blocked maps: maximum, average, adaptive and global average, forward and backward; blur, forward.

mod backward;
mod blur;
mod forward;
mod global;
mod windows;

pub use backward::{average_backward, maximum_backward, maximum_backward_workspace};
pub use blur::blur;
pub use forward::{average, maximum};
pub use global::{global_average, global_average_backward};
pub use windows::Pooling;
