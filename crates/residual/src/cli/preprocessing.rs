//! Flags that change what is done to images before the network sees them.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use residual::Model;
use residual::arch::published::{self, View};
use residual::arch::{Fill, Interpolation, Preprocess, Resize};

use super::failure::{Failure, Outcome};
use super::progress::note;

/// Flags of the preprocessing. What is not given stays as the model has it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Preprocessing, in place of the model's")]
pub(crate) struct PreprocessArguments {
    /// Shorter side, or HxW whatever the aspect ratio; cover:HxW and within:HxW keep it; none.
    #[arg(long, value_name = "N|HxW|none", value_parser = resize)]
    resize: Option<Step<Resize>>,
    /// Centre crop: the side of a square, or HxW; none. What an image lacks is filled up.
    #[arg(long, value_name = "N|HxW|none", value_parser = crop)]
    crop: Option<Step<[usize; 2]>>,
    /// Interpolation of the resize, as Pillow computes it.
    #[arg(long, value_enum)]
    interpolation: Option<InterpolationName>,
    /// Colour of what a crop adds to an image that is smaller.
    #[arg(long, value_enum)]
    fill: Option<FillName>,
    /// Mean, one for all channels or one for each, from 0 to 1.
    #[arg(long, value_name = "M,M,M", value_delimiter = ',')]
    mean: Option<Vec<f32>>,
    /// Standard deviation, likewise.
    #[arg(long, value_name = "S,S,S", value_delimiter = ',')]
    std: Option<Vec<f32>>,
    /// The published network's size for tests, at which many answer better than at that of the training.
    #[arg(long)]
    test_size: bool,
}

