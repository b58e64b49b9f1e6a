//! A published checkpoint, and the preprocessing that it was evaluated with.

use std::fmt;

use crate::{Fill, Interpolation, Naming, NetSpec, Preprocess, Resize};

/// Published weights of a network, as their library describes them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// The library that describes them.
    pub library: Library,
    /// Name of the network in that library; that of a family member.
    pub model: &'static str,
    /// Name among the checkpoints of the network.
    pub tag: &'static str,
    /// True for the checkpoint that the library takes where none is named.
    pub default: bool,
    /// Number of parameters of the network.
    pub parameters: u64,
    /// Address of the file; `None` for a network of which no weights are published.
    pub url: Option<&'static str>,
    /// Size of the file in units of 10^6 bytes, as torchvision states it; `None` for timm's, which are
    /// [about four bytes](Self::weights_megabytes) a parameter.
    pub megabytes: Option<f64>,
    /// First eight hexadecimal digits of the file's SHA-256, as its name carries them; `None` where none is published.
    pub sha256: Option<&'static str>,
    /// Licence, as the library states it; `None` where it states none.
    pub licence: Option<&'static str>,
    /// Accuracy on ImageNet's validation images.
    pub accuracy: Option<Accuracy>,
    /// Number of classes; 0 for a network without a head.
    pub classes: usize,
    /// Side of the square input, in pixels.
    pub(super) side: usize,
    /// Resize before the crop.
    pub(super) scale: Scale,
    /// Side and resize at the test size.
    pub(super) test: Option<(usize, Scale)>,
    /// Crop mode.
    pub crop_mode: CropMode,
    /// Interpolation of the resize.
    pub interpolation: Interpolation,
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: [f32; 3],
}

/// Libraries that publish weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Library {
    /// `torchvision.models`.
    Torchvision,
    /// timm, PyTorch Image Models.
    Timm,
}

/// Accuracy on ImageNet's 50,000 validation images, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Accuracy {
    /// Share of images whose most probable class is right.
    pub top1: f64,
    /// Share of images with the right class among the first five.
    pub top5: f64,
    /// Side of the input that it was measured with.
    pub side: usize,
}

/// Size that images are brought to: that of the training, or the larger one at which many checkpoints answer better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// The checkpoint's input size, timm's default.
    #[default]
    Usual,
    /// The test size where there is one (timm's `use_test_size=True`), else the usual.
    Test,
}

/// Crop modes of timm's `create_transform`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CropMode {
    /// The image covers the resized square, and its centre is cut out.
    Center,
    /// The image is stretched to the resized square, and its centre is cut out.
    Squash,
    /// The whole image lies in the resized square, and the mean colour around it.
    Border,
}

/// Size to which an image is resized before the crop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// The shorter side, in pixels.
    Side(usize),
    /// The crop's share of the resized side, `crop_pct`: the side is the crop's divided by it, rounded down.
    Share(f64),
}

impl Published {
    /// Name with the tag, as the library writes it: `resnet50:IMAGENET1K_V2`, `resnet50.a1_in1k`.
    pub fn name(&self) -> String {
        let separator = match self.library {
            Library::Torchvision => ':',
            Library::Timm => '.',
        };
        format!("{}{separator}{}", self.model, self.tag)
    }

    /// Size of the parameters as numbers of four bytes, in units of 10^6 bytes.
    pub fn weights_megabytes(&self) -> f64 {
        4e-6 * self.parameters as f64
    }

    /// Input `[channels, height, width]` of the network.
    pub fn input(&self, view: View) -> [usize; 3] {
        let (side, _) = self.size(view);
        [3, side, side]
    }

    /// True where the test size differs from the usual one.
    pub fn has_test_size(&self) -> bool {
        self.preprocess(View::Test) != self.preprocess(View::Usual)
    }

    /// Preprocessing of images as the library's own evaluation transform does it: torchvision's `weights.transforms()`,
    /// timm's `create_transform(**resolve_model_data_config(model))`.
    pub fn preprocess(&self, view: View) -> Preprocess {
        let (side, scale) = self.size(view);
        let crop = [side, side];
        let (resize, fill) = self.crop_mode.resize(crop.map(|side| scale.before(side)));
        Preprocess::normalise_only().with(|preprocess| {
            preprocess.resize = Some(resize);
            preprocess.interpolation = self.interpolation;
            preprocess.crop = Some(crop);
            preprocess.fill = fill;
            preprocess.mean = self.mean.to_vec();
            preprocess.std = self.std.to_vec();
        })
    }

    /// The network that the weights are for: `spec` with the checkpoint's input, classes, preprocessing and names of
    /// tensors.
    pub fn apply(&self, spec: NetSpec, view: View) -> NetSpec {
        spec.with(|spec| {
            spec.naming = self.naming();
            spec.input = self.input(view);
            spec.preprocess = self.preprocess(view);
            if self.classes > 0 {
                spec.head.classes = self.classes;
            }
        })
    }

    fn naming(&self) -> Naming {
        match self.library {
            Library::Torchvision => Naming::Torchvision,
            Library::Timm => Naming::Timm,
        }
    }

    fn size(&self, view: View) -> (usize, Scale) {
        match (view, self.test) {
            (View::Test, Some(test)) => test,
            _ => (self.side, self.scale),
        }
    }
}

impl Scale {
    /// Side of the image before a crop of `side` pixels.
    fn before(self, side: usize) -> usize {
        match self {
            Self::Side(resized) => resized,
            Self::Share(share) => (side as f64 / share).floor() as usize,
        }
    }
}

impl CropMode {
    /// Resize to `[height, width]`, and the colour of what a crop adds.
    fn resize(self, size: [usize; 2]) -> (Resize, Fill) {
        match self {
            Self::Center if size[0] == size[1] => (Resize::ShorterSide(size[0]), Fill::Black),
            Self::Center => (Resize::Cover(size), Fill::Black),
            Self::Squash => (Resize::Exact(size), Fill::Black),
            Self::Border => (Resize::Within(size), Fill::Mean),
        }
    }
}

impl fmt::Display for Library {
    /// `torchvision`, `timm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torchvision => "torchvision",
            Self::Timm => "timm",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// timm 1.0.31's `create_transform((3, 224, 320), crop_pct=0.9, crop_mode=...)`: `scale_size` is (248, 355).
    #[test]
    fn crop_modes_of_a_square_and_of_a_rectangle() {
        let size = [224, 320].map(|side| Scale::Share(0.9).before(side));
        assert_eq!(size, [248, 355]);
        assert_eq!(CropMode::Center.resize(size), (Resize::Cover(size), Fill::Black));
        assert_eq!(CropMode::Center.resize([248, 248]), (Resize::ShorterSide(248), Fill::Black));
        assert_eq!(CropMode::Squash.resize([248, 248]), (Resize::Exact([248, 248]), Fill::Black));
        assert_eq!(CropMode::Border.resize([248, 248]), (Resize::Within([248, 248]), Fill::Mean));
    }
}
