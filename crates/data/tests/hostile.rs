//! Archives made to take memory or time: opening one allocates no more than it may, whatever it claims.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use peak_alloc::PeakAlloc;
use residual_data::{DataSource, Dataset, Error, OpenOptions};
use support::{gz_bytes, images, tar_bytes, zip_bytes};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What opening may take.
const LIMIT: u64 = 12 << 20;
/// The most that it takes beside: buffers, and a header that is being read.
const BESIDE: usize = 6 << 20;

/// One test at a time: the allocator counts for all.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens an archive, and checks what that took.
fn opened(path: &Path) -> Result<Dataset, Error> {
    let options = OpenOptions::default().with(|options| options.memory_limit = LIMIT);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = Dataset::open(&DataSource::Path(path.into()), &options);
    let taken = ALLOCATOR.peak_usage() - before;
    assert!(taken < LIMIT as usize + BESIDE, "{}: {taken} bytes", path.display());
    result
}

fn header(kind: u8, name: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.as_mut_bytes()[156] = kind;
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A compressed tar of what `write` writes.
fn packed(place: &Path, write: impl FnOnce(&mut GzEncoder<Vec<u8>>)) -> PathBuf {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write(&mut encoder);
    encoder.write_all(&[0; 1024]).unwrap();
    let path = place.join("archive.tar.gz");
    std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    path
}

#[test]
fn headers_of_gigabytes_are_refused_before_they_are_read() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    for kind in *b"LKx" {
        for size in [(1 << 20) + 1, 2 << 30, 1 << 62] {
            let path = packed(place.path(), |tar| {
                tar.write_all(&header(kind, "././@LongLink", size)).unwrap();
                (0..32).for_each(|_| tar.write_all(&vec![b'1'; 1 << 20]).unwrap());
            });
            let error = opened(&path).unwrap_err();
            assert!(
                matches!(&error, Error::CorruptArchive { detail, .. } if detail.contains(&size.to_string())),
                "{error}"
            );
        }
    }
}

#[test]
fn names_are_charged_to_the_budget() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    // A megabyte each.
    let path = packed(place.path(), |tar| {
        for i in 0..40u8 {
            tar.write_all(&header(b'L', "././@LongLink", 1 << 20)).unwrap();
            tar.write_all(&vec![b'a' + i % 26; (1 << 20) - 1]).unwrap();
            tar.write_all(&[i]).unwrap();
            tar.write_all(&header(b'0', "x", 0)).unwrap();
        }
    });
    assert!(matches!(opened(&path), Err(Error::OverMemory { limit: LIMIT, .. })));
    // Many of them.
    let path = packed(place.path(), |tar| {
        (0..60_000).for_each(|i| tar.write_all(&header(b'0', &format!("class/{i:090}.jpg"), 0)).unwrap());
    });
    assert!(matches!(opened(&path), Err(Error::OverMemory { .. })));
    let path = packed(place.path(), |tar| {
        (0..90_000).for_each(|i| tar.write_all(&header(b'5', &format!("{i:090}"), 0)).unwrap());
    });
    assert!(matches!(opened(&path), Err(Error::OverMemory { .. })));
    // One with half a million folders in it.
    let path = packed(place.path(), |tar| {
        tar.write_all(&header(b'L', "././@LongLink", 1 << 20)).unwrap();
        tar.write_all(&b"a/".repeat(1 << 19)).unwrap();
        tar.write_all(&header(b'0', "x", 0)).unwrap();
    });
    assert!(matches!(opened(&path), Err(Error::NoClasses { .. })));
}

#[test]
fn large_members_are_charged_to_the_budget() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    for size in [3000, 1 << 20, 200 << 20] {
        let path = packed(place.path(), |tar| {
            for i in 0..(64 << 20) / size + 1 {
                tar.write_all(&header(b'0', &format!("a/{i}.jpg"), size)).unwrap();
                for _ in 0..size.div_ceil(512) {
                    tar.write_all(&[7; 512]).unwrap();
                }
            }
        });
        let error = opened(&path).unwrap_err();
        assert!(matches!(error, Error::ArchiveTooLarge { .. } | Error::OverMemory { .. }), "{error}");
    }
}

#[test]
fn the_directory_of_a_zip_is_charged_to_the_budget() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("archive.zip");
    let record = |name: &str| {
        let mut record = b"PK\x01\x02".to_vec();
        record.resize(46, 0);
        record[28] = name.len() as u8;
        [record, name.as_bytes().to_vec()].concat()
    };
    let end = |count: u16, length: u32| {
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(count.to_le_bytes().repeat(2));
        end.extend(length.to_le_bytes());
        end.extend(4u32.to_le_bytes());
        end.extend([0, 0]);
        end
    };
    let directory: Vec<u8> = (0..65_000).flat_map(|i| record(&format!("c/{i:090}.png"))).collect();
    let whole = [&b"PK\x03\x04"[..], &directory, &end(65_000, directory.len() as u32)].concat();
    std::fs::write(&path, whole).unwrap();
    assert!(matches!(opened(&path), Err(Error::OverMemory { .. })));
    // A directory of two records that claims 65,535, and one that claims more bytes than there are.
    let directory = [record("a/1.png"), record("b/1.png")].concat();
    for (count, length) in [(65_535, directory.len() as u32), (2, u32::MAX)] {
        let bytes = [&b"PK\x03\x04"[..], &directory, &end(count, length)].concat();
        std::fs::write(&path, bytes).unwrap();
        let error = opened(&path).unwrap_err();
        assert!(matches!(error, Error::CorruptArchive { .. }), "{error}");
    }
}

