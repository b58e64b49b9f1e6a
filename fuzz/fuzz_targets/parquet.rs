//! Parquet tables. Panics of the crate `parquet` are caught by the reader; all others end the run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::allow_panics_of(&["/parquet-", "/bytes-"]);
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("images.parquet");
        std::fs::write(&path, bytes).expect("a file");
        let _ = residual_fuzz::read_images(&path);
    });
});
