//! Sums of a convolution's results, for the batch normalisation that follows.

use crate::Error;
use crate::layout::check_length;

/// Sums of a convolution's output: for each channel the sum of its results and of their squares over
/// all images and pixels, before the epilogue: what a batch normalisation needs.
///
/// Single products are added up in float32 within a band of rows, bands in float64, always in the same
/// order.
#[derive(Debug)]
pub struct Sums<'a> {
    /// The sum of each output channel.
    pub sum: &'a mut [f32],
    /// The sum of the squares of each output channel.
    pub squares: &'a mut [f32],
}

impl Sums<'_> {
    pub(super) fn check(&self, channels: usize) -> Result<(), Error> {
        check_length("the sums", channels, self.sum.len())?;
        check_length("the sums of squares", channels, self.squares.len())
    }

    /// Adds up the bands' sums `[band][2][channels]`, in their order.
    pub(super) fn add_up(self, partial: &[f32], channels: usize) {
        for (offset, target) in [(0, self.sum), (channels, self.squares)] {
            for (channel, target) in target.iter_mut().enumerate() {
                let bands = partial.chunks_exact(2 * channels);
                *target = bands.map(|band| f64::from(band[offset + channel])).sum::<f64>() as f32;
            }
        }
    }
}
