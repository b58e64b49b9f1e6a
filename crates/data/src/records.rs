//! Images that are stored as bare pixels, one behind the other: those of CIFAR, of IDX files and of arrays of NumPy.

use crate::arrays::find_arrays;
use crate::cifar::find_cifar;
use crate::listing::Listing;
use crate::store::Location;
use crate::{Error, Image, Note, OpenOptions, Split};

/// Sizes and order of the pixels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawImage {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    /// True for one plane a channel, CHW; false for pixels side by side, HWC.
    pub(crate) planar: bool,
}

impl RawImage {
    /// Number of bytes of an image; 0 where it has no pixels or more than can be counted.
    pub(crate) fn bytes(self) -> usize {
        self.height.checked_mul(self.width).and_then(|size| size.checked_mul(self.channels)).unwrap_or(0)
    }

    /// Image of its bytes. `None` for another number of them.
    pub(crate) fn image(self, bytes: &[u8]) -> Option<Image> {
        if bytes.len() != self.bytes() {
            return None;
        }
        let plane = self.height * self.width;
        let pixels = match self.planar && self.channels > 1 {
            true => (0..plane)
                .flat_map(|pixel| (0..self.channels).map(move |channel| bytes[channel * plane + pixel]))
                .collect(),
            false => bytes.to_vec(),
        };
        Image::new(self.width, self.height, self.channels, pixels).ok()
    }
}

/// Record of one image.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) label: usize,
    pub(crate) location: Location,
}

/// Records of one split, all of one size.
#[derive(Clone, Debug)]
pub(crate) struct RecordSplit {
    pub(crate) split: Split,
    pub(crate) raw: RawImage,
    pub(crate) records: Vec<Record>,
}

/// Classes and splits of records.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordSet {
    pub(crate) classes: Vec<String>,
    pub(crate) splits: Vec<RecordSplit>,
    pub(crate) notes: Vec<Note>,
    /// True where a part of each class is held out for validation.
    pub(crate) held_out: bool,
    /// Names of the columns of the labels, where the classes are texts of answers; else empty.
    pub(crate) columns: Vec<String>,
}

/// Records of a listing, where it is one of them and not of image files.
pub(crate) fn find_records(listing: &mut Listing, options: &OpenOptions) -> Result<Option<RecordSet>, Error> {
    if let Some(found) = find_cifar(listing, options)? {
        return Ok(Some(found));
    }
    find_arrays(listing, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_pixels() {
        let raw = RawImage { height: 1, width: 2, channels: 3, planar: true };
        assert_eq!(raw.image(&[1, 2, 3, 4, 5, 6]).unwrap().pixels(), [1, 3, 5, 2, 4, 6]);
        let raw = RawImage { planar: false, ..raw };
        assert_eq!(raw.image(&[1, 2, 3, 4, 5, 6]).unwrap().pixels(), [1, 2, 3, 4, 5, 6]);
        assert!(raw.image(&[1, 2, 3]).is_none());
        assert_eq!(RawImage { height: usize::MAX, ..raw }.bytes(), 0);
    }
}
