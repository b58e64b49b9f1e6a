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

    /// True where a row of the image is made of two rows of samples.
    pub(super) fn needs_neighbour(self) -> bool {
        matches!(self, Self::HalfHeight | Self::Half)
    }
}

/// Samples for one row of the image, of the nearest row of samples and the other that it lies between.
/// `below`: that one is the lower of both. `sums` is room to work.
pub(super) fn row(
    ratio: Ratio,
    [near, far]: [&[u8]; 2],
    below: bool,
    sums: &mut Vec<u16>,
    target: &mut Vec<u8>,
) {
    target.clear();
    match ratio {
        Ratio::Whole => target.extend_from_slice(near),
        Ratio::HalfWidth => half_width(near, target),
        Ratio::HalfHeight => {
            // Rounding alternates, so that it moves nothing on average.
            let bias = if below { 2 } else { 1 };
            let between =
                |(&near, &far): (&u8, &u8)| ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
            target.extend(near.iter().zip(far).map(between));
        }
        Ratio::Half => {
            sums.clear();
            sums.extend(near.iter().zip(far).map(|(&near, &far)| u16::from(near) * 3 + u16::from(far)));
            half(sums, target);
        }
        Ratio::Repeated(times) => {
            target.extend(near.iter().flat_map(|&sample| std::iter::repeat_n(sample, times)))
        }
    }
}

/// Twice as many samples. The ends stay as they are.
fn half_width(samples: &[u8], target: &mut Vec<u8>) {
    target.resize(2 * samples.len(), 0);
    let (Some((&first, _)), Some((&last, _))) = (samples.split_first(), samples.split_last()) else { return };
    let inner = target[1..].as_chunks_mut::<2>().0;
    for (pair, target) in samples.windows(2).zip(inner) {
        let (left, right) = (u16::from(pair[0]), u16::from(pair[1]));
        *target = [((left * 3 + right + 2) >> 2) as u8, ((left + right * 3 + 1) >> 2) as u8];
    }
    let end = target.len() - 1;
    (target[0], target[end]) = (first, last);
}

/// Twice as many samples, of sums of two rows that weigh four times a sample.
fn half(sums: &[u16], target: &mut Vec<u8>) {
    target.resize(2 * sums.len(), 0);
    let (Some((&first, _)), Some((&last, _))) = (sums.split_first(), sums.split_last()) else { return };
    let inner = target[1..].as_chunks_mut::<2>().0;
    for (pair, target) in sums.windows(2).zip(inner) {
        *target = [((pair[0] * 3 + pair[1] + 7) >> 4) as u8, ((pair[0] + pair[1] * 3 + 8) >> 4) as u8];
    }
    let end = target.len() - 1;
    (target[0], target[end]) = (((first * 4 + 8) >> 4) as u8, ((last * 4 + 7) >> 4) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(ratio: Ratio, near: &[u8], far: &[u8], below: bool) -> Vec<u8> {
        let mut target = Vec::new();
        row(ratio, [near, far], below, &mut Vec::new(), &mut target);
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
