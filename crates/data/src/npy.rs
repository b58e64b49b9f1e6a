//! Arrays of NumPy as images (`.npy`, NEP 1): `uint8`, `uint16` and `float32`.

use crate::fault::Fault;
use crate::image::MAX_CHANNELS;
use crate::limits::{check_dimensions, check_samples};
use crate::npy_header::{NpyHeader, channels_first};
use crate::{Error, Image};

/// Decodes an array; `file` is named in errors.
///
/// `[height, width]` is grey. Of three sizes the channels are the smaller one of the first and the last, which is the
/// last where they are equal: `[height, width, channels]` or `[channels, height, width]`. Floats are taken as they are,
/// in place of `pixel / 255`.
pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Image, Error> {
    let array = Array::parse(bytes).map_err(|fault| fault.of(file))?;
    let [height, width, channels] = array.size;
    check_dimensions(width, height, file)?;
    check_samples([height, width, channels], file)?;
    let named = |error| match error {
        Error::NotFinite => Fault::Corrupt("a value that is no finite number").of(file),
        error => crate::limits::corrupt(file, error),
    };
    match array.element {
        Element::U8 => {
            Image::new(width, height, channels, array.samples(|[byte]: [u8; 1]| byte)).map_err(named)
        }
        Element::U16 { big_endian } => {
            let value =
                |bytes| if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
            let values = array.samples(|bytes| f32::from(value(bytes)) / 65535.0);
            Image::deep(width, height, channels, values).map_err(named)
        }
        Element::F32 { big_endian } => {
            let value =
                |bytes| if big_endian { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) };
            Image::deep(width, height, channels, array.samples(value)).map_err(named)
        }
    }
}

#[derive(Clone, Copy)]
enum Element {
    U8,
    U16 { big_endian: bool },
    F32 { big_endian: bool },
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 { .. } => 2,
            Self::F32 { .. } => 4,
        }
    }
}

struct Array<'a> {
    element: Element,
    /// `[height, width, channels]`
    size: [usize; 3],
    /// Elements from one to the next, along the same.
    strides: [usize; 3],
    data: &'a [u8],
}

impl<'a> Array<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let header = NpyHeader::parse(bytes)?;
        let element = element(header.element)?;
        match header.shape.len() {
            2 | 3 if !header.shape.contains(&0) => {}
            2 | 3 => return Err(Fault::Corrupt("a header with an impossible shape")),
            _ => return Err(Fault::Unsupported("a NumPy array that has neither two nor three axes")),
        }
        let data = &bytes[header.length..];
        let count = header.shape.iter().try_fold(element.size(), |count, &side| count.checked_mul(side));
        match count {
            Some(count) if count == data.len() => {}
            Some(count) if count < data.len() => {
                return Err(Fault::Corrupt("more bytes than its shape needs"));
            }
            _ => return Err(Fault::Truncated),
        }
        let (size, strides) = arranged(&header.shape, header.fortran)?;
        Ok(Self { element, size, strides, data })
    }

    /// All elements as `[height, width, channels]`.
    fn samples<const N: usize, T>(&self, value: impl Fn([u8; N]) -> T) -> Vec<T> {
        let (elements, _) = self.data.as_chunks::<N>();
        let ([height, width, channels], [down, across, deeper]) = (self.size, self.strides);
        let mut samples = Vec::with_capacity(elements.len());
        for y in 0..height {
            for x in 0..width {
                let start = y * down + x * across;
                samples.extend((0..channels).map(|channel| value(elements[start + channel * deeper])));
            }
        }
        samples
    }
}

fn element(name: &str) -> Result<Element, Fault> {
    match name {
        "|u1" | "<u1" | ">u1" => Ok(Element::U8),
        "<u2" => Ok(Element::U16 { big_endian: false }),
        ">u2" => Ok(Element::U16 { big_endian: true }),
        "<f4" => Ok(Element::F32 { big_endian: false }),
        ">f4" => Ok(Element::F32 { big_endian: true }),
        _ => Err(Fault::Unsupported("a NumPy array that is neither uint8, uint16 nor float32")),
    }
}

