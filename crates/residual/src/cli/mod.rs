//! One file per command, and what they share: arguments, failures, output, tables.

mod arguments;
mod describe;
mod failure;
mod models;
mod network;
mod output;
mod summary;
mod table;
mod threads;
mod verify;

pub(crate) use arguments::run;
