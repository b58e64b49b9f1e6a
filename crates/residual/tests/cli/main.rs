//! The command line, through the binary: what it prints, where, and how it exits.

mod bad_input;
mod bench;
mod data;
mod doctor;
mod draw;
mod embed;
mod evaluating;
mod explain;
mod faults;
mod finetune;
mod found;
#[cfg(feature = "get")]
mod get;
mod help;
mod hostile;
mod inspect;
#[cfg(feature = "onnx")]
mod interop;
mod interrupt;
mod lists;
mod loop_flags;
mod lr_find;
mod networks;
mod pages;
mod predict;
mod preprocess;
mod quantize;
mod runs;
mod search;
mod shards;
mod study;
mod tasks;
#[cfg(feature = "get")]
mod tls;
mod toy;
mod training;
mod verify;
mod weights;
