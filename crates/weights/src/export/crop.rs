//! Resize and crop as the share of an image that other libraries know.

use residual_arch::{Fill, Interpolation, OddMargin, Preprocess, Resize};

/// Centre crop as a share of the resize.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crop {
    /// `[height, width]` of the crop.
    pub(super) size: [usize; 2],
    /// Share of each side, in timm's words `crop_pct`.
    pub(super) share: f64,
    /// timm's `crop_mode`.
    pub(super) mode: &'static str,
}

impl Crop {
    /// Crop of a preprocessing; `None` where it is none that timm's `create_transform` makes.
    pub(super) fn of(preprocess: &Preprocess) -> Option<Self> {
        let (resize, odd) = (preprocess.resize?, preprocess.odd_margin);
        let (size, mode) = match resize {
            Resize::ShorterSide(side) => ([side; 2], "center"),
            Resize::Cover(size) => (size, "center"),
            Resize::Exact(size) => (size, "squash"),
            Resize::Within(size) => (size, "border"),
            _ => return None,
        };
        let crop = preprocess.crop.unwrap_or(size);
        let fill = if mode == "border" { Fill::Mean } else { Fill::Black };
        let is_square = crop[0] == crop[1];
        let fits = match resize {
            Resize::ShorterSide(_) => is_square && preprocess.crop.is_some(),
            Resize::Cover(_) => !is_square && preprocess.crop.is_some(),
            _ => true,
        };
        let is_timm = fits && preprocess.fill == fill && odd == OddMargin::Round;
        let share = share(crop, size).filter(|_| is_timm)?;
        Some(Self { size: crop, share, mode })
    }
}

/// Share by which both sides of a crop, divided by it and cut to whole numbers, are those of the resize.
pub(super) fn share(crop: [usize; 2], size: [usize; 2]) -> Option<f64> {
    let side = |at: usize, add: f64| crop[at] as f64 / (size[at] as f64 + add);
    let is_right =
        |share: &f64| [0, 1].iter().all(|&at| (crop[at] as f64 / share).floor() == size[at] as f64);
    // In the middle of what is cut to the side, where the quotient itself falls short of it.
    let shares = [side(0, 0.0), side(1, 0.0), side(0, 0.5), side(1, 0.5)];
    shares.into_iter().find(|share| *share > 0.0 && *share <= 1.0 && is_right(share))
}

/// Name of an interpolation in timm.
pub(super) fn interpolation(interpolation: Interpolation) -> &'static str {
    match interpolation {
        Interpolation::Nearest => "nearest",
        Interpolation::Box => "box",
        Interpolation::Bilinear => "bilinear",
        Interpolation::Hamming => "hamming",
        Interpolation::Bicubic => "bicubic",
        Interpolation::Lanczos => "lanczos",
    }
}

/// Pillow's number of an interpolation.
pub(super) fn pillow(interpolation: Interpolation) -> u64 {
    match interpolation {
        Interpolation::Nearest => 0,
        Interpolation::Lanczos => 1,
        Interpolation::Bilinear => 2,
        Interpolation::Bicubic => 3,
        Interpolation::Box => 4,
        Interpolation::Hamming => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_give_back_the_resize() {
        for size in 224..600 {
            let share = share([224; 2], [size; 2]).unwrap();
            assert_eq!((224.0 / share).floor(), size as f64);
        }
        assert_eq!(share([224; 2], [200; 2]), None);
        assert_eq!(Crop::of(&Preprocess::imagenet(256, 224)).unwrap().share, 0.875);
        assert_eq!(Crop::of(&Preprocess::normalise_only()), None);
    }
}
