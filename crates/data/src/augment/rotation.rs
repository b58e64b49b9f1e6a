//! Random rotations and affine transformations.

use residual_arch::Interpolation;
use serde::{Deserialize, Serialize};

use super::draw::{Draw, check_range};
use super::fill::{Fill, Spread};
use crate::{Affine, Error, Operation, Sampling};

/// Limits of an angle in degrees.
const CIRCLE: [f64; 2] = [-360.0, 360.0];

const DEGREES: &str = "a number of degrees, or [least, greatest], from -360 to 360";

/// Random rotation about the centre, as torchvision's `RandomRotation` without `expand`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomRotation {
    /// Angle: `degrees` to both sides, or the least and the greatest.
    pub degrees: Spread,
    /// `nearest` (the default) or `bilinear`.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    #[serde(default)]
    pub fill: Fill,
}

pub(super) fn nearest() -> Interpolation {
    Interpolation::Nearest
}

/// Checks the interpolation of a warp.
pub(super) fn check_interpolation(option: &'static str, interpolation: Interpolation) -> Result<(), Error> {
    match interpolation {
        Interpolation::Nearest | Interpolation::Bilinear => Ok(()),
        other => Err(Error::InvalidOption {
            option,
            found: format!("{other:?}").to_lowercase(),
            expected: "nearest or bilinear",
        }),
    }
}

impl RandomRotation {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, RandomRotation};
    /// let rotation = RandomRotation::new(15.0).with(|rotation| rotation.fill = residual_data::Fill::Level(128));
    /// assert!(Augment::RandomRotation(rotation).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Rotation by up to `degrees` to both sides, black outside.
    pub fn new(degrees: f64) -> Self {
        Self { degrees: Spread::Around(degrees), interpolation: nearest(), fill: Fill::default() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_interpolation("random_rotation.interpolation", self.interpolation)?;
        self.degrees.check("random_rotation.degrees", CIRCLE, DEGREES)
    }

    pub(super) fn operation(&self, draw: &mut Draw<'_>) -> Operation {
        let degrees = draw.between(self.degrees.about(0.0));
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        Operation::Rotate(degrees, sampling)
    }
}

/// Random affine transformation, as torchvision's `RandomAffine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomAffine {
    /// Angle: `degrees` to both sides, or the least and the greatest.
    pub degrees: Spread,
    /// Greatest translation, `[horizontal, vertical]`, in shares of width and height. Default 0.
    #[serde(default)]
    pub translate: [f64; 2],
    /// Least and greatest factor of the size. Default 1.
    #[serde(default = "no_scale")]
    pub scale: [f64; 2],
    /// Shear in degrees, of the rows and of the columns. Default 0.
    #[serde(default = "no_shear")]
    pub shear: [Spread; 2],
    /// `nearest` (the default) or `bilinear`.
    #[serde(default = "nearest")]
    pub interpolation: Interpolation,
    /// Colour outside the image. Default black.
    #[serde(default)]
    pub fill: Fill,
}

fn no_scale() -> [f64; 2] {
    [1.0; 2]
}

fn no_shear() -> [Spread; 2] {
    [Spread::Around(0.0); 2]
}

impl RandomAffine {
    /// Rotation by up to `degrees` to both sides, to which other changes can be added.
    pub fn new(degrees: f64) -> Self {
        Self {
            degrees: Spread::Around(degrees),
            translate: [0.0; 2],
            scale: no_scale(),
            shear: no_shear(),
            interpolation: nearest(),
            fill: Fill::default(),
        }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_data::{Augment, RandomAffine};
    /// let affine = RandomAffine::new(10.0).with(|affine| affine.translate = [0.1, 0.1]);
    /// assert!(Augment::RandomAffine(affine).check().is_ok());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_interpolation("random_affine.interpolation", self.interpolation)?;
        self.degrees.check("random_affine.degrees", CIRCLE, DEGREES)?;
        for shear in self.shear {
            shear.check("random_affine.shear", [-80.0, 80.0], "[x, y], each up to 80 degrees")?;
            if shear.about(0.0).iter().any(|end| end.abs() > 80.0) {
                let (found, expected) = (format!("{shear:?}"), "[x, y], each up to 80 degrees");
                return Err(Error::InvalidOption { option: "random_affine.shear", found, expected });
            }
        }
        if !self.translate.iter().all(|share| (0.0..=1.0).contains(share)) {
            let (found, expected) = (format!("{:?}", self.translate), "[horizontal, vertical], each 0 to 1");
            return Err(Error::InvalidOption { option: "random_affine.translate", found, expected });
        }
        check_range("random_affine.scale", self.scale, 1e3, "0 < least <= greatest")
    }

    pub(super) fn operation(&self, [height, width]: [usize; 2], draw: &mut Draw<'_>) -> Operation {
        let angle = draw.between(self.degrees.about(0.0));
        let sides = [width as f64, height as f64];
        let translate = [0, 1].map(|axis| {
            let most = self.translate[axis] * sides[axis];
            draw.between([-most, most]).round_ties_even()
        });
        let scale = draw.between(self.scale);
        let shear = self.shear.map(|shear| draw.between(shear.about(0.0)));
        let affine = Affine { angle, translate, scale, shear, centre: None };
        let sampling = Sampling { interpolation: self.interpolation, fill: self.fill.levels(draw.colours) };
        Operation::Affine(affine, sampling)
    }
}
