//! Writes `crates/onnx/src/proto.rs` from `onnx.proto` beside this program.

use std::path::Path;
use std::{fs, io};

const HEADER: &str = "\
//! Messages of ONNX 1.23.2, those that a graph of layers is made of.
//!
//! Generated from `bench/onnx-proto/onnx.proto` by prost-build 0.14.6, by the program beside that file.

";

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join("onnx-proto");
    fs::create_dir_all(&folder)?;
    prost_build::Config::new()
        .bytes([".onnx.TensorProto.raw_data"])
        .out_dir(&folder)
        .compile_protos(&[here.join("onnx.proto")], &[here])?;
    let generated = fs::read_to_string(folder.join("onnx.rs"))?;
    let body = generated.split_once('\n').map_or(generated.as_str(), |(_, body)| body);
    fs::write(here.join("../../crates/onnx/src/proto.rs"), format!("{HEADER}{body}"))
}
