//! PNG, row by row: whatever the depth, only a row of it is held beside the image.

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, Decoder, DecodingError, InterlaceInfo, Limits, Transformations, expand_interlaced_row};

use crate::image::Sequence;
use crate::limits::{check_dimensions, corrupt};
use crate::{Error, Image, Orientation, exif};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// The most that the decoder may allocate: some rows of the widest image, 16 bits of RGBA.
const MAX_ALLOCATION: usize = 48 << 20;

/// Test for bytes that begin as a PNG file does.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(&SIGNATURE)
}

/// Decodes a PNG file; `file` is named in errors. Of an animation (APNG) it is the image that stands for it.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let failed = |error: DecodingError| match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::TruncatedImage { file: file.into() }
        }
        error => corrupt(file, error),
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: MAX_ALLOCATION });
    // Palettes and less than 8 bits become 8 bits a channel; text and colour profiles are not asked for.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(failed)?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_dimensions(width, height, file)?;
    let mut reader = decoder.read_info().map_err(failed)?;
    let frames = reader.info().animation_control().map_or(1, |control| control.num_frames);
    let (colour, depth) = reader.output_color_type();
    let wide = depth == BitDepth::Sixteen;
    let mut planes = Planes::new([width, height], colour.samples(), wide);
    while let Some(row) = reader.next_interlaced_row().map_err(failed)? {
        let unlike = || corrupt(file, "the decoder gave another number of pixels than the header");
        planes.add(row.data(), row.interlace()).ok_or_else(unlike)?;
    }
    let image = planes.into_image().map_err(|error| corrupt(file, error))?;
    let several = (frames > 1).then_some(Sequence::First);
    Ok(image.with_orientation(orientation(bytes)).with_sequence(several))
}

/// Colours and opacity, each in the bytes of the file: one for 8 bits, two for 16, the high one first.
struct Planes {
    width: usize,
    height: usize,
    /// Samples of a pixel as they are stored.
    stored: usize,
    /// Bytes of a sample.
    bytes: usize,
    colours: Plane,
    opacity: Option<Plane>,
}

struct Plane {
    channels: usize,
    samples: Vec<u8>,
    /// A row before it is put in its place.
    row: Vec<u8>,
    /// Place of the next row, where they come one after the other.
    next: usize,
}

impl Plane {
    /// The system gives the pages of a plane when they are written to.
    fn new(channels: usize, size: usize, bytes: usize) -> Self {
        Self { channels, samples: vec![0; size * channels * bytes], row: Vec::new(), next: 0 }
    }
}

impl Planes {
    fn new([width, height]: [usize; 2], stored: usize, wide: bool) -> Self {
        let bytes = if wide { 2 } else { 1 };
        let channels = if stored < 3 { 1 } else { 3 };
        let opacity = (stored > channels).then(|| Plane::new(1, width * height, bytes));
        Self { width, height, stored, bytes, colours: Plane::new(channels, width * height, bytes), opacity }
    }

    /// Adds a row, or the pixels of a row of a pass.
    fn add(&mut self, row: &[u8], interlace: &InterlaceInfo) -> Option<()> {
        let (width, bytes) = (self.width, self.bytes);
        let (pixel, channels) = (self.stored * bytes, self.colours.channels);
        if self.opacity.is_none() {
            return self.colours.put(row, width, bytes, interlace);
        }
        self.colours.row.clear();
        row.chunks_exact(pixel)
            .for_each(|pixel| self.colours.row.extend_from_slice(&pixel[..channels * bytes]));
        let colours = std::mem::take(&mut self.colours.row);
        self.colours.put(&colours, width, bytes, interlace)?;
        self.colours.row = colours;
        let opacity = self.opacity.as_mut()?;
        opacity.row.clear();
        row.chunks_exact(pixel).for_each(|pixel| opacity.row.extend_from_slice(&pixel[channels * bytes..]));
        let row = std::mem::take(&mut opacity.row);
        opacity.put(&row, width, bytes, interlace)?;
        opacity.row = row;
        Some(())
    }