/// `[height, width, channels]` of a shape, and the strides along them.
fn arranged(shape: &[usize], fortran: bool) -> Result<([usize; 3], [usize; 3]), Fault> {
    let stride = |axis: usize| {
        let faster = if fortran { &shape[..axis] } else { &shape[axis + 1..] };
        faster.iter().product::<usize>()
    };
    let axes = match *shape {
        [_, _] => return Ok(([shape[0], shape[1], 1], [stride(0), stride(1), 0])),
        [a, b, c] if channels_first([a, b, c]) => [1, 2, 0],
        _ => [0, 1, 2],
    };
    if shape[axes[2]] > MAX_CHANNELS {
        return Err(Fault::Unsupported("a NumPy array of more than 32 channels"));
    }
    Ok((axes.map(|axis| shape[axis]), axes.map(stride)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        [b"\x93NUMPY", &[1u8, 0][..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
    }

    fn image(bytes: &[u8]) -> Image {
        decode(bytes, "x.npy").unwrap()
    }

    #[test]
    fn axes_are_told_by_their_sizes() {
        let data: Vec<u8> = (0..24).collect();
        let hwc = image(&npy("|u1", false, "(3, 4, 2)", &data));
        assert_eq!(([hwc.height(), hwc.width(), hwc.channels()], hwc.pixels()), ([3, 4, 2], &data[..]));
        let chw = image(&npy("|u1", false, "(2, 3, 4)", &data));
        assert_eq!([chw.height(), chw.width(), chw.channels()], [3, 4, 2]);
        assert_eq!(chw.pixels()[..6], [0, 12, 1, 13, 2, 14]);
        let fortran = image(&npy("|u1", true, "(3, 4, 2)", &data));
        assert_eq!(fortran.pixels()[..4], [0, 12, 3, 15]);
        let grey = image(&npy("|u1", false, "(4, 6)", &data));
        assert_eq!([grey.height(), grey.width(), grey.channels()], [4, 6, 1]);
        assert_eq!(image(&npy("|u1", false, "(2, 6, 2)", &data)).channels(), 2);
    }

    #[test]
    fn sixteen_bits_and_floats_stay() {
        let short = image(&npy(">u2", false, "(1, 2)", &[0x80, 0, 0xff, 0xff]));
        assert_eq!(short.values(), Some(&[32768.0 / 65535.0, 1.0][..]));
        let floats =
            image(&npy("<f4", false, "(1, 2)", &[(-3.5f32).to_le_bytes(), 0.25f32.to_le_bytes()].concat()));
        assert_eq!(floats.values(), Some(&[-3.5, 0.25][..]));
        let error = decode(&npy("<f4", false, "(1, 1)", &f32::NAN.to_le_bytes()), "x").unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
    }

    #[test]
    fn damage_is_an_error() {
        let whole = npy("|u1", false, "(3, 4, 2)", &[0; 24]);
        for cut in 6..whole.len() {
            assert!(matches!(decode(&whole[..cut], "x"), Err(Error::TruncatedImage { .. })), "{cut}");
        }
        for (descr, shape) in [
            ("<f8", "(1, 1)"),
            ("|O", "(1, 1)"),
            ("|u1", "(1,)"),
            ("|u1", "(1, 0)"),
            ("|u1", "(40, 50, 60)"),
            ("|u1", "(99999999999, 99999999999)"),
            ("|u1", "(99999999999999999999999, 1)"),
            ("|u1", "(-1, 1)"),
            ("|u1", "[1, 1]"),
        ] {
            let error = decode(&npy(descr, false, shape, &[0; 4]), "x").unwrap_err();
            assert!(error.bad_image().is_some(), "{descr} {shape}: {error}");
        }
        let error = decode(&npy("|u1", false, "(40, 50, 60)", &[0; 120_000]), "x").unwrap_err();
        assert!(matches!(error, Error::UnsupportedImage { .. }), "{error}");
    }
}
