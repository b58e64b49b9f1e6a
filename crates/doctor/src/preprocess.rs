//! The preprocessing that a specification asks for.

use residual_arch::{NetSpec, Resize};

use crate::{Finding, Kind};

/// Pixels are from 0 to 1: no mean lies above 1, and no deviation above a half.
const GREATEST_MEAN: f32 = 1.0;

/// Of values from 0 to 1 the deviation is a half at most. Where images are only shifted and scaled, a
/// deviation of 1 is written too.
const GREATEST_STD: f32 = 1.0;

/// Checks of the preprocessing.
pub(crate) fn check(spec: &NetSpec) -> Vec<Finding> {
    [scale(spec), size(spec), crop(spec)].concat()
}

fn scale(spec: &NetSpec) -> Vec<Finding> {
    let beyond = |values: &[f32], greatest: f32| values.iter().copied().find(|value| value.abs() > greatest);
    let mean = beyond(&spec.preprocess.mean, GREATEST_MEAN).map(|value| ("mean", value));
    let std = beyond(&spec.preprocess.std, GREATEST_STD).map(|value| ("std", value));
    let Some((what, value)) = mean.or(std) else { return vec![] };
    let finding = Kind::NormalisationScale.at(format!("preprocess.{what}")).found(format!("{value}"));
    vec![finding.expected("values on the scale 0 to 1, as pixels are").help("divide mean and std by 255")]
}

fn size(spec: &NetSpec) -> Vec<Finding> {
    let given = match (spec.preprocess.crop, spec.preprocess.resize) {
        (Some(size), _) | (None, Some(Resize::Exact(size))) => size,
        _ => return vec![],
    };
    if given == spec.input[1..] {
        return vec![];
    }
    let [height, width] = given;
    let finding = Kind::PreprocessSize.at("preprocess").found(format!("images of {height}x{width}"));
    let expected = format!("{}x{}, the network's input", spec.input[1], spec.input[2]);
    vec![finding.expected(expected).help("make `input` and the crop (or the exact resize) the same")]
}

/// A crop larger than what is left of the resize is filled up with black.
fn crop(spec: &NetSpec) -> Vec<Finding> {
    let Some([height, width]) = spec.preprocess.crop else { return vec![] };
    let [h, w] = match spec.preprocess.resize {
        Some(Resize::ShorterSide(side)) => [side, side],
        Some(Resize::Exact(size) | Resize::Cover(size)) => size,
        // What is within a size is meant to be filled up.
        _ => return vec![],
    };
    if height <= h && width <= w {
        return vec![];
    }
    let found = format!("a crop of {height}x{width} from images of {h}x{w}, filled up with black");
    let finding = Kind::PreprocessSize.at("preprocess.crop").found(found);
    vec![finding.expected("a crop inside the resized image").help("resize to the crop's size or above")]
}
