//! JPEG files, headers and pixels: any bytes are an image or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_data::decode;

/// The most pixels of an image that is decoded: larger ones are right, and take seconds.
const MOST: usize = 1 << 20;

// A panic that the decoder would catch ends the process here: libFuzzer's hook comes first.
fuzz_target!(|bytes: &[u8]| {
    if residual_fuzz::claims_more_pixels(bytes, MOST) {
        return;
    }
    match decode(bytes, "input") {
        Ok(image) => {
            assert!(matches!(image.channels(), 1 | 3));
            assert_eq!(image.pixels().len(), image.width() * image.height() * image.channels());
        }
        Err(error) => assert!(error.bad_image().is_some(), "{error}"),
    }
});
