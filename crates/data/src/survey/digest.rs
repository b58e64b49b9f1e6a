//! Digests of images, by which equal ones are found.

use std::hash::{DefaultHasher, Hasher};

use crate::Image;

/// Digest of 128 bits: what has the same is taken to be the same. Of a million images that differ, two have the same
/// with a probability of 1e-27.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest([u64; 2]);

impl Digest {
    /// Digest of the bytes of a file.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::of_parts(&[bytes])
    }

    /// Digest of pixels, opacity and values. Grey is the same whether it has one channel or three.
    pub(crate) fn of_image(image: &Image) -> Self {
        let sizes = [image.width(), image.height()].map(|size| (size as u64).to_le_bytes()).concat();
        let grey = grey_of(image);
        let opacity: Vec<u8> =
            image.opacity().iter().flat_map(|o| o.iter()).flat_map(|v| v.to_le_bytes()).collect();
        let values: Vec<u8> =
            image.values().iter().flat_map(|v| v.iter()).flat_map(|v| v.to_le_bytes()).collect();
        let channels = if grey.is_some() { 1 } else { image.channels() as u64 };
        let pixels = grey.as_deref().unwrap_or(image.pixels());
        Self::of_parts(&[&sizes, &channels.to_le_bytes(), pixels, &opacity, &values])
    }

    fn of_parts(parts: &[&[u8]]) -> Self {
        Self([0, 1].map(|lane: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(lane);
            for part in parts {
                hasher.write_u64(part.len() as u64);
                hasher.write(part);
            }
            hasher.finish()
        }))
    }
}

/// One channel of an RGB image of 8 bits whose channels are all the same.
fn grey_of(image: &Image) -> Option<Vec<u8>> {
    if image.channels() != 3 || image.values().is_some() {
        return None;
    }
    let pixels = image.pixels().as_chunks::<3>().0;
    let is_grey = pixels.iter().all(|&[red, green, blue]| red == green && green == blue);
    is_grey.then(|| pixels.iter().map(|&[value, ..]| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_with_the_same_pixels_have_the_same_digest() {
        let image = |width, height, channels, pixels: &[u8]| {
            Digest::of_image(&Image::new(width, height, channels, pixels.to_vec()).unwrap())
        };
        assert_eq!(image(2, 1, 1, &[3, 4]), image(2, 1, 3, &[3, 3, 3, 4, 4, 4]));
        assert_ne!(image(2, 1, 1, &[3, 4]), image(1, 2, 1, &[3, 4]));
        assert_ne!(image(2, 1, 1, &[3, 4]), image(2, 1, 3, &[3, 3, 3, 4, 4, 5]));
        let deep = |value| Digest::of_image(&Image::deep(1, 1, 1, vec![value]).unwrap());
        assert_ne!(deep(0.5), deep(0.5001));
        let seen =
            |opacity| Digest::of_image(&Image::new(1, 1, 1, vec![3]).unwrap().with_opacity(vec![opacity]));
        assert_ne!(seen(0), seen(u16::MAX));
        assert_eq!(seen(u16::MAX), image(1, 1, 1, &[3]));
    }
}
