//! Shards of WebDataset: the input is cut into two of them, beside names of classes or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let bytes = residual_fuzz::with_checksums(bytes);
    residual_fuzz::in_folder(|folder| {
        let (first, second) = bytes.split_at(bytes.len() / 1024 * 512 * usize::from(choice & 1));
        std::fs::write(folder.join("train-0.tar"), if first.is_empty() { second } else { first })
            .expect("a file");
        std::fs::write(folder.join("val-0.tar"), second).expect("a file");
        if choice & 2 != 0 {
            std::fs::write(folder.join("classes.txt"), "cat\ndog\nowl\n").expect("a file");
        }
        let _ = residual_fuzz::read_shards(&folder.join("{train,val}-0.tar"), choice & 4 != 0);
    });
});
