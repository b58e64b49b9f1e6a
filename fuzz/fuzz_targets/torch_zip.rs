//! PyTorch's zip files: any bytes, and any pickle and storage in an archive that is whole.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A whole archive with this pickle, and a storage of 64 floats.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let members: [(&str, &[u8]); 3] =
        [("archive/data.pkl", pickle), ("archive/data/0", &[0; 256]), ("archive/version", b"3\n")];
    for (name, bytes) in members {
        zip.start_file(name, stored).expect("a member");
        zip.write_all(bytes).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    let _ = residual_weights::read_bytes(bytes);
    if let Ok(state) = residual_weights::read_bytes(&archive(bytes)) {
        for (_, tensor) in state.iter() {
            assert_eq!(tensor.data().len(), tensor.shape().iter().product::<usize>());
        }
    }
});