/// Numbers of a linear congruence, so that a finding can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }

    /// Changes a few bytes, moves a part, or cuts the end off.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (at, from, length) = (self.below(bytes.len()), self.below(bytes.len()), self.below(600));
            match self.below(8) {
                0 => bytes.truncate(at.max(bytes.len() / 2)),
                1 => {
                    let end = (from + length).min(bytes.len()).min(from + bytes.len() - at);
                    bytes.copy_within(from..end, at);
                }
                2 => drop(bytes.splice(at..at, [0; 512])),
                3 => bytes[at] = [0, 0xff, b'/', b'.', b'2', b'L', b'x', b'S'][self.below(8)],
                _ => bytes[at] = self.below(256) as u8,
            }
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// Changes headers of a tar, with their checksums made right again: damage that is not noticed at once.
    fn damage_headers(&mut self, bytes: &mut [u8]) {
        for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
            if self.below(3) > 0 {
                continue;
            }
            let at = [self.below(100), 124 + self.below(12), 156, 157 + self.below(100)][self.below(4)];
            block[at] = match self.below(3) {
                0 => b"01234567LKxgSM"[self.below(14)],
                1 => b"./\\\0\x80\xff a"[self.below(8)],
                _ => self.below(256) as u8,
            };
            let sum: u32 = block
                .iter()
                .enumerate()
                .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { u32::from(b) })
                .sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Archives with all that is read in them.
fn originals() -> [Vec<u8>; 2] {
    let mut files = images(&["train/a/1.png", "train/b/1.jpg", "train/b/.store/1.png", "test/a/1.png"]);
    files.push(("train/a/notes.txt".into(), vec![b'x'; 700]));
    let mut builder = tar::Builder::new(Vec::new());
    builder.get_mut().extend_from_slice(&tar_bytes(&files)[..]);
    let end = builder.get_ref().len() - 1024;
    builder.get_mut().truncate(end);
    let mut link = tar::Header::new_gnu();
    link.set_size(0);
    for (kind, name, target) in [
        (tar::EntryType::Symlink, "train/a/2.png", "../b/.store/1.png"),
        (tar::EntryType::Link, "train/a/3.png", "train/a/1.png"),
        (tar::EntryType::Symlink, "test/b", "../train/b"),
    ] {
        link.set_entry_type(kind);
        builder.append_link(&mut link, name, target).unwrap();
    }
    let long = format!("train/a/{}.png", "long".repeat(40));
    let mut header = tar::Header::new_gnu();
    header.set_size(files[0].1.len() as u64);
    builder.append_data(&mut header, long, files[0].1.as_slice()).unwrap();
    [builder.into_inner().unwrap(), zip_bytes(&files)]
}

fn try_one(numbers: &mut Numbers, [tar, zip]: &[Vec<u8>; 2], path: &Path) {
    let bytes = match numbers.below(5) {
        0 => {
            let mut tar = tar.clone();
            numbers.damage(&mut tar);
            tar
        }
        1 => {
            let mut tar = tar.clone();
            numbers.damage_headers(&mut tar);
            tar
        }
        2 => {
            let mut tar = tar.clone();
            numbers.damage_headers(&mut tar);
            gz_bytes(&tar)
        }
        3 => {
            let mut gz = gz_bytes(tar);
            numbers.damage(&mut gz);
            gz
        }
        _ => {
            let mut zip = zip.clone();
            numbers.damage(&mut zip);
            zip
        }
    };
    std::fs::write(path, bytes).unwrap();
    match opened(path) {
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error:?}"),
        Ok(data) => {
            for split in data.splits() {
                let set = data.split(split).unwrap();
                (0..set.len()).for_each(|i| drop(set.read(i)));
            }
        }
    }
}

/// Damaged archives open or are an error, within the budget, and without a panic. More of them with
/// `RESIDUAL_HOSTILE=100000`.
#[test]
fn damaged_archives_stay_within_the_budget() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let originals = originals();
    let path = place.path().join("archive");
    for bytes in &originals {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(opened(&path).unwrap().classes, ["a", "b"]);
    }
    let count = std::env::var("RESIDUAL_HOSTILE").ok().and_then(|text| text.parse().ok()).unwrap_or(1500);
    for seed in 0..count {
        let done = std::panic::catch_unwind(|| try_one(&mut Numbers(seed), &originals, &path));
        assert!(done.is_ok(), "seed {seed}");
    }
}
