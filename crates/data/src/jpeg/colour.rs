//! Colour spaces of JPEG to grey or RGB: YCbCr in libjpeg's fixed point of 16 bits, ink as Pillow turns it to RGB.

use crate::fault::Fault;

/// Meaning of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    YCbCr,
    /// Ink, inverted: 255 is none. So Adobe's programs write it, and Pillow takes it to be in every file.
    Cmyk,
    /// CMYK with C, M and Y as the YCbCr of their complements.
    Ycck,
}

impl Colour {
    /// The meaning of components with these numbers. It is Adobe's segment that tells, where JFIF's does not; without
    /// both, it is their numbers.
    pub(super) fn of(ids: &[u8], jfif: bool, adobe: Option<u8>) -> Result<Self, Fault> {
        Ok(match (ids, adobe) {
            ([_], _) => Self::Grey,
            ([_, _, _], _) if jfif => Self::YCbCr,
            ([_, _, _], Some(0)) => Self::Rgb,
            (b"RGB", None) => Self::Rgb,
            ([_, _, _], _) => Self::YCbCr,
            ([_, _, _, _], Some(0) | None) => Self::Cmyk,
            ([_, _, _, _], _) => Self::Ycck,
            _ => return Err(Fault::Corrupt("a number of components that no colour space has")),
        })
    }

    /// Values of a pixel: 1 for grey, 3 for RGB.
    pub(super) fn channels(self) -> usize {
        if self == Self::Grey { 1 } else { 3 }
    }
}

/// Pixels that are computed together.
const RUN: usize = 64;

/// Writes one row of pixels, of at least as many samples in each of `rows`.
#[inline(always)]
pub(super) fn convert(colour: Colour, rows: &[&[u8]], target: &mut [u8]) {
    match (colour, rows) {
        (Colour::Grey, [grey]) => target.copy_from_slice(&grey[..target.len()]),
        (Colour::Rgb, &[r, g, b]) => {
            for (((pixel, &r), &g), &b) in target.as_chunks_mut().0.iter_mut().zip(r).zip(g).zip(b) {
                *pixel = [r, g, b];
            }
        }
        (Colour::YCbCr, &[y, cb, cr]) => ycbcr(y, cb, cr, target),
        (Colour::Cmyk, &[c, m, y, k]) => {
            for ((((pixel, &c), &m), &y), &k) in
                target.as_chunks_mut().0.iter_mut().zip(c).zip(m).zip(y).zip(k)
            {
                *pixel = [c, m, y].map(|ink| inked(255 - ink, k));
            }
        }
        (Colour::Ycck, &[y, cb, cr, k]) => {
            ycbcr(y, cb, cr, target);
            for (pixel, &k) in target.as_chunks_mut::<3>().0.iter_mut().zip(k) {
                *pixel = pixel.map(|ink| inked(ink, k));
            }
        }
        _ => {}
    }
}

/// A channel under ink on paper that black ink leaves `light`: light - ink light / 255, the product rounded.
#[inline(always)]
fn inked(ink: u8, light: u8) -> u8 {
    let product = u32::from(ink) * u32::from(light) + 128;
    light - (((product >> 8) + product) >> 8) as u8
}

#[inline(always)]
fn ycbcr(y: &[u8], cb: &[u8], cr: &[u8], target: &mut [u8]) {
    let runs = target.chunks_mut(3 * RUN).zip(y.chunks(RUN)).zip(cb.chunks(RUN)).zip(cr.chunks(RUN));
    for (((target, y), cb), cr) in runs {
        if let (Some(target), Some(y), Some(cb), Some(cr)) =
            (target.as_chunks_mut().0.first_chunk_mut(), y.first_chunk(), cb.first_chunk(), cr.first_chunk())
        {
            ycbcr_run(y, cb, cr, target);
        } else {
            let count = target.len() / 3;
            let padded = |samples: &[u8]| {
                let mut run = [0; RUN];
                run[..count].copy_from_slice(&samples[..count]);
                run
            };
            let mut pixels = [[0; 3]; RUN];
            ycbcr_run(&padded(y), &padded(cb), &padded(cr), &mut pixels);
            target.copy_from_slice(pixels[..count].as_flattened());
        }
    }
}

