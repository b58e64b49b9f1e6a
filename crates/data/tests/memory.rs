//! Memory that hostile CIFAR archives take. One test, since the process's peak is measured.
#![cfg(target_os = "linux")]

mod support;

use std::fs;

use support::{gz_bytes, open, tar_bytes, zip_bytes};

/// Bytes over those of the file itself: 256 MiB.
const ALLOWED: u64 = 256 << 20;

fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// What `body` gives, and the bytes by which the process grew meanwhile, at the most.
fn measured<T>(body: impl FnOnce() -> T) -> (T, u64) {
    // Makes the peak what is resident now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let value = body();
    (value, status("VmHWM:").saturating_sub(before))
}

#[test]
fn memory_is_bounded_whatever_a_pickle_makes() {
    const BYTES: usize = 24 << 20;
    let place = tempfile::tempdir().unwrap();
    for opcode in [b"N".as_slice(), b"(", b"}", b"]K\x01a", b"K\x01\x85", b"U\x00"] {
        let batch = [b"\x80\x02".as_slice(), &opcode.repeat(BYTES / opcode.len()), b"."].concat();
        let files = vec![("c/data_batch_1".to_owned(), batch)];
        let tar = tar_bytes(&files);
        for (name, bytes) in [("c.tar.gz", gz_bytes(&tar)), ("c.tar", tar), ("c.zip", zip_bytes(&files))] {
            let path = place.path().join(name);
            fs::write(&path, bytes).unwrap();
            let (result, grown) = measured(|| open(&path).map(drop));
            let error = result.unwrap_err().to_string();
            assert!(error.contains("refused as hostile"), "{name}, {opcode:?}: {error}");
            // The batch itself is held, and its vector grew by doubling.
            assert!(grown < ALLOWED + 3 * BYTES as u64, "{name}, {opcode:?}: {grown}");
        }
    }

    // Names of classes: a hundred million characters each, or a hundred thousand times.
    let long = "x".repeat(BYTES);
    let mut meta = b"\x80\x02}U\x0blabel_names](X".to_vec();
    meta.extend((long.len() as u32).to_le_bytes());
    meta.extend(long.as_bytes());
    meta.extend(b"q\x01");
    meta.extend(b"h\x01".repeat(100_000));
    meta.extend(b"eu.");
    for (name, bytes) in [("batches.meta", meta), ("batches.meta.txt", b"a\n".repeat(BYTES / 2))] {
        let folder = place.path().join("names");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
        fs::write(folder.join("test_batch.bin"), [vec![1], vec![0; 3072]].concat()).unwrap();
        let (result, grown) = measured(|| open(&folder).map(drop));
        assert!(grown < 4 * BYTES as u64, "{name}: {grown}, {result:?}");
        fs::remove_dir_all(folder).unwrap();
    }
}
