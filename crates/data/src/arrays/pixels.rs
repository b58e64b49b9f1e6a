//! Arrays as images.

use super::array::Array;
use super::element::Element;
use crate::Error;
use crate::image::MAX_CHANNELS;
use crate::limits::{check_dimensions, check_samples};
use crate::listing::Listing;
use crate::npy_header::channels_first;
use crate::records::RawImage;

/// Layout of the images of an array `[n, height, width]`, `[n, height, width, channels]` or `[n, channels, height,
/// width]`. Numbers of other kinds than bytes are made bytes in memory, where all are whole and 0 to 255.
///
/// # Errors
/// [`Error::Array`] for other sizes or values; [`Error::ImageTooLarge`], [`Error::ArchiveTooLarge`].
pub(super) fn raw_images(array: &mut Array, listing: &mut Listing) -> Result<RawImage, Error> {
    let raw = match array.shape[1..] {
        [height, width] => RawImage { height, width, channels: 1, planar: false },
        [a, b, c] if channels_first([a, b, c]) => RawImage { height: b, width: c, channels: a, planar: true },
        [height, width, channels] => RawImage { height, width, channels, planar: false },
        _ => {
            return Err(array.wrong(format!(
                "sizes {:?}, where images have [n, height, width] or [n, height, width, channels]; help: reshape it",
                array.shape
            )));
        }
    };
    if raw.bytes() == 0 || raw.channels > MAX_CHANNELS {
        return Err(array.wrong(format!("sizes {:?}, which are not those of images", array.shape)));
    }
    check_dimensions(raw.width, raw.height, &array.file)?;
    check_samples([raw.height, raw.width, raw.channels], &array.file)?;
    if !array.element.is_number() {
        return Err(array.wrong("text, where images are expected; help: save pixels as uint8"));
    }
    if array.element.size() != 1 || array.element != Element::U8 {
        to_bytes(array, listing)?;
    }
    Ok(raw)
}

/// Puts bytes in the place of other numbers.
fn to_bytes(array: &mut Array, listing: &mut Listing) -> Result<(), Error> {
    let element = array.element;
    let total = array.rows() * array.row_elements();
    let limit = listing.budget.limit();
    listing
        .budget
        .charge(total as u64)
        .map_err(|_| Error::ArchiveTooLarge { path: array.file.clone(), limit })?;
    let mut bytes = Vec::with_capacity(total);
    array.each_row(&listing.store, |row, values| {
        for value in values.chunks_exact(element.size()) {
            let byte = match element.whole(value) {
                Ok(whole) => u8::try_from(whole).map_err(|_| whole.to_string()),
                Err(value) => Err(value.to_string()),
            };
            bytes.push(byte.map_err(|value| {
                let detail = format!(
                    "the value {value} is no whole number from 0 to 255; help: save pixels as uint8, where black is 0 \
                     and white is 255"
                );
                array.wrong_at(row, detail)
            })?);
        }
        Ok(())
    })?;
    (array.element, array.offset) = (Element::U8, 0);
    array.blob = listing.store.keep(bytes);
    Ok(())
}
