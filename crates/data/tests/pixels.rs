//! Decoded pixels against those of libjpeg-turbo and of the program that made the file (`fixtures/make.py`), and
//! what damage does to them.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use residual_data::{Error, Image, decode};
use sha2::{Digest, Sha256};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(folder("jpeg").join(name)).unwrap()
}

/// Names and bytes of all files of a kind.
fn fixtures(kind: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

/// Size, channels and digest, as `expected.txt` has them.
fn described(image: &Image) -> String {
    let digest = Sha256::digest(image.pixels());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {} {} {digest}", image.width(), image.height(), image.channels())
}

fn check_against_expected(kind: &str, at_least: usize) {
    let expected = fs::read_to_string(folder(kind).join("expected.txt")).unwrap();
    let lines: Vec<_> = expected.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() >= at_least);
    let mut different = Vec::new();
    for line in &lines {
        let (name, wanted) = line.split_once(' ').unwrap();
        let bytes = fs::read(folder(kind).join(name)).unwrap();
        match decode(&bytes, name) {
            Ok(image) if described(&image) == wanted => {}
            Ok(_) => different.push(format!("{name}: other pixels")),
            Err(error) => different.push(error.to_string()),
        }
    }
    assert!(different.is_empty(), "{} of {}:\n{}", different.len(), lines.len(), different.join("\n"));
}

/// All sampling factors, scans, restarts, colour spaces, sizes and qualities.
#[test]
fn jpeg_is_what_libjpeg_turbo_makes_of_it() {
    check_against_expected("jpeg", 100);
}

#[test]
fn interlaced_png_is_put_together() {
    check_against_expected("png", 12);
}

#[test]
fn an_end_marker_that_is_missing_costs_nothing_and_a_byte_more_is_missed() {
    for (name, whole) in fixtures("jpeg", "jpg").iter().filter(|(name, _)| !name.starts_with("refused")) {
        let image = decode(whole, name).unwrap();
        assert!(whole.ends_with(&[0xff, 0xd9]));
        for cut in [1, 2] {
            assert_eq!(decode(&whole[..whole.len() - cut], name).unwrap(), image, "{name}");
        }
        // The byte before may hold nothing but the bits that fill it; the one before that does not.
        let error = decode(&whole[..whole.len() - 5], name).unwrap_err();
        assert!(matches!(error, Error::TruncatedImage { .. }), "{error}");
    }
}

#[test]
fn a_cut_file_is_truncated_wherever_it_is_cut() {
    for name in ["two_scans.jpg", "restart_progressive.jpg", "restart_mcu.jpg", "ycc_1x1-2x1-2x1_scans.jpg"] {
        let whole = fixture(name);
        for cut in 3..whole.len() - 4 {
            let error = decode(&whole[..cut], name).expect_err("cut");
            assert!(matches!(error, Error::TruncatedImage { .. }), "{cut}: {error}");
        }
    }
}

/// `whole` with the bytes behind the first marker of this code changed.
fn patched(whole: &[u8], code: u8, patch: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let marker = bytes.windows(2).position(|pair| pair == [0xff, code]).unwrap();
    patch(&mut bytes[marker..]);
    bytes
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let whole = fixture("ycc_1x1-1x1-1x1.jpg");
    for (bytes, says) in [
        (fixture("refused_arithmetic.jpg"), "arithmetic coding"),
        (fixture("refused_arithmetic_progressive.jpg"), "arithmetic coding"),
        (patched(&whole, 0xc0, |frame| frame[4] = 12), "12 bits a sample"),
        (patched(&whole, 0xc0, |frame| frame[1] = 0xc3), "a lossless JPEG"),
        (patched(&whole, 0xc0, |frame| frame[1] = 0xc7), "hierarchical or lossless"),
        // Luma 3 wide, chroma 2.
        (patched(&whole, 0xc0, |frame| (frame[11], frame[14]) = (0x31, 0x21)), "do not divide each other"),
    ] {
        let error = decode(&bytes, "a/b.jpg").unwrap_err();
        assert!(matches!(error, Error::UnsupportedImage { .. }), "{error}");
        assert!(error.bad_image().is_some());
        let text = error.to_string();
        assert!(text.starts_with("a/b.jpg: a JPEG") || text.starts_with("a/b.jpg: a "), "{text}");
        assert!(text.contains(says) && text.contains("help: "), "{text}");
    }
}

