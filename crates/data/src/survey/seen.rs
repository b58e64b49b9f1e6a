//! What a survey keeps of an image.

use super::Digest;
use crate::decode::written_orientation;
use crate::{Error, Format, Image, ImageSet, Orientation};

/// Facts of an image, in place of its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) bytes: u64,
    /// `None` where it cannot be read.
    pub(super) content: Option<Digest>,
    /// `None` for pixels, and for a file of no kind that is read.
    pub(super) format: Option<Format>,
    pub(super) orientation: Orientation,
    /// `None` where it was not decoded, or cannot be.
    pub(super) picture: Option<Picture>,
}

/// Facts of a decoded image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) pixels: Digest,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: u32,
    /// True for more than 8 bits a sample.
    pub(super) is_deep: bool,
    /// True where a pixel lets the background through.
    pub(super) is_transparent: bool,
    /// True for the first of several frames or pages.
    pub(super) is_first: bool,
    /// Orientation that is still to be applied.
    pub(super) orientation: Orientation,
}

impl Picture {
    fn of(image: &Image) -> Self {
        // Images have at most `MAX_PIXELS` pixels: their sides fit.
        let [width, height, channels] =
            [image.width(), image.height(), image.channels()].map(|size| size as u32);
        Self {
            pixels: Digest::of_image(image),
            width,
            height,
            channels,
            is_deep: image.values().is_some(),
            is_transparent: image.opacity().is_some(),
            is_first: image.is_first_of_several(),
            orientation: image.orientation(),
        }
    }
}

/// Facts of image `index`, and what is wrong with it.
pub(super) fn look(set: &ImageSet, index: usize, decode: bool) -> (Seen, Option<String>) {
    let mut seen =
        Seen { bytes: 0, content: None, format: None, orientation: Orientation::default(), picture: None };
    let bytes = match set.bytes(index) {
        Ok(bytes) => bytes,
        Err(error) => return (seen, Some(fault(&error, &set.file(index)))),
    };
    seen.bytes = bytes.len() as u64;
    seen.content = Some(Digest::of(&bytes));
    if set.holds_files() {
        seen.format = Format::of(&bytes);
        seen.orientation = written_orientation(&bytes);
    }
    if !decode {
        return (seen, None);
    }
    match set.image_of(index, &bytes) {
        Ok(image) => (Seen { picture: Some(Picture::of(&image)), ..seen }, None),
        Err(error) => (seen, Some(fault(&error, &set.file(index)))),
    }
}

/// What an error says beside the file.
fn fault(error: &Error, file: &str) -> String {
    let text = error.to_string();
    text.strip_prefix(file).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text).to_owned()
}
