//! Descriptions beside weights: `config.json`, `preprocessor_config.json` and an index of shards, each of any bytes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use residual_fuzz::in_folder;
use residual_weights::{Model, StateDict, Tensor, safetensors};

/// A file of one tensor.
static WEIGHTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = StateDict::new();
    let tensor = Tensor::new(vec![1], vec![0.5]).expect("a scalar");
    state.insert("layer1.0.conv1.weight", tensor).expect("a name");
    safetensors::to_bytes(&state).expect("a small file")
});

fuzz_target!(|bytes: &[u8]| {
    in_folder(|folder| {
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a free disk");
        write("model.safetensors", &WEIGHTS);
        write("config.json", bytes);
        write("model.safetensors.index.json", bytes);
        let _ = Model::open(folder);
        let _ = residual_weights::read(folder.join("model.safetensors.index.json"));
        write("config.json", br#"{"architecture": "resnet18"}"#);
        write("preprocessor_config.json", bytes);
        let _ = Model::open(folder);
    });
});
