//! Image files of every kind against the pixels that Pillow gives (`bench/peers/photographs.py`), and what damage does
//! to them.

use std::fs;
use std::path::PathBuf;

use residual_arch::{Alpha, OrientationPolicy, Preprocess, Resize};
use residual_data::{
    DataSource, Dataset, Error, Image, Note, OpenOptions, Orientation, Preprocessor, Split, decode,
    recorded_orientation,
};
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photographs")
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// Names and bytes of all fixtures.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name != "expected.txt").map(|name| (name.clone(), fixture(&name))).collect()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn pixels_are_pillows() {
    let expected = fs::read_to_string(folder().join("expected.txt")).unwrap();
    let lines: Vec<&str> = expected.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() >= 80);
    let mut different = Vec::new();
    for line in lines {
        let [name, kind, wanted] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let image = decode(&fixture(name), name).unwrap().with_channels(3, name).unwrap();
        let bytes = match kind {
            "rgb" => image.into_pixels(),
            "upright" => image.upright().into_pixels(),
            "white" => image.over([255; 3]).into_pixels(),
            "f32" => image.values().unwrap().iter().flat_map(|value| value.to_le_bytes()).collect(),
            other => panic!("{other}"),
        };
        if digest(&bytes) != wanted {
            different.push(line);
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_content_tells_the_kind_whatever_the_name_says() {
    let folder = tempfile::tempdir().unwrap();
    for (class, names) in [
        ("a", ["gif_few_16x16.gif", "webp_lossless_16x16.webp"]),
        ("b", ["tiff_tiled_deflate_16x16.tif", "bmp_4_16x16.bmp"]),
    ] {
        fs::create_dir(folder.path().join(class)).unwrap();
        for (number, name) in names.iter().enumerate() {
            fs::copy(self::folder().join(name), folder.path().join(class).join(format!("{number}.JPG")))
                .unwrap();
        }
        fs::write(folder.path().join(class).join("c.avif"), "x").unwrap();
    }
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let data = Dataset::open(&DataSource::Path(folder.path().to_owned()), &options).unwrap();
    let note = data.notes()[0].to_string();
    assert_eq!(note, "left out 2 files in class folders that are not named as images: 2 .avif (a/c.avif)");
    let train = data.split(Split::Train).unwrap();
    for index in 0..train.len() {
        assert_eq!(train.read(index).unwrap().width(), 16);
    }
    assert!(train.notes().is_empty());
}

#[test]
fn the_first_picture_of_several_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["a", "b"] {
        fs::create_dir(folder.path().join(class)).unwrap();
        let name = folder.path().join(class).join("1.webp");
        fs::copy(self::folder().join("webp_animated_alpha_lossy.webp"), name).unwrap();
    }
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let data = Dataset::open(&DataSource::Path(folder.path().to_owned()), &options).unwrap();
    let train = data.split(Split::Train).unwrap();
    (0..train.len()).for_each(|index| drop(train.read(index).unwrap()));
    assert!(matches!(&train.notes()[..], [Note::FirstOfSeveral { first }] if first.ends_with("1.webp")));
}

#[test]
fn orientations_follow_the_policy() {
    for number in 1..=8 {
        let bytes = fixture(&format!("turned_jpeg_{number}.jpg"));
        let stored = decode(&bytes, "x").unwrap();
        assert_eq!(recorded_orientation(&bytes), stored.orientation());
        assert_eq!(stored.orientation() == Orientation::Upright, number == 1);
        let made = |orientation| {
            let preprocess =
                Preprocess::normalise_only().with(|preprocess| preprocess.orientation = orientation);
            let image = Preprocessor::new(&preprocess).unwrap().fit(stored.clone(), "x").unwrap();
            (image.width(), image.height(), image.into_pixels())
        };
        assert_eq!(made(OrientationPolicy::Ignore), (13, 7, stored.pixels().to_vec()));
        let upright = stored.clone().upright();
        assert_eq!([upright.width(), upright.height()], if number < 5 { [13, 7] } else { [7, 13] });
        assert_eq!(
            made(OrientationPolicy::Apply),
            (upright.width(), upright.height(), upright.into_pixels())
        );
    }
    for name in ["turned_png_6.png", "turned_webp_8.webp"] {
        assert_ne!(recorded_orientation(&fixture(name)), Orientation::Upright, "{name}");
    }
}

#[test]
fn transparency_follows_the_policy() {
    let image = decode(&fixture("png_rgba_16x16.png"), "x").unwrap();
    let made = |alpha| {
        let preprocess = Preprocess::normalise_only().with(|preprocess| preprocess.alpha = alpha);
        Preprocessor::new(&preprocess).unwrap().fit(image.clone(), "x").unwrap()
    };
    assert_eq!(made(Alpha::Drop).pixels(), image.pixels());
    assert_eq!(made(Alpha::White).pixels(), image.clone().over([255; 3]).pixels());
    // The first pixels are wholly transparent.
    assert_eq!(made(Alpha::Black).pixels()[..3], [0; 3]);
    assert_eq!(made(Alpha::Colour([1, 2, 3])).pixels()[..3], [1, 2, 3]);
    assert_eq!(made(Alpha::Drop).opacity(), None);
}

#[test]
fn sixteen_bits_reach_the_network() {
    for name in ["png_grey16_16x16.png", "tiff_short_predictor_16x16.tif"] {
        let image = decode(&fixture(name), name).unwrap();
        let values = image.values().unwrap().to_vec();
        assert!(values.iter().any(|value| (value * 255.0).fract() > 0.01));
        let plain = Preprocess::normalise_only()
            .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.5; 3], vec![0.25; 3]));
        let (made, shape) = Preprocessor::new(&plain).unwrap().apply(image.clone(), name).unwrap();
        assert_eq!(shape, [3, 16, 16]);
        assert_eq!(made[0], (values[0] - 0.5) / 0.25);
        // The same at 8 bits is another value, but near.
        let shown = Image::new(16, 16, image.channels(), image.pixels().to_vec()).unwrap();
        let sized = plain.with(|preprocess| preprocess.resize = Some(Resize::Exact([5, 7])));
        let preprocessor = Preprocessor::new(&sized).unwrap();
        let (deep, _) = preprocessor.apply(image, name).unwrap();
        let (eight, _) = preprocessor.apply(shown, name).unwrap();
        assert_ne!(deep, eight);
        assert!(deep.iter().zip(&eight).all(|(deep, eight)| (deep - eight).abs() < 0.03), "{name}");
    }
}