    fn into_image(self) -> Result<Image, Error> {
        let Self { width, height, bytes, colours, opacity, .. } = self;
        let short = |&[high, low]: &[u8; 2]| u16::from_be_bytes([high, low]);
        let image = if bytes == 1 {
            Image::new(width, height, colours.channels, colours.samples)?
        } else {
            let values = colours.samples.as_chunks().0.iter().map(|value| f32::from(short(value)) / 65535.0);
            Image::deep(width, height, colours.channels, values.collect())?
        };
        Ok(match opacity {
            None => image,
            Some(plane) if bytes == 1 => {
                image.with_opacity(plane.samples.iter().map(|&value| u16::from(value) * 257).collect())
            }
            Some(plane) => image.with_opacity(plane.samples.as_chunks().0.iter().map(short).collect()),
        })
    }
}

impl Plane {
    /// Puts a row in its place; `None` where it does not fit there.
    fn put(&mut self, row: &[u8], width: usize, bytes: usize, interlace: &InterlaceInfo) -> Option<()> {
        let stride = width * self.channels * bytes;
        match interlace {
            InterlaceInfo::Adam7(pass) => {
                let bits = 8 * (self.channels * bytes) as u8;
                expand_interlaced_row(&mut self.samples, stride, row, pass, bits);
                Some(())
            }
            InterlaceInfo::Null(_) => {
                let target = self.samples.get_mut(self.next..self.next + stride)?;
                self.next += stride;
                (row.len() == stride).then(|| target.copy_from_slice(row))
            }
        }
    }
}

/// Orientation in the metadata: EXIF, else XMP.
pub(crate) fn orientation(bytes: &[u8]) -> Orientation {
    const XMP: &[u8] = b"XML:com.adobe.xmp\0";
    let (mut rest, mut xmp) = (bytes.get(SIGNATURE.len()..).unwrap_or_default(), None);
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(chunk) = behind.get(..length) else { break };
        match &head[4..] {
            b"eXIf" => {
                if let Some(turn) = exif::of_exif(chunk) {
                    return turn;
                }
            }
            b"iTXt" if chunk.starts_with(XMP) => xmp = xmp.or_else(|| exif::of_xmp(chunk)),
            _ => {}
        }
        // Behind a chunk is its checksum.
        rest = behind.get(length + 4..).unwrap_or_default();
    }
    xmp.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    use super::*;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.into().write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn every_png_becomes_8_bits_of_grey_or_rgb() {
        let pixels = |bytes: Vec<u8>| {
            let image = decode(&bytes, "x.png").unwrap();
            (image.channels(), image.pixels().to_vec())
        };
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Rgb([1u8, 2, 3])))), (3, vec![1, 2, 3]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Rgba([1u8, 2, 3, 0])))), (3, vec![1, 2, 3]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Luma([9u8])))), (1, vec![9]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, LumaA([9u8, 4])))), (1, vec![9]));
        let deep = ImageBuffer::from_pixel(1, 1, Rgb([0u16, 257 * 100 + 128, 65535]));
        assert_eq!(pixels(png(deep)), (3, vec![0, 100, 255]));
        assert_eq!(pixels(png(ImageBuffer::from_pixel(1, 1, Luma([257u16 * 7])))), (1, vec![7]));
    }

    #[test]
    fn a_cut_png_is_truncated_wherever_it_is_cut() {
        let whole = png(ImageBuffer::from_fn(40, 40, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])));
        // The last 12 bytes are the empty IEND chunk; every pixel is there before it.
        for cut in 1..whole.len() - 12 {
            let error = decode(&whole[..cut], "a/b.png").expect_err("cut");
            assert!(error.bad_image().is_some() && error.to_string().starts_with("a/b.png: "), "{error}");
            if cut >= 8 {
                assert!(matches!(error, Error::TruncatedImage { .. }), "cut at {cut}: {error}");
            }
        }
    }

    #[test]
    fn damage_in_a_png_is_noticed() {
        let whole = png(ImageBuffer::from_fn(40, 40, |x, y| Rgb([x as u8, y as u8, (x * y) as u8])));
        let mut damaged = whole.clone();
        let middle = whole.len() / 2;
        damaged[middle] ^= 0x55;
        assert!(matches!(decode(&damaged, "x"), Err(Error::CorruptImage { .. })));
    }

    #[test]
    fn a_header_that_claims_gigapixels_is_refused() {
        let mut bytes = png(ImageBuffer::from_pixel(1, 1, Luma([9u8])));
        // IHDR: width and height at 16, its CRC at 29.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(matches!(decode(&bytes, "x"), Err(Error::ImageTooLarge { width: 65536, height: 65536, .. })));
    }
}