/// A step of the preprocessing, or `none` for leaving it out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step<T>(Option<T>);

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InterpolationName {
    Nearest,
    Box,
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FillName {
    Black,
    Mean,
}

fn resize(text: &str) -> Result<Step<Resize>, String> {
    let (kind, size) = text.split_once(':').unwrap_or(("", text));
    let found = match kind {
        "" if text == "none" => return Ok(Step(None)),
        "" => {
            usize::from_str(text).map(Resize::ShorterSide).ok().or_else(|| size_of(text).map(Resize::Exact))
        }
        "cover" => size_of(size).map(Resize::Cover),
        "within" => size_of(size).map(Resize::Within),
        _ => None,
    };
    let expected = "expected a shorter side (256), HxW (256x320), cover:HxW, within:HxW or none";
    found.map(|resize| Step(Some(resize))).ok_or_else(|| expected.to_owned())
}

fn crop(text: &str) -> Result<Step<[usize; 2]>, String> {
    if text == "none" {
        return Ok(Step(None));
    }
    size_of(text)
        .map(|size| Step(Some(size)))
        .ok_or_else(|| "expected a side (224), HxW (224x320) or none".to_owned())
}

/// `[height, width]` of `224x320`, or of a square's side.
fn size_of(text: &str) -> Option<[usize; 2]> {
    let (height, width) = text.split_once(['x', 'X']).unwrap_or((text, text));
    Some([height.trim().parse().ok()?, width.trim().parse().ok()?])
}

impl PreprocessArguments {
    /// True where a flag is given.
    pub(crate) fn any(&self) -> bool {
        let Self { resize, crop, interpolation, fill, mean, std, test_size } = self;
        let sizes = resize.is_some() || crop.is_some() || interpolation.is_some() || fill.is_some();
        sizes || mean.is_some() || std.is_some() || *test_size
    }

    /// The model with the preprocessing that the flags ask for. Where bare weights leave it to the network's name, the
    /// published checkpoint that it is taken from is said.
    pub(crate) fn apply(&self, model: Model, name: Option<&str>) -> Outcome<Model> {
        let mut preprocess = model.preprocess().clone();
        let published = published::find(name.unwrap_or(&model.spec().name)).ok();
        if self.test_size {
            preprocess = match published.filter(|published| published.has_test_size()) {
                Some(published) => published.preprocess(View::Test),
                None => {
                    return Err(Failure::new(format_args!(
                        "--test-size: `{}` has none of its own; help: --resize and --crop set any size",
                        name.unwrap_or(&model.spec().name)
                    )));
                }
            };
        } else if let Some(published) = published.filter(|_| !self.any() && model.classes().is_none()) {
            let is_named = name.is_some_and(|name| name.contains([':', '.']));
            if !is_named && published.preprocess(View::Usual) == preprocess {
                note(&format!("images as for {}: {}", published.name(), described(&preprocess)));
            }
        }
        match self.any() {
            true => Ok(model.with_preprocess(self.changed(preprocess)?)?),
            false => Ok(model),
        }
    }

    fn changed(&self, preprocess: Preprocess) -> Outcome<Preprocess> {
        let channels = preprocess.mean.len();
        let [mean, std] =
            [("--mean", &self.mean), ("--std", &self.std)].map(|(flag, values)| match values.as_deref() {
                None => Ok(None),
                Some(&[value]) => Ok(Some(vec![value; channels])),
                Some(values) if values.len() == channels => Ok(Some(values.to_vec())),
                Some(values) => Err(Failure::new(format_args!(
                    "{flag}: {} numbers for {channels} channels; help: give one, or one a channel",
                    values.len()
                ))),
            });
        let (mean, std) = (mean?, std?);
        Ok(preprocess.with(|preprocess| {
            if let Some(Step(resize)) = self.resize {
                preprocess.resize = resize;
            }
            if let Some(Step(crop)) = self.crop {
                preprocess.crop = crop;
            }
            preprocess.interpolation =
                self.interpolation.map_or(preprocess.interpolation, Interpolation::from);
            preprocess.fill = self.fill.map_or(preprocess.fill, Fill::from);
            preprocess.mean = mean.unwrap_or_else(|| preprocess.mean.clone());
            preprocess.std = std.unwrap_or_else(|| preprocess.std.clone());
        }))
    }
}

/// `shorter side 232, crop 224x224, bilinear`.
fn described(preprocess: &Preprocess) -> String {
    let size = |[height, width]: [usize; 2]| format!("{height}x{width}");
    let resize = preprocess.resize.map(|resize| match resize {
        Resize::ShorterSide(side) => format!("side {side}"),
        Resize::Exact(exact) => size(exact),
        Resize::Cover(cover) => format!("cover {}", size(cover)),
        Resize::Within(within) => format!("within {}", size(within)),
        _ => "resize".to_owned(),
    });
    let crop = preprocess.crop.map(|[height, width]| match height == width {
        true => format!("crop {height}"),
        false => format!("crop {}", size([height, width])),
    });
    let interpolation = format!("{:?}", preprocess.interpolation).to_lowercase();
    [resize, crop, Some(interpolation)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl From<InterpolationName> for Interpolation {
    fn from(name: InterpolationName) -> Self {
        match name {
            InterpolationName::Nearest => Self::Nearest,
            InterpolationName::Box => Self::Box,
            InterpolationName::Bilinear => Self::Bilinear,
            InterpolationName::Hamming => Self::Hamming,
            InterpolationName::Bicubic => Self::Bicubic,
            InterpolationName::Lanczos => Self::Lanczos,
        }
    }
}

impl From<FillName> for Fill {
    fn from(name: FillName) -> Self {
        match name {
            FillName::Black => Self::Black,
            FillName::Mean => Self::Mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(resize("256"), Ok(Step(Some(Resize::ShorterSide(256)))));
        assert_eq!(resize("256x320"), Ok(Step(Some(Resize::Exact([256, 320])))));
        assert_eq!(resize("cover:10x20"), Ok(Step(Some(Resize::Cover([10, 20])))));
        assert_eq!(resize("within:224"), Ok(Step(Some(Resize::Within([224, 224])))));
        assert_eq!((resize("none"), crop("none")), (Ok(Step(None)), Ok(Step(None))));
        assert_eq!(crop("224"), Ok(Step(Some([224, 224]))));
        for wrong in ["", "x", "256x", "-1", "fit:3x3", "1x2x3"] {
            assert!(resize(wrong).is_err() && crop(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_change_what_they_name() {
        let flags = PreprocessArguments {
            crop: Some(Step(Some([10, 20]))),
            mean: Some(vec![0.5]),
            std: Some(vec![0.1, 0.2, 0.3]),
            ..PreprocessArguments::default()
        };
        let usual = Preprocess::imagenet(256, 224);
        let found = flags.changed(usual.clone()).unwrap();
        let expected = usual.clone().with(|preprocess| {
            preprocess.crop = Some([10, 20]);
            preprocess.mean = vec![0.5; 3];
            preprocess.std = vec![0.1, 0.2, 0.3];
        });
        assert_eq!(found, expected);
        let wrong = PreprocessArguments { mean: Some(vec![0.5; 2]), ..PreprocessArguments::default() };
        assert!(
            wrong
                .changed(usual.clone())
                .unwrap_err()
                .report(false)
                .unwrap()
                .contains("2 numbers for 3 channels")
        );
        assert!(!PreprocessArguments::default().any() && flags.any());
        assert_eq!(described(&usual), "side 256, crop 224, bilinear");
    }
}
