//! A first convolution for images of other channels.

use crate::error::Error;
use crate::tensor::Tensor;

/// Channels of the images that checkpoints are published for.
pub(crate) const RGB: usize = 3;

/// Weight `[out, 3, h, w]` of a first convolution for images of `channels`, as timm's `adapt_input_conv` makes it: for
/// one channel the sum over the three; for more, the three repeated and scaled by `3 / channels`, so that equal channels
/// give the same maps.
///
/// # Errors
/// [`Error::WrongLength`] for a weight of another shape.
pub(crate) fn adapted(weight: Tensor, channels: usize) -> Result<Tensor, Error> {
    let &[out, RGB, height, width] = weight.shape() else {
        let elements = weight.data().len();
        return Err(Error::WrongLength { shape: weight.shape().to_vec(), elements });
    };
    let plane = height * width;
    let mut values = Vec::with_capacity(out * channels * plane);
    for kernel in weight.data().chunks_exact(RGB * plane) {
        if channels == 1 {
            values.extend(
                (0..plane).map(|at| (0..RGB).map(|channel| kernel[channel * plane + at]).sum::<f32>()),
            );
        } else {
            let scale = RGB as f32 / channels as f32;
            for channel in 0..channels {
                let repeated = &kernel[channel % RGB * plane..][..plane];
                values.extend(repeated.iter().map(|value| value * scale));
            }
        }
    }
    Tensor::new(vec![out, channels, height, width], values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_channel_is_the_sum_and_more_are_repeated_and_scaled() {
        // Two kernels of 1x2.
        let weight = || Tensor::new(vec![2, 3, 1, 2], (1..=12).map(|v| v as f32).collect()).unwrap();
        let grey = adapted(weight(), 1).unwrap();
        assert_eq!((grey.shape(), grey.data()), (&[2, 1, 1, 2][..], &[9.0, 12.0, 27.0, 30.0][..]));
        // timm: `adapt_input_conv(4, weight)`.
        let four = adapted(weight(), 4).unwrap();
        assert_eq!(four.shape(), [2, 4, 1, 2]);
        assert_eq!(four.data()[..8], [0.75, 1.5, 2.25, 3.0, 3.75, 4.5, 0.75, 1.5]);
        assert!(adapted(grey, 3).is_err());
    }
}
