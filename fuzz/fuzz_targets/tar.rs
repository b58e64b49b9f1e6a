//! Tar archives of images, packed or not. The checksums of headers are put right, since nothing is found behind a
//! wrong one.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// Puts the checksum of every block right that looks like a header.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("images.tar");
        std::fs::write(&path, with_checksums(bytes)).expect("a file");
        let _ = residual_fuzz::read_images(&path);
    });
});
