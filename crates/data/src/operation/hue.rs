//! Rotation of the hue, by way of Pillow's 8-bit HSV.

use crate::Image;

/// The image with its hues moved by `factor` of the whole circle; one of other than three channels has no hues, and
/// stays as it is.
pub(super) fn hue(mut image: Image, factor: f64) -> Image {
    if image.channels() != 3 {
        return image;
    }
    let shift = (factor * 255.0) as i32 as u8;
    for pixel in image.pixels_mut().as_chunks_mut::<3>().0 {
        let [hue, saturation, value] = to_hsv(*pixel);
        *pixel = to_rgb([hue.wrapping_add(shift), saturation, value]);
    }
    image
}

/// Pillow's `rgb2hsv`, floats and doubles as they are there.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (greatest, least) = (r.max(g).max(b), r.min(g).min(b));
    if greatest == least {
        return [0, 0, greatest];
    }
    let range = f32::from(greatest - least);
    let saturation = range / f32::from(greatest);
    let [rc, gc, bc] = [r, g, b].map(|level| f32::from(greatest - level) / range);
    let hue = if r == greatest {
        bc - gc
    } else if g == greatest {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, greatest]
}

/// Pillow's `hsv2rgb`.
fn to_rgb([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixth = f64::from(h) * 6.0 / 255.0;
    let sector = sixth.floor();
    let rest = (sixth - sector) as f32;
    let saturation = (f64::from(s) / 255.0) as f32;
    let level = |part: f32| (f64::from(v) * (1.0 - f64::from(part))).round() as u8;
    let p = level(saturation);
    let q = level(saturation * rest);
    let t = (f64::from(v) * (1.0 - f64::from(saturation) * (1.0 - f64::from(rest)))).round() as u8;
    match sector as u32 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
