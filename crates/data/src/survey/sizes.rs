//! Sizes of images.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

/// Number of sizes that are listed as the most frequent.
const LISTED: usize = 5;

/// Size of an image. Displays as `WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Size {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// Size of `[height, width]`.
impl From<[usize; 2]> for Size {
    fn from([height, width]: [usize; 2]) -> Self {
        Self { width, height }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Sizes of images as they are stored, sorted by their pixels.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sizes {
    /// The fewest pixels.
    pub smallest: Size,
    /// Size of which as many are smaller as are larger; the smaller of two.
    pub median: Size,
    /// The most pixels.
    pub largest: Size,
    /// Width / height.
    pub aspect: Aspect,
    /// Number of different sizes.
    pub distinct: usize,
    /// The five that most images have, and their numbers.
    #[serde(skip)]
    pub frequent: Vec<(Size, usize)>,
}

/// Width / height of images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Aspect {
    /// Of the tallest.
    pub least: f64,
    /// In the middle.
    pub median: f64,
    /// Of the widest.
    pub greatest: f64,
}

impl Sizes {
    /// Sizes of images; `None` where there are none.
    pub(super) fn of(mut sizes: Vec<Size>) -> Option<Self> {
        sizes.sort_unstable_by_key(|size| (size.width * size.height, *size));
        let (&smallest, &largest) = (sizes.first()?, sizes.last()?);
        let middle = (sizes.len() - 1) / 2;
        let median = sizes[middle];
        let mut counts: HashMap<Size, usize> = HashMap::new();
        sizes.iter().for_each(|&size| *counts.entry(size).or_default() += 1);
        let distinct = counts.len();
        let mut frequent: Vec<_> = counts.into_iter().collect();
        frequent.sort_unstable_by_key(|&(size, count)| (std::cmp::Reverse(count), size));
        frequent.truncate(LISTED);
        let mut aspects: Vec<f64> = sizes.iter().map(|size| size.width as f64 / size.height as f64).collect();
        aspects.sort_unstable_by(f64::total_cmp);
        let aspect =
            Aspect { least: aspects[0], median: aspects[middle], greatest: aspects[aspects.len() - 1] };
        Some(Self { smallest, median, largest, aspect, distinct, frequent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_sorted_by_their_pixels() {
        let sizes: Vec<Size> = [[2, 8], [4, 4], [1, 3], [4, 4], [10, 10], [5, 3]].map(Size::from).to_vec();
        let found = Sizes::of(sizes).unwrap();
        let shown = [found.smallest, found.median, found.largest].map(|size| size.to_string());
        assert_eq!(shown, ["3x1", "4x4", "10x10"]);
        assert_eq!((found.distinct, found.frequent[0]), (5, ([4, 4].into(), 2)));
        assert_eq!([found.aspect.least, found.aspect.median, found.aspect.greatest], [0.6, 1.0, 4.0]);
        assert_eq!(Sizes::of(Vec::new()), None);
    }
}
