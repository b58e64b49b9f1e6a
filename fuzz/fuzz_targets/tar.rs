//! Tar archives of images, packed or not. The checksums of headers are put right, since nothing is found behind a
//! wrong one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("images.tar");
        std::fs::write(&path, residual_fuzz::with_checksums(bytes)).expect("a file");
        let _ = residual_fuzz::read_images(&path);
    });
});
