//! PyTorch's files from before the zip files: a few pickles, one behind the other, and the storages.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = residual_weights::read_bytes(bytes) {
        for (_, tensor) in state.iter() {
            assert_eq!(tensor.data().len(), tensor.shape().iter().product::<usize>());
        }
    }
});
