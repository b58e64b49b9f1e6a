//! Chroma to the size of the image, as libjpeg does it ("fancy" upsampling): a triangle filter where a side is
//! halved, in which a sample weighs 3/4 and its neighbour 1/4; repeated samples at all other ratios.

/// Upsampling of a component to the size of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ratio {
    /// No upsampling: one sample a pixel.
    Whole,
    /// Half the width, triangle filter.
    HalfWidth,
    /// Half the height, triangle filter.
    HalfHeight,
    /// Half of both, triangle filter.
    Half,
    /// Repetition along a row, so many times.
    Repeated(usize),
}

impl Ratio {
    /// The way for a component with that many samples in a row, whose sides are `across` and `down` times shorter.
    pub(super) fn new([across, down]: [usize; 2], samples: usize) -> Self {
        match (across, down) {
            (1, 1) => Self::Whole,
            (1, 2) => Self::HalfHeight,
            // In rows of one and two samples there is nothing between two neighbours.
            (2, 1) if samples > 2 => Self::HalfWidth,
            (2, 2) if samples > 2 => Self::Half,
            _ => Self::Repeated(across),
        }
    }

    /// True where a pixel is made of two samples of a row.
    pub(super) fn needs_next(self) -> bool {
        matches!(self, Self::HalfWidth | Self::Half)
    }

    /// True where a row of the image is made of two rows of samples.
    pub(super) fn needs_neighbour(self) -> bool {
        matches!(self, Self::HalfHeight | Self::Half)
    }
}

/// Samples for one row of the image, of the nearest row of samples and the other that it lies between.
/// `below`: that one is the lower of both. `sums` is room to work, for as many samples as `near` has.
#[inline(always)]
pub(super) fn row(ratio: Ratio, [near, far]: [&[u8]; 2], below: bool, sums: &mut [u16], target: &mut [u8]) {
    match ratio {
        Ratio::Whole => target.copy_from_slice(near),
        Ratio::HalfWidth => half_width(near, target),
        Ratio::HalfHeight => {
            // Rounding alternates, so that it moves nothing on average.
            let bias = if below { 2 } else { 1 };
            for ((target, &near), &far) in target.iter_mut().zip(near).zip(far) {
                *target = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
            }
        }
        Ratio::Half => {
            let sums = &mut sums[..near.len()];
            for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
                *sum = u16::from(near) * 3 + u16::from(far);
            }
            half(sums, target);
        }
        Ratio::Repeated(times) => {
            for (target, &sample) in target.chunks_exact_mut(times).zip(near) {
                target.fill(sample);
            }
        }
    }
}

/// Twice as many samples. The ends stay as they are.
#[inline(always)]
fn half_width(samples: &[u8], target: &mut [u8]) {
    let (&[first, ..], &[.., last]) = (samples, samples) else { return };
    let inner = target[1..].as_chunks_mut::<2>().0;
    for ((target, &left), &right) in inner.iter_mut().zip(samples).zip(&samples[1..]) {
        let (left, right) = (u16::from(left), u16::from(right));
        *target = [((left * 3 + right + 2) >> 2) as u8, ((left + right * 3 + 1) >> 2) as u8];
    }
    let end = target.len() - 1;
    (target[0], target[end]) = (first, last);
}

/// Twice as many samples, of sums of two rows that weigh four times a sample.
#[inline(always)]
fn half(sums: &[u16], target: &mut [u8]) {
    let (&[first, ..], &[.., last]) = (sums, sums) else { return };
    let inner = target[1..].as_chunks_mut::<2>().0;
    for ((target, &left), &right) in inner.iter_mut().zip(sums).zip(&sums[1..]) {
        *target = [((left * 3 + right + 7) >> 4) as u8, ((left + right * 3 + 8) >> 4) as u8];
    }
    let end = target.len() - 1;
    (target[0], target[end]) = (((first * 4 + 8) >> 4) as u8, ((last * 4 + 7) >> 4) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(ratio: Ratio, near: &[u8], far: &[u8], below: bool) -> Vec<u8> {
        let across = match ratio {
            Ratio::Whole | Ratio::HalfHeight => 1,
            Ratio::HalfWidth | Ratio::Half => 2,
            Ratio::Repeated(times) => times,
        };
        let mut target = vec![0; across * near.len()];
        row(ratio, [near, far], below, &mut vec![0; near.len()], &mut target);
        target
    }

    #[test]
    fn samples_lie_between_their_neighbours() {
        // (3 * 0 + 100 + 2) / 4 = 25, (0 + 3 * 100 + 1) / 4 = 75, (3 * 100 + 7 + 2) / 4 = 77, (100 + 21 + 1) / 4 = 30.
        assert_eq!(made(Ratio::HalfWidth, &[0, 100, 7], &[], false), [0, 25, 75, 77, 30, 7]);
        assert_eq!(made(Ratio::HalfHeight, &[1, 2], &[4, 3], false), [2, 2]);
        assert_eq!(made(Ratio::HalfHeight, &[1, 2], &[4, 4], true), [2, 3]);
        // Sums 4, 310 and 27: 4 * 4 + 8 = 24, 12 + 310 + 7 = 329, 4 + 930 + 8 = 942, 930 + 27 + 7 = 964,
        // 310 + 81 + 8 = 399, 4 * 27 + 7 = 115, each over 16.
        assert_eq!(made(Ratio::Half, &[1, 100, 7], &[1, 10, 6], true), [1, 20, 58, 60, 24, 7]);
        assert_eq!(made(Ratio::Repeated(3), &[5, 6], &[], false), [5, 5, 5, 6, 6, 6]);
    }

    #[test]
    fn short_rows_are_repeated() {
        assert_eq!(Ratio::new([2, 1], 2), Ratio::Repeated(2));
        assert_eq!(Ratio::new([2, 2], 3), Ratio::Half);
        assert_eq!(Ratio::new([1, 2], 1), Ratio::HalfHeight);
        assert_eq!(Ratio::new([4, 2], 9), Ratio::Repeated(4));
    }
}
