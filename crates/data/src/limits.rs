//! Limits on the sizes of images and of their files.

use crate::Error;

/// The most pixels that an image may have, 8192 x 8192: a header that claims more is taken for
/// damage before anything is allocated.
pub const MAX_PIXELS: usize = residual_arch::MAX_PIXELS;

/// The most bytes that an image file may have, 256 MiB.
pub const MAX_FILE_BYTES: u64 = 1 << 28;

/// The most pixels that a row may have: rows are decoded whole.
pub(crate) const MAX_WIDTH: usize = 1 << 20;

pub(crate) fn check_size(size: u64, file: &str) -> Result<(), Error> {
    match size {
        0..=MAX_FILE_BYTES => Ok(()),
        _ => Err(Error::FileTooLarge { file: file.into(), size, limit: MAX_FILE_BYTES }),
    }
}

pub(crate) fn corrupt(file: &str, detail: impl ToString) -> Error {
    Error::CorruptImage { file: file.into(), detail: detail.to_string() }
}

/// [`Error::ImageTooLarge`] or [`Error::ImageTooWide`] for what its header claims.
pub(crate) fn check_dimensions(width: usize, height: usize, file: &str) -> Result<(), Error> {
    if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
        return Err(too_large(width, height, file));
    }
    if width > MAX_WIDTH {
        return Err(Error::ImageTooWide { file: file.into(), width: width as u64, limit: MAX_WIDTH as u64 });
    }
    Ok(())
}

pub(crate) fn too_large(width: usize, height: usize, file: &str) -> Error {
    let (width, height, limit) = (width as u64, height as u64, MAX_PIXELS as u64);
    Error::ImageTooLarge { file: file.into(), width, height, limit }
}

/// Checks the size of an image of any number of channels: no more values than the largest photograph has.
pub(crate) fn check_samples([height, width, channels]: [usize; 3], file: &str) -> Result<(), Error> {
    match height.checked_mul(width).and_then(|size| size.checked_mul(channels)) {
        Some(samples) if samples <= 3 * MAX_PIXELS => Ok(()),
        _ => Err(too_large(width, height, file)),
    }
}
