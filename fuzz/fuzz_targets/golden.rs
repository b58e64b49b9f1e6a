//! Golden references in JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_testkit::golden::Golden;

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("golden.json");
        std::fs::write(&path, bytes).expect("a file");
        if let Ok(golden) = Golden::read(&path) {
            let _ = residual_testkit::Subject::from_name(&golden.model);
        }
    });
});
