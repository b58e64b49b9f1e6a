//! WebP files, headers and pixels: any bytes are an image or an error. Panics of the crate `image-webp` are caught by the
//! decoder; all others end the run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::allow_panics_of(&["/image-webp-"]);
    residual_fuzz::decode_image(bytes);
});
