//! One file per command, and what they share: arguments, failures, output, tables.

mod arguments;
mod average;
mod bench;
mod calibrate;
mod command;
#[cfg(feature = "train")]
mod compute;
mod convert;
#[cfg(feature = "train")]
mod data;
mod describe;
#[cfg(feature = "train")]
mod doctor;
mod draw;
mod embed;
mod eval;
mod eval_task;
#[cfg(feature = "onnx")]
mod export;
mod failure;
#[cfg(feature = "train")]
mod findings;
#[cfg(feature = "train")]
mod finetune;
#[cfg(feature = "get")]
mod get;
#[cfg(feature = "onnx")]
mod import;
mod input_size;
mod inspect;
mod interrupt;
mod labelled;
mod lists;
#[cfg(feature = "train")]
mod lr_find;
mod models;
#[cfg(any(feature = "page", feature = "serve"))]
mod named;
mod network;
mod output;
mod own_png;
mod own_text;
#[cfg(feature = "page")]
mod page;
mod predict;
mod preprocessing;
mod progress;
mod quantize;
#[cfg(feature = "train")]
mod ranks;
#[cfg(feature = "train")]
mod recipes;
#[cfg(feature = "train")]
mod runs;
mod safetensors_name;
mod same_file;
mod search;
#[cfg(feature = "serve")]
mod serve;
mod sheet;
#[cfg(feature = "train")]
mod sparkline;
#[cfg(feature = "train")]
mod study;
mod summary;
mod surface;
mod table;
mod threads;
mod thumbnail;
#[cfg(feature = "train")]
mod train;
mod verify;

pub(crate) use arguments::run;
