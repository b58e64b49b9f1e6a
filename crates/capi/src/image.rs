//! Images as C has them.

use residual_predict::{Image as Pixels, Input};

use crate::error::{Failure, Status};
use crate::pointers::slice;

/// An image: `residual_image` of `residual.h`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Image {
    /// Pixels, or the bytes of an image file.
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
        if height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels)).is_none() {
            return Err(Failure::argument("the image is larger than any memory"));
        }
        let image = Pixels::new(width, height, channels, bytes.to_vec());
        let image = image.map_err(|error| Failure::new(Status::Image, error))?;
        Ok(image.into())
    }
}
