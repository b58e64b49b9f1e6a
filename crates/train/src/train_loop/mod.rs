//! The loop of a training: what begins it, steps, and what looks on.

pub(crate) mod fit;
pub(crate) mod given;
pub(crate) mod init;
pub(crate) mod memory;
pub(crate) mod observer;
pub(crate) mod prepare;
pub(crate) mod session;
pub(crate) mod statistics;
pub(crate) mod trainer;
pub(crate) mod training;
pub(crate) mod transfer;
pub(crate) mod update;
pub(crate) mod whiten;
