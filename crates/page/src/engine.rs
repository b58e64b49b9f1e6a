//! The engine as WebAssembly, and the scripts around it: the files of the npm package.

use std::io::{self, Read};

/// Largest size of the engine: it is decompressed up to here.
const MOST: u64 = 16 << 20;

const COMPRESSED: &[u8] = include_bytes!("../npm/residual_bg.wasm.gz");

/// Scripts beside the engine, by their names.
pub(crate) const SCRIPTS: [(&str, &str); 4] = [
    ("direct.js", include_str!("../npm/direct.js")),
    ("index.js", include_str!("../npm/index.js")),
    ("residual.js", include_str!("../npm/residual.js")),
    ("worker.js", include_str!("../npm/worker.js")),
];

/// Name of the engine's file.
pub(crate) const FILE: &str = "residual_bg.wasm";

/// Bytes of the engine's file.
pub(crate) fn engine() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(COMPRESSED).take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_whole_and_small() {
        assert!(engine().unwrap().starts_with(b"\0asm"));
        assert!(COMPRESSED.len() < 2_000_000, "{} bytes", COMPRESSED.len());
    }
}
