//! Small images on a sheet.

use residual::arch::{Preprocess, Resize};
use residual::data::{Error, Image, Preprocessor};

use super::sheet::{THUMBNAIL, Thumbnail};

/// Preprocessing that shrinks what is larger than a thumbnail.
pub(crate) fn shrinking() -> Result<Preprocessor, Error> {
    let shrink =
        Preprocess::normalise_only().with(|shrink| shrink.resize = Some(Resize::Within([THUMBNAIL; 2])));
    Preprocessor::new(&shrink)
}

/// The image as it is shown: grey and RGB as they are, of other channels the first three or the first.
pub(crate) fn thumbnail(shrink: &Preprocessor, image: &Image) -> Option<Thumbnail> {
    let (channels, pixels) = (image.channels(), image.pixels());
    let rgb = |pixel: &[u8]| if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
    let pixels: Vec<u8> = pixels.chunks_exact(channels).flat_map(rgb).collect();
    let image = Image::new(image.width(), image.height(), 3, pixels).ok()?;
    let large = image.width().max(image.height()) > THUMBNAIL;
    let image = if large { shrink.fit(image, "").ok()? } else { image };
    Some(Thumbnail { size: [image.height(), image.width()], pixels: image.into_pixels() })
}
