//! Images as C has them.

use residual_predict::{Image as Pixels, Input};

use crate::error::{Failure, Status};
use crate::pointers::slice;

/// An image: `residual_image` of `residual.h`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Image {
    /// Pixels, or the bytes of a JPEG or PNG file.
    pub data: *const u8,
    /// Number of bytes.
    pub length: usize,
    /// Pixels in a row; 0 for the bytes of a file.
    pub width: usize,
    /// Rows; 0 for the bytes of a file.
    pub height: usize,
    /// 1 for grey, 3 for red, green, blue; 0 for the bytes of a file.
    pub channels: usize,
}

impl Image {
    /// The image with data of its own.
    ///
    /// # Safety
    /// The data are null or valid for reading `length` bytes.
    pub(crate) unsafe fn input(&self) -> Result<Input<'static>, Failure> {
        let Self { data, length, width, height, channels } = *self;
        // SAFETY: as the caller promises.
        let bytes = unsafe { slice("the image's data", data, length) }?;
        if [width, height, channels] == [0; 3] {
            return Ok(bytes.to_vec().into());
        }
        let wrong = |message: String| Failure::new(Status::Image, message);
        let expected = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
        match expected {
            None => return Err(Failure::argument("the image is larger than any memory")),
            Some(expected) if expected != length => {
                return Err(wrong(format!(
                    "an image of {width}x{height} pixels of {channels} channels has {expected} bytes, not {length}"
                )));
            }
            Some(_) => {}
        }
        let image = Pixels::new(width, height, channels, bytes.to_vec()).ok_or_else(|| {
            wrong(format!("no image has {width}x{height} pixels of {channels} channels; use 1 or 3 channels"))
        })?;
        Ok(image.into())
    }
}