#[test]
fn headers_that_contradict_the_standard_are_corrupt() {
    let whole = fixture("ycc_2x2-1x1-1x1.jpg");
    for (bytes, says) in [
        (patched(&whole, 0xc0, |frame| frame[5..7].fill(0)), "without width or height"),
        (patched(&whole, 0xc0, |frame| frame[11] = 0x51), "sampling factor"),
        (patched(&whole, 0xc0, |frame| frame[11] = 0x20), "sampling factor"),
        // 16 blocks of luma and one each of chroma in an MCU.
        (patched(&whole, 0xc0, |frame| frame[11] = 0x44), "more than 10 blocks"),
        (patched(&whole, 0xc0, |frame| frame[12] = 3), "quantisation table that is not defined"),
        (patched(&whole, 0xda, |scan| scan[5] = 9), "component that the frame does not have"),
        (patched(&whole, 0xda, |scan| scan[6] = 0x33), "Huffman table that is not defined"),
        (patched(&whole, 0xc4, |table| table[5..21].fill(200)), "a Huffman table"),
        (patched(&whole, 0xdb, |table| table[4] = 0x20), "unknown precision"),
    ] {
        let error = decode(&bytes, "x").unwrap_err();
        assert!(
            matches!(&error, Error::CorruptImage { detail, .. } if detail.contains(says)),
            "{says}: {error}"
        );
    }
}

#[test]
fn scans_that_are_missing_are_noticed() {
    for name in ["ycc_2x2-1x1-1x1_scans.jpg", "ycc_2x2-1x1-1x1_progressive.jpg", "two_scans.jpg"] {
        let whole = fixture(name);
        let scans: Vec<_> = whole
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| *pair == [0xff, 0xda])
            .map(|(at, _)| at)
            .collect();
        assert!(scans.len() > 1);
        for &scan in &scans[1..] {
            // All before that scan, and an end marker.
            let mut bytes = whole[..scan].to_vec();
            bytes.extend([0xff, 0xd9]);
            let error = decode(&bytes, name).expect_err(name);
            assert!(
                matches!(&error, Error::CorruptImage { detail, .. } if detail.contains("last scan")),
                "{error}"
            );
        }
    }
}

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Decodes; a panic inside, of which [`decode`] makes an error, fails the test.
fn decode_without_panic(bytes: &[u8], name: &str) -> Option<Image> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
    let image = decode(bytes, name).ok();
    assert!(!PANICKED.get(), "{name}: a panic inside; {:02x?}", &bytes[..bytes.len().min(2000)]);
    image
}

/// A counter to numbers that look random (SplitMix64).
fn mixed(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as usize
}

/// Changes some bytes, doubles, drops or exchanges pieces.
fn mutate(bytes: &mut Vec<u8>, state: &mut u64) {
    for _ in 0..=mixed(state) % 4 {
        let at = 2 + mixed(state) % (bytes.len() - 2);
        let length = (1 + mixed(state) % 40).min(bytes.len() - at);
        match mixed(state) % 8 {
            0..3 => bytes[at] = mixed(state) as u8,
            3 => bytes[at] ^= 1 << (mixed(state) % 8),
            4 => bytes[at] = [0, 0xff, 0x7f, 0x80, 0xd9, 0xda][mixed(state) % 6],
            5 => {
                let piece = bytes[at..at + length].to_vec();
                let to = 2 + mixed(state) % (bytes.len() - 2);
                bytes.splice(to..to, piece);
            }
            6 if bytes.len() > length + 200 => drop(bytes.drain(at..at + length)),
            _ => {
                let other = 2 + mixed(state) % (bytes.len() - 2);
                bytes.swap(at, other);
            }
        }
    }
}

/// More rounds by hand: `MUTATIONS=2000 cargo test --release -p residual-data --test pixels damage`.
#[test]
fn damage_never_panics() {
    let rounds = std::env::var("MUTATIONS").map_or(30, |rounds| rounds.parse().unwrap());
    let mut state = 16;
    let mut decoded = 0;
    for (name, whole) in fixtures("jpeg", "jpg").into_iter().chain(fixtures("png", "png")) {
        for _ in 0..rounds {
            let mut bytes = whole.clone();
            mutate(&mut bytes, &mut state);
            decoded += usize::from(decode_without_panic(&bytes, &name).is_some());
        }
    }
    // The other outcome is tested elsewhere.
    assert!(decoded > 0);
}
