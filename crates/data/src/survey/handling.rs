//! What a loader does to images of these sizes and kinds.

use residual_arch::{OrientationPolicy, Preprocess, Resize};
use serde::Serialize;

use super::seen::Picture;
use super::sizes::Size;
use crate::Orientation;

/// Handling of images by the preprocessing of a loader: numbers of images. One image is in several of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Handling {
    /// Turned upright, as EXIF says.
    pub turned: usize,
    /// Left on their side or mirrored, since the preprocessing ignores what EXIF says.
    pub left_turned: usize,
    /// Transparent, of which only the colours are taken.
    pub opacity_dropped: usize,
    /// Transparent, laid over a background.
    pub laid_on_background: usize,
    /// Of several frames or pages, of which the first is taken.
    pub first_of_several: usize,
    /// Grey, made RGB.
    pub made_rgb: usize,
    /// RGB, made grey.
    pub made_grey: usize,
    /// Of a number of channels that the network does not take: an error.
    pub other_channels: usize,
    /// Resized to fewer pixels.
    pub shrunk: usize,
    /// Resized to more pixels.
    pub enlarged: usize,
    /// Resized to another aspect ratio, by more than the rounding.
    pub stretched: usize,
    /// Cut at the centre.
    pub cropped: usize,
    /// Median of the share of a cropped image's area that is cut away.
    pub median_cut: Option<f64>,
    /// Filled up around, since they are smaller than the crop.
    pub padded: usize,
    /// Neither resized nor cropped.
    pub as_they_are: usize,
    /// Broken: an error, or left out.
    pub broken: usize,
    /// Sizes that the network sees, the first five.
    pub sizes: Vec<Size>,
}

impl Handling {
    pub(super) fn of<'a>(pictures: impl Iterator<Item = &'a Picture>, preprocess: &Preprocess) -> Self {
        let (mut handling, mut cuts) = (Self::default(), Vec::new());
        for picture in pictures {
            handling.admit(picture, preprocess);
            handling.fit(picture, preprocess, &mut cuts);
        }
        cuts.sort_unstable_by(f64::total_cmp);
        handling.median_cut = cuts.get(cuts.len().saturating_sub(1) / 2).copied();
        handling
    }

    /// Orientation, transparency and channels.
    fn admit(&mut self, picture: &Picture, preprocess: &Preprocess) {
        let count = |number: &mut usize, is: bool| *number += usize::from(is);
        if picture.orientation != Orientation::Upright {
            let applied = preprocess.orientation == OrientationPolicy::Apply;
            count(if applied { &mut self.turned } else { &mut self.left_turned }, true);
        }
        if picture.is_transparent {
            let laid = preprocess.alpha.background().is_some();
            count(if laid { &mut self.laid_on_background } else { &mut self.opacity_dropped }, true);
        }
        count(&mut self.first_of_several, picture.is_first);
        match (picture.channels as usize, preprocess.mean.len()) {
            (found, wanted) if found == wanted => {}
            (1, 3) => self.made_rgb += 1,
            (3, 1) => self.made_grey += 1,
            _ => self.other_channels += 1,
        }
    }

    /// Resize and crop.
    fn fit(&mut self, picture: &Picture, preprocess: &Preprocess, cuts: &mut Vec<f64>) {
        let stored = [picture.height as usize, picture.width as usize];
        let size = match preprocess.orientation {
            OrientationPolicy::Apply => picture.orientation.size(stored),
            OrientationPolicy::Ignore => stored,
        };
        let resized = preprocess.resize.map_or(size, |resize| resize.target(size));
        let pixels = |[height, width]: [usize; 2]| height as f64 * width as f64;
        self.shrunk += usize::from(pixels(resized) < pixels(size));
        self.enlarged += usize::from(pixels(resized) > pixels(size));
        let exact = matches!(preprocess.resize, Some(Resize::Exact(_)));
        let aspect = |[height, width]: [usize; 2]| width as f64 / height as f64;
        self.stretched += usize::from(exact && (aspect(resized) / aspect(size) - 1.0).abs() > STRETCH);
        let seen = preprocess.crop.unwrap_or(resized);
        let is_cut = (0..2).any(|side| resized[side] > seen[side]);
        self.cropped += usize::from(is_cut);
        self.padded += usize::from((0..2).any(|side| resized[side] < seen[side]));
        if is_cut {
            let kept = pixels([0, 1].map(|side: usize| resized[side].min(seen[side])));
            cuts.push(1.0 - kept / pixels(resized));
        }
        self.as_they_are += usize::from(size == resized && resized == seen);
        if self.sizes.len() < LISTED && !self.sizes.contains(&seen.into()) {
            self.sizes.push(seen.into());
        }
    }
}

/// Number of sizes that are listed.
const LISTED: usize = 5;

/// Change of the aspect ratio that is seen.
const STRETCH: f64 = 0.02;
