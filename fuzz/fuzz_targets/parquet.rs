//! Parquet tables. Panics of the crate `parquet` are caught by the reader; all others end the run.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

/// Lets panics of the crate `parquet` pass, in the place of libFuzzer's hook, which ends the run at any.
fn allow_panics_of_the_crate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let is_of_crate = |file: &str| file.contains("/parquet-") || file.contains("/bytes-");
            if !info.location().is_some_and(|place| is_of_crate(place.file())) {
                eprintln!("{info}");
                std::process::abort();
            }
        }));
    });
}

fuzz_target!(|bytes: &[u8]| {
    allow_panics_of_the_crate();
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("images.parquet");
        std::fs::write(&path, bytes).expect("a file");
        let _ = residual_fuzz::read_images(&path);
    });
});
