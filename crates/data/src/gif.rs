//! GIF: the first frame, as Pillow gives it.

use std::io::{Cursor, ErrorKind};

use gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, MemoryLimit};

use crate::image::Sequence;
use crate::limits::{check_dimensions, corrupt};
use crate::{Error, Image};

/// The most that the decoder may allocate beside the frame: rows of it.
const MAX_ALLOCATION: u64 = 1 << 24;

/// Test for bytes that begin as a GIF file does.
pub(crate) fn is_gif(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a")
}

/// Decodes the first frame of a GIF file; `file` is named in errors.
///
/// Colour of the picture where the frame does not cover it: the transparent one, else the palette's first.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let failed = |error: DecodingError| match error {
        DecodingError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::TruncatedImage { file: file.into() }
        }
        error => corrupt(file, error),
    };
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(
        MAX_ALLOCATION.try_into().map_err(|error| corrupt(file, error))?,
    ));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(failed)?;
    let frame = decoder.next_frame_info().map_err(failed)?.ok_or_else(|| corrupt(file, "no frame"))?;
    let [left, top, frame_width, frame_height] =
        [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    let (transparent, own_palette) = (frame.transparent, frame.palette.clone());
    let width = usize::from(decoder.width()).max(left + frame_width);
    let height = usize::from(decoder.height()).max(top + frame_height);
    check_dimensions(width, height, file)?;
    if frame_width == 0 || frame_height == 0 {
        return Err(corrupt(file, "a frame without width or height"));
    }
    let mut indices = vec![0; frame_width * frame_height];
    decoder.read_into_buffer(&mut indices).map_err(failed)?;
    let palette = palette(own_palette.as_deref().or(decoder.global_palette()).unwrap_or_default());
    let background = transparent.unwrap_or(0);
    let mut canvas =
        Image::new(frame_width, frame_height, 1, indices).map_err(|error| corrupt(file, error))?;
    if [frame_width, frame_height] != [width, height] {
        let corner = [-(top as isize), -(left as isize)];
        canvas = canvas.window_on(&[background], corner, [height, width]);
    }
    let pixels = canvas.pixels().iter().flat_map(|&index| palette[usize::from(index)]).collect();
    let image = Image::new(width, height, 3, pixels).map_err(|error| corrupt(file, error))?;
    let image = match transparent {
        Some(clear) => {
            let opacity = |&index: &u8| if index == clear { 0 } else { u16::MAX };
            image.with_opacity(canvas.pixels().iter().map(opacity).collect())
        }
        None => image,
    };
    let several = has_more(&mut decoder);
    Ok(image.with_sequence(several.then_some(Sequence::First)))
}

/// Colours by index. Those that are not listed are grey, as Pillow has them.
fn palette(listed: &[u8]) -> [[u8; 3]; 256] {
    let mut palette = std::array::from_fn(|place| [place as u8; 3]);
    for (colour, &listed) in palette.iter_mut().zip(listed.as_chunks().0) {
        *colour = listed;
    }
    palette
}

/// True where another frame follows. Damage behind the first frame does not matter.
fn has_more(decoder: &mut Decoder<Cursor<&[u8]>>) -> bool {
    matches!(decoder.next_frame_info(), Ok(Some(_)))
}