#[test]
fn what_is_cut_or_changed_is_an_image_or_an_error() {
    for (name, whole) in fixtures() {
        for tenth in 0..10 {
            let cut = whole.len() * tenth / 10;
            if let Err(error) = decode(&whole[..cut], &name) {
                assert!(error.bad_image().is_some(), "{name} at {cut}: {error}");
            } else {
                // TIFF and BMP may have their pixels before what describes them, or nothing behind them.
                assert!(tenth > 3, "{name} at {cut}");
            }
        }
        for place in (0..whole.len().min(600)).step_by(3) {
            let mut changed = whole.clone();
            changed[place] ^= 0xff;
            if let Err(error) = decode(&changed, &name) {
                assert!(error.bad_image().is_some(), "{name} with byte {place} changed: {error}");
            }
        }
    }
}

/// Bytes in place of a field, `name` of them.
fn with(bytes: &[u8], at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn sizes_that_are_claimed_are_refused_or_missed() {
    let huge = |error: Error| {
        matches!(
            error,
            Error::ImageTooLarge { .. } | Error::ImageTooWide { .. } | Error::TruncatedImage { .. }
        ) || matches!(error, Error::CorruptImage { .. })
    };
    let gif = with(&fixture("gif_few_16x16.gif"), 6, &[0xff; 4]);
    assert!(matches!(decode(&gif, "x"), Err(Error::ImageTooLarge { .. })));
    let bmp = with(&fixture("bmp_4_16x16.bmp"), 18, &[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(decode(&bmp, "x"), Err(Error::ImageTooLarge { .. })));
    let lossy = fixture("webp_lossy_q30_37x23.webp");
    assert!(huge(decode(&with(&lossy, 26, &[0xff, 0x3f, 0xff, 0x3f]), "x").unwrap_err()));
    assert!(huge(decode(&with(&lossy, 26, &[0, 0x20, 0, 0x20]), "x").unwrap_err()));
    // The width of a TIFF file is its first tag.
    let tiff = fixture("tiff_strips_16x16.tif");
    let at = tiff.windows(4).position(|part| part == [0, 1, 3, 0] || part == [0, 1, 4, 0]).unwrap();
    for claimed in [[0xff, 0xff, 0, 0], [0, 0x10, 0, 0]] {
        let bytes = with(&with(&tiff, at + 8, &claimed), at + 20, &claimed);
        assert!(huge(decode(&bytes, "x").unwrap_err()), "{claimed:?}");
    }
}

#[test]
fn a_bomb_of_deflate_is_cut_at_the_pixels() {
    use std::io::Write;
    // A strip of 16x16 that unpacks to 256 MiB.
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    (0..256).for_each(|_| encoder.write_all(&zeros).unwrap());
    let strip = encoder.finish().unwrap();
    let entry = |tag: u16, kind: u16, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let mut bytes = b"II*\0\x08\0\0\0\x07\0".to_vec();
    let start = 8 + 2 + 7 * 12 + 4;
    for part in [
        entry(256, 4, 16),
        entry(257, 4, 16),
        entry(258, 3, 8),
        entry(259, 3, 8),
        entry(262, 3, 1),
        entry(273, 4, start),
        entry(279, 4, strip.len() as u32),
    ] {
        bytes.extend(part);
    }
    bytes.extend([0; 4]);
    bytes.extend(&strip);
    let image = decode(&bytes, "x.tif").unwrap();
    assert_eq!((image.width(), image.height(), image.pixels()), (16, 16, &[0; 256][..]));
}