/// R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb, with Cb and Cr less 128. The fractions are
/// rounded to 16 bits, and the products to whole numbers: half up in R and B, after their sum in G. Whole parts are
/// taken out of the factors, so that these fit in 16 bits.
#[allow(clippy::needless_range_loop, reason = "the plain loop becomes vectors")]
#[inline(always)]
fn ycbcr_run(y: &[u8; RUN], cb: &[u8; RUN], cr: &[u8; RUN], target: &mut [[u8; 3]; RUN]) {
    const fn fix(value: f64) -> i32 {
        (value * 65536.0 + 0.5) as i32
    }
    const ONE: i32 = 1 << 16;
    const HALF: i32 = 1 << 15;
    let (mut red, mut green, mut blue) = ([0u8; RUN], [0u8; RUN], [0u8; RUN]);
    for i in 0..RUN {
        let y = i16::from(y[i]);
        let (b, r) = (i16::from(cb[i]) - 128, i16::from(cr[i]) - 128);
        // Twice the number, of which half is rounded up: the high halves of 16-bit products, as vectors have them.
        let for_red = ((i32::from(2 * r) * (fix(1.402) - ONE)) >> 16) as i16;
        let for_blue = ((i32::from(2 * b) * (fix(1.772) - 2 * ONE)) >> 16) as i16;
        let for_green = (i32::from(b) * -fix(0.34414) + i32::from(r) * (ONE - fix(0.71414)) + HALF) >> 16;
        red[i] = (y + r + ((for_red + 1) >> 1)).clamp(0, 255) as u8;
        green[i] = (y - r + for_green as i16).clamp(0, 255) as u8;
        blue[i] = (y + 2 * b + ((for_blue + 1) >> 1)).clamp(0, 255) as u8;
    }
    for (pixel, i) in target.iter_mut().zip(0..RUN) {
        *pixel = [red[i], green[i], blue[i]];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_converted_as_written() {
        // The formula with products rounded each by itself, as libjpeg's tables hold them.
        let round = |product: i32| (product + 32768) >> 16;
        for cb in 0..=255u8 {
            for cr in 0..=255u8 {
                let (b, r) = (i32::from(cb) - 128, i32::from(cr) - 128);
                let y: [u8; 16] = std::array::from_fn(|i| (i * 17) as u8);
                let mut target = [0; 48];
                convert(Colour::YCbCr, &[&y, &[cb; 16], &[cr; 16]], &mut target);
                for (pixel, y) in target.as_chunks::<3>().0.iter().zip(y.map(i32::from)) {
                    let green = (-22554 * b - 46802 * r + 32768) >> 16;
                    let wanted = [y + round(91881 * r), y + green, y + round(116130 * b)];
                    assert_eq!(*pixel, wanted.map(|value| value.clamp(0, 255) as u8), "{y} {cb} {cr}");
                }
            }
        }
    }

    #[test]
    fn markers_tell_the_colour_space() {
        let of = |ids: &[u8], jfif, adobe| Colour::of(ids, jfif, adobe).unwrap();
        assert_eq!(of(&[7], false, Some(0)), Colour::Grey);
        assert_eq!(of(&[1, 2, 3], true, Some(0)), Colour::YCbCr);
        assert_eq!(of(&[1, 2, 3], false, Some(0)), Colour::Rgb);
        assert_eq!(of(&[1, 2, 3], false, Some(1)), Colour::YCbCr);
        assert_eq!(of(b"RGB", false, None), Colour::Rgb);
        assert_eq!(of(b"RGB", true, None), Colour::YCbCr);
        assert_eq!(of(b"RGB", false, Some(1)), Colour::YCbCr);
        assert_eq!(of(&[0, 1, 2], false, None), Colour::YCbCr);
        assert_eq!(of(&[1, 2, 3, 4], false, None), Colour::Cmyk);
        assert_eq!(of(&[1, 2, 3, 4], true, Some(0)), Colour::Cmyk);
        assert_eq!(of(&[1, 2, 3, 4], false, Some(2)), Colour::Ycck);
    }
}
