//! Pages of a TIFF file to an image.

use super::ifd::{Directory, Tiff};
use super::page::Page;
use super::samples;
use crate::fault::Fault;
use crate::image::{MAX_CHANNELS, Sequence};
use crate::limits::{check_dimensions, check_samples, corrupt};
use crate::{Error, Image};

/// Test for bytes that begin as a TIFF file does.
pub(crate) fn is_tiff(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk(), Some(b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+"))
}

/// Decodes a TIFF file; `file` is named in errors.
///
/// Pages: of several the first one counts. Where there are 2 to 32, all of one channel and of one size and kind, they are
/// stacked: [`Image::with_channels`] takes them together or the first. An orientation is applied, as Pillow does with
/// this format alone.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let tiff = Tiff::open(bytes).ok_or_else(|| Fault::Truncated.of(file))?;
    let directory = tiff.first().map_err(|fault| fault.of(file))?;
    let first = Page::read(&directory).map_err(|fault| fault.of(file))?;
    check_dimensions(first.width, first.height, file)?;
    check_samples([first.height, first.width, first.samples], file)?;
    let pages = more_pages(&directory, &first);
    let image = samples::image(&tiff, &first, file)?;
    let size = [first.height, first.width, pages.len() + 1];
    let image = match pages.is_empty() {
        true => image.with_sequence(directory.next().is_some().then_some(Sequence::First)),
        false if check_samples(size, file).is_err() => image.with_sequence(Some(Sequence::First)),
        false => stacked(&tiff, image, &pages, file)?.with_sequence(Some(Sequence::Stacked)),
    };
    Ok(image.with_orientation(first.orientation).upright())
}

/// The pages behind the first one, where together they may be channels; otherwise none.
fn more_pages<'a>(directory: &Directory<'a>, first: &Page<'_>) -> Vec<Page<'a>> {
    let (mut pages, mut next) = (Vec::new(), directory.next());
    while let Some(directory) = next {
        let page = directory.and_then(|directory| Ok((Page::read(&directory)?, directory.next())));
        match page {
            Ok((page, behind)) if pages.len() + 1 < MAX_CHANNELS && page.stacks_on(first) => {
                pages.push(page);
                next = behind;
            }
            _ => return Vec::new(),
        }
    }
    pages
}

/// The first page with the others behind it, a channel each.
fn stacked(tiff: &Tiff<'_>, first: Image, pages: &[Page<'_>], file: &str) -> Result<Image, Error> {
    let (width, height, channels) = (first.width(), first.height(), pages.len() + 1);
    let deep = first.values().is_some();
    let (mut pixels, mut values) = (Vec::new(), Vec::new());
    if deep {
        values = vec![0.0; width * height * channels];
    } else {
        pixels = vec![0; width * height * channels];
    }
    for channel in 0..channels {
        let page = match channel {
            0 => None,
            _ => Some(samples::image(tiff, &pages[channel - 1], file)?),
        };
        let page = page.as_ref().unwrap_or(&first);
        match page.values() {
            Some(page) => values
                .iter_mut()
                .skip(channel)
                .step_by(channels)
                .zip(page)
                .for_each(|(to, &value)| *to = value),
            None => pixels
                .iter_mut()
                .skip(channel)
                .step_by(channels)
                .zip(page.pixels())
                .for_each(|(to, &p)| *to = p),
        }
    }
    let image = if deep {
        Image::deep(width, height, channels, values)
    } else {
        Image::new(width, height, channels, pixels)
    };
    image.map_err(|error| corrupt(file, error))
}
