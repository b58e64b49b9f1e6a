//! Source pixels of each target pixel, and their weights in fixed point.

use std::ops::Range;

use super::filter::Filter;

/// Fractional bits of a weight: 32, less 8 for the pixel and 2 of headroom.
pub(super) const PRECISION: u32 = 22;

/// Taps along one side: for each target pixel the first source pixel that it reads, and the weights.
pub(super) struct Taps<W = i32> {
    bounds: Vec<(usize, usize)>,
    /// Weights, one target pixel after the other.
    weights: Vec<W>,
}

impl Taps {
    /// Taps along a side of `source` pixels that becomes `target` long, with weights of [`PRECISION`] bits.
    pub(super) fn new(source: usize, target: usize, filter: Filter) -> Self {
        Self::of(source, target, filter, fixed)
    }
}

impl Taps<f64> {
    /// Taps with weights that are not rounded, for floats.
    pub(super) fn exact(source: usize, target: usize, filter: Filter) -> Self {
        Self::of(source, target, filter, |weight| weight)
    }
}

impl<W> Taps<W> {
    /// With s = max(source / target, 1) and centre c = (x + 1/2) source / target, pixel i weighs f((i + 1/2 - c) / s),
    /// normalised to a sum of 1, and brought to its format by `rounded`.
    fn of(source: usize, target: usize, filter: Filter, rounded: fn(f64) -> W) -> Self {
        let scale = source as f64 / target as f64;
        let stretch = scale.max(1.0);
        let support = filter.support * stretch;
        let narrow = 1.0 / stretch;
        let (mut bounds, mut weights) = (Vec::with_capacity(target), Vec::new());
        let mut exact = Vec::new();
        for x in 0..target {
            let centre = (x as f64 + 0.5) * scale;
            // Casts saturate at 0, where Pillow clamps.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(source);
            exact.clear();
            exact.extend((first..end).map(|i| (filter.value)((i as f64 - centre + 0.5) * narrow)));
            let sum: f64 = exact.iter().sum();
            bounds.push((first, weights.len()));
            weights
                .extend(exact.iter().map(|&weight| rounded(if sum == 0.0 { weight } else { weight / sum })));
        }
        bounds.push((0, weights.len()));
        Self { bounds, weights }
    }

    /// The taps of a range of target pixels.
    pub(super) fn of_part(mut self, targets: Range<usize>) -> Self {
        // The end of the last one's weights is kept with the next bound.
        self.bounds.truncate(targets.end + 1);
        self.bounds.drain(..targets.start);
        self
    }

    /// The source pixels that are read.
    pub(super) fn source(&self) -> Range<usize> {
        let first = self.iter().map(|(first, _)| first).min();
        let end = self.iter().map(|(first, weights)| first + weights.len()).max();
        first.unwrap_or(0)..end.unwrap_or(0)
    }

    /// Taps of a source that begins `pixels` later.
    pub(super) fn behind(mut self, pixels: usize) -> Self {
        self.bounds.iter_mut().for_each(|(first, _)| *first = first.saturating_sub(pixels));
        self
    }

    /// Spans of the target pixels in order: the first source pixel of each, and the weights from there on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[W])> {
        self.bounds.windows(2).map(|pair| (pair[0].0, &self.weights[pair[0].1..pair[1].1]))
    }
}

/// The weight in fixed point, rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}
