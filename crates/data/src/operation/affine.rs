//! Matrices of affine transformations, from a pixel of the result to its place in the source.

use residual_arch::Interpolation;

/// Sampling of an image that is turned or sheared: interpolation, and the colour of what lies outside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// `Nearest` or `Bilinear`; any other counts as `Bilinear`.
    pub interpolation: Interpolation,
    /// Level of each channel outside the image; black where it is empty.
    pub fill: Vec<u8>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { interpolation: Interpolation::Nearest, fill: Vec::new() }
    }
}

/// Affine transformation with the parameters of torchvision's `functional.affine`: shear, scale and rotation about a
/// centre, then translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// Rotation in degrees, clockwise.
    pub angle: f64,
    /// Translation in pixels, `[right, down]`.
    pub translate: [f64; 2],
    /// Factor of the size.
    pub scale: f64,
    /// Shear in degrees, `[x, y]`.
    pub shear: [f64; 2],
    /// Centre `[x, y]`; that of the image where it is `None`.
    pub centre: Option<[f64; 2]>,
}

impl Default for Affine {
    fn default() -> Self {
        Self { angle: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2], centre: None }
    }
}

impl Affine {
    /// Matrix `[a, b, c, d, e, f]` of the inverse, by which `(x, y)` of the result comes from
    /// `(a x + b y + c, d x + e y + f)`.
    pub(super) fn inverse(&self, [height, width]: [usize; 2]) -> [f64; 6] {
        let [cx, cy] = self.centre.unwrap_or([width as f64 * 0.5, height as f64 * 0.5]);
        let [rotation, sx, sy] = [self.angle, self.shear[0], self.shear[1]].map(f64::to_radians);
        let [to_x, to_y] = [cx + self.translate[0], cy + self.translate[1]];
        let (cos_sy, tan_sx) = (sy.cos(), sx.tan());
        let a = (rotation - sy).cos() / cos_sy;
        let b = -(a * tan_sx + rotation.sin());
        let c = (rotation - sy).sin() / cos_sy;
        let d = rotation.cos() - c * tan_sx;
        // The determinant without the scale is 1.
        let [m0, m1, m3, m4] = [d / self.scale, -b / self.scale, -c / self.scale, a / self.scale];
        [m0, m1, cx - m0 * to_x - m1 * to_y, m3, m4, cy - m3 * to_x - m4 * to_y]
    }
}

/// Matrix of Pillow's `Image.rotate`, counter-clockwise about the centre: sine and cosine at 15 decimals.
pub(super) fn rotation(degrees: f64, [height, width]: [usize; 2]) -> [f64; 6] {
    let angle = -degrees.to_radians();
    let [cos, sin, minus_sin] = [angle.cos(), angle.sin(), -angle.sin()].map(rounded);
    let [cx, cy] = [width as f64 / 2.0, height as f64 / 2.0];
    let c = cos * -cx + sin * -cy + 0.0;
    let f = minus_sin * -cx + cos * -cy + 0.0;
    [cos, sin, c + cx, minus_sin, cos, f + cy]
}

/// The number at 15 decimals, as Python's `round` has it.
fn rounded(value: f64) -> f64 {
    format!("{value:.15}").parse().unwrap_or(value)
}
