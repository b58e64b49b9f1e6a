//! Changes that a policy chooses among.

use crate::{Affine, Operation, Sampling};

/// Change of a policy, by torchvision's names; its magnitude is drawn from a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

impl Change {
    /// True where the magnitude has a random sign.
    pub(super) fn is_signed(self) -> bool {
        use Change::{
            Brightness, Color, Contrast, Rotate, Sharpness, ShearX, ShearY, TranslateX, TranslateY,
        };
        matches!(
            self,
            ShearX | ShearY | TranslateX | TranslateY | Rotate | Brightness | Color | Contrast | Sharpness
        )
    }

    /// The operation of a magnitude; `None` for identity.
    pub(super) fn operation(self, magnitude: f64, sampling: &Sampling) -> Option<Operation> {
        let affine = |affine| Some(Operation::Affine(affine, sampling.clone()));
        // Shears are slopes, about the upper left corner.
        let shear = |shear| affine(Affine { shear, centre: Some([0.0; 2]), ..Affine::default() });
        let translate = |translate| affine(Affine { translate, ..Affine::default() });
        match self {
            Self::Identity => None,
            Self::ShearX => shear([magnitude.atan().to_degrees(), 0.0]),
            Self::ShearY => shear([0.0, magnitude.atan().to_degrees()]),
            Self::TranslateX => translate([magnitude.trunc(), 0.0]),
            Self::TranslateY => translate([0.0, magnitude.trunc()]),
            Self::Rotate => Some(Operation::Rotate(magnitude, sampling.clone())),
            Self::Brightness => Some(Operation::Brightness(1.0 + magnitude)),
            Self::Color => Some(Operation::Saturation(1.0 + magnitude)),
            Self::Contrast => Some(Operation::Contrast(1.0 + magnitude)),
            Self::Sharpness => Some(Operation::Sharpness(1.0 + magnitude)),
            Self::Posterize => Some(Operation::Posterize(magnitude as u8)),
            Self::Solarize => Some(Operation::Solarize(255.0 * magnitude)),
            Self::AutoContrast => Some(Operation::Autocontrast),
            Self::Equalize => Some(Operation::Equalize),
            Self::Invert => Some(Operation::Invert),
        }
    }
}
