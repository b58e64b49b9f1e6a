//! Support of the fuzz targets.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Once;

use residual_data::{DataSource, Dataset, Error, OpenOptions, decode};

/// The most pixels of an image that is decoded: larger ones are right, and take seconds.
const MOST_PIXELS: usize = 1 << 20;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// Lets panics pass that come from these folders of sources, in the place of libFuzzer's hook, which ends the run at any:
/// the reader catches them, and its error is what is held.
pub fn allow_panics_of(sources: &'static [&'static str]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().map_or("", |place| place.file());
            if !sources.iter().any(|source| place.contains(source)) {
                eprintln!("{info}");
                std::process::abort();
            }
        }));
    });
}

/// Calls `body` with a folder of this process's that holds nothing.
pub fn in_folder<T>(body: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let inside = folder.path().join("input");
        std::fs::create_dir(&inside).expect("a folder that was removed");
        let value = body(&inside);
        std::fs::remove_dir_all(&inside).expect("a folder that is there");
        value
    })
}

/// Opens images at a path as a training does, and decodes the first few of each split.
pub fn read_images(path: &Path) -> Result<(), Error> {
    read_shards(path, false)
}

/// As [`read_images`]; with `skip_bad`, samples at fault are left out.
pub fn read_shards(path: &Path, skip_bad: bool) -> Result<(), Error> {
    let options = OpenOptions::default();
    let options = options.with(|options| (options.memory_limit, options.skip_bad) = (64 << 20, skip_bad));
    let data = Dataset::open(&DataSource::Path(path.to_owned()), &options)?;
    for split in data.splits() {
        let images = data.split(split)?;
        for index in 0..images.len().min(4) {
            assert!(images.label(index) < data.classes.len());
            let _ = images.stamp(index);
            let _ = images.read(index);
        }
    }
    Ok(())
}

/// Bytes with the checksum of every block put right that looks like a header of a tar archive: nothing is found behind a
/// wrong one.
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
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

/// Decodes an image, and holds that it has all its pixels, or an error that names it.
pub fn decode_image(bytes: &[u8]) {
    if claims_more_pixels(bytes, MOST_PIXELS) {
        return;
    }
    match decode(bytes, "input") {
        Ok(image) => {
            assert!((1..=32).contains(&image.channels()));
            assert!(image.values().is_none_or(|values| values.len() == image.pixels().len()));
            assert!(image.opacity().is_none_or(|opacity| opacity.len() == image.width() * image.height()));
            assert_eq!(image.orientation(), residual_data::recorded_orientation(bytes));
            assert_eq!(image.pixels().len(), image.width() * image.height() * image.channels());
        }
        Err(error) => assert!(error.bad_image().is_some(), "{error}"),
    }
}

/// True where the header of a JPEG or PNG file claims more pixels than `most`.
fn claims_more_pixels(bytes: &[u8], most: usize) -> bool {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte));
    let more = |height: &[u8], width: &[u8]| number(height).saturating_mul(number(width)) > most;
    let png = bytes.get(16..24).is_some_and(|sizes| more(&sizes[..4], &sizes[4..]));
    // Any frame header, also where it is none: some inputs are left out in vain.
    let frame = |part: &[u8]| part[0] == 0xff && part[1] & 0xf0 == 0xc0 && more(&part[5..7], &part[7..9]);
    if bytes.starts_with(b"\x89PNG") { png } else { bytes.windows(9).any(frame) }
}
