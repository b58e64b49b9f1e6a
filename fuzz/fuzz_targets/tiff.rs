//! TIFF files, headers and pixels: any bytes are an image or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

// A panic that the decoder would catch ends the process here: libFuzzer's hook comes first.
fuzz_target!(|bytes: &[u8]| residual_fuzz::decode_image(bytes));
