//! Safetensors: any bytes are tensors or an error, and tensors that are written are read again to the bit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_weights::{Checkpoint, StateDict, Tensor, safetensors};

/// Names, shapes and bits of all tensors.
fn bits(state: &StateDict) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let of = |(name, tensor): (&str, &Tensor)| {
        let values = tensor.data().iter().map(|value| value.to_bits()).collect();
        (name.to_owned(), tensor.shape().to_vec(), values)
    };
    state.iter().map(of).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = safetensors::from_bytes(bytes) else { return };
    if let Ok(written) = safetensors::to_bytes(&state) {
        let mut again = bits(&safetensors::from_bytes(&written).expect("bytes that were written"));
        let mut before = bits(&state);
        again.sort();
        before.sort();
        assert_eq!(again, before);
    }
    let _ = Checkpoint::from_state_dict(state);
});
