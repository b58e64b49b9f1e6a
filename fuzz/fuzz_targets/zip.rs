//! Zip archives of images.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("images.zip");
        std::fs::write(&path, bytes).expect("a file");
        let _ = residual_fuzz::read_images(&path);
    });
});
