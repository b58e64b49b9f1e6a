//! Interpolation filters, as Pillow defines them.

use std::f64::consts::PI;

use residual_arch::Interpolation;

/// Convolution filter of a resize: its value at a distance, and where it ends.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    /// Value at a distance from the centre, in target pixels where the image shrinks and in source pixels where it
    /// grows.
    pub(super) value: fn(f64) -> f64,
    /// Distance beyond which the value is 0.
    pub(super) support: f64,
}

impl Filter {
    /// The filter of an interpolation; `None` for nearest, which takes one pixel and weighs nothing.
    pub(super) fn new(interpolation: Interpolation) -> Option<Self> {
        let (value, support): (fn(f64) -> f64, f64) = match interpolation {
            Interpolation::Nearest => return None,
            Interpolation::Box => (rectangle, 0.5),
            Interpolation::Bilinear => (triangle, 1.0),
            Interpolation::Hamming => (hamming, 1.0),
            Interpolation::Bicubic => (cubic, 2.0),
            Interpolation::Lanczos => (lanczos, 3.0),
        };
        Some(Self { value, support })
    }
}

fn rectangle(x: f64) -> f64 {
    if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Sinc with a Hamming window of radius 1. The window's constants are single precision in Pillow.
fn hamming(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x == 0.0 => 1.0,
        _ if x >= 1.0 => 0.0,
        _ => sinc(x) * (f64::from(0.54_f32) + f64::from(0.46_f32) * (x * PI).cos()),
    }
}

/// Keys' cubic convolution with a = -1/2 (Keys 1981, equation 4).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match x {
        _ if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        _ if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// Sinc with a sinc window of radius 3.
fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
