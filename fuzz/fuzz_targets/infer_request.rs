//! Requests of the Open Inference Protocol, JSON and Triton's binary tensors: any bytes are pictures or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_serve::{PictureKind, read_infer_request};

const NETWORK: [usize; 3] = [3, 4, 5];

// The first two bytes are the length of the JSON object before the tensors; 0xffff for JSON alone.
fuzz_target!(|bytes: &[u8]| {
    let Some((&length, body)) = bytes.split_first_chunk::<2>() else { return };
    let length = Some(usize::from(u16::from_le_bytes(length))).filter(|&length| length != 0xffff);
    let Ok(pictures) = read_infer_request(body.to_vec(), length, NETWORK) else { return };
    assert!(!pictures.is_empty());
    for (kind, size) in pictures {
        assert!(kind != PictureKind::Tensor || size == NETWORK.iter().product::<usize>());
        assert!(size <= body.len());
    }
});
