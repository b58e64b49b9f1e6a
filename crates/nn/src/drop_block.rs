//! DropBlock: dropout of squares of a map.

use burn::tensor::{Tensor, TensorData};

use crate::{Mode, Randomness};

/// DropBlock (Ghiasi et al. 2018, algorithm 1): in training squares of a map are zero, in all channels alike, and what
/// is kept of an image is scaled by the share that was kept. Each pixel is the centre of a square with probability
///
/// ```text
/// gamma = scale probability h w / (k_h k_w (h - k_h + 1) (w - k_w + 1)),   k = min(size, h or w)
/// ```
///
/// as timm's `DropBlock2d` has it, which scales by the share of a whole batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropBlock {
    /// Share of the map that is dropped, about: less where squares overlap and more where they hang over the edge.
    pub probability: f64,
    /// Side of a square.
    pub size: usize,
    /// Factor of `gamma`.
    pub scale: f64,
}

impl DropBlock {
    /// Squares of 5 and a quarter of the probability for the last stage but one, squares of 3 for the last: timm's
    /// `drop_block_rate` of a ResNet. `None` for the stages before them, counted from the last, which is 0.
    pub fn of_stage(probability: f64, from_last: usize) -> Option<Self> {
        match from_last {
            0 => Some(Self { probability, size: 3, scale: 1.0 }),
            1 => Some(Self { probability, size: 5, scale: 0.25 }),
            _ => None,
        }
    }

    /// Probability that a pixel of a map is the centre of a square.
    fn gamma(&self, [height, width]: [usize; 2]) -> f64 {
        let [kh, kw] = [height, width].map(|side| self.size.min(side));
        let places = (kh * kw * (height - kh + 1) * (width - kw + 1)) as f64;
        self.scale * self.probability * (height * width) as f64 / places
    }

    /// Factor of every pixel of a map with these centres of squares.
    fn factors(&self, centres: &[bool], size: [usize; 2]) -> Vec<f32> {
        let [height, width] = size;
        let window = |at: usize, side: usize| {
            let k = self.size.min(side);
            // An even square reaches one further up and to the left of its centre than down and to the right.
            let first = (at + usize::from(k.is_multiple_of(2))).saturating_sub(k / 2);
            first..(at + k / 2 + 1).min(side)
        };
        let dropped = |y: usize, x: usize| {
            window(y, height).any(|row| window(x, width).any(|column| centres[row * width + column]))
        };
        let pixels = || (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)));
        let kept: Vec<bool> = pixels().map(|(y, x)| !dropped(y, x)).collect();
        let count = kept.iter().filter(|&&kept| kept).count();
        let factor = (kept.len() as f64 / count.max(1) as f64) as f32;
        kept.into_iter().map(|kept| if kept { factor } else { 0.0 }).collect()
    }

    /// Drops squares of maps, `[batch, channels, height, width]`. `usage` names the draws; the layers of one network
    /// need different names.
    pub fn forward(&self, x: Tensor<4>, usage: &str, mode: Mode) -> Tensor<4> {
        let Mode::Train(randomness) = mode else { return x };
        let [batch, _, height, width] = x.dims();
        let factors = self.draw(randomness, usage, [batch, height, width]);
        let factors = TensorData::new(factors, [batch, 1, height, width]);
        let factors = Tensor::from_data(factors, &x.device());
        x * factors
    }

    fn draw(&self, randomness: Randomness, usage: &str, [batch, height, width]: [usize; 3]) -> Vec<f32> {
        let (gamma, pixels) = (self.gamma([height, width]), (height * width) as u64);
        let factors = (0..batch as u64).flat_map(|image| {
            let first = (randomness.first + image) * pixels;
            let centres: Vec<bool> =
                (first..first + pixels).map(|pixel| randomness.uniform(usage, pixel) < gamma).collect();
            self.factors(&centres, [height, width])
        });
        factors.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kept pixels of a map, and the factor of what is kept, where `centres` are marked.
    fn kept(size: usize, centres: &[&str]) -> (Vec<String>, f32) {
        let block = DropBlock { probability: 0.1, size, scale: 1.0 };
        let marked: Vec<bool> = centres.iter().flat_map(|row| row.chars().map(|c| c == 'x')).collect();
        let factors = block.factors(&marked, [centres.len(), centres[0].len()]);
        let row = |row: &[f32]| row.iter().map(|&factor| if factor > 0.0 { 'o' } else { '.' }).collect();
        (factors.chunks(centres[0].len()).map(row).collect(), factors.iter().fold(0.0, |a, &b| a.max(b)))
    }

    /// Expected maps and numbers of bench/peers/drop_block.py: timm's `drop_block_2d` of one image.
    #[test]
    fn squares_are_timms() {
        let holds = |size: usize, [scale, gamma]: [f64; 2], maps: [&[&str]; 2]| {
            let [centres, expected] = maps;
            let (found, factor) = kept(size, centres);
            assert_eq!(found, expected);
            assert!((f64::from(factor) - scale).abs() < 1e-5, "{factor}");
            let block = DropBlock { probability: 0.1, size, scale: 1.0 };
            assert!((block.gamma([centres.len(), centres[0].len()]) - gamma).abs() < 1e-9);
        };
        let centres = ["x....", ".....", "...x.", ".....", "....."];
        let expected = ["..ooo", ".....", "oo...", "oo...", "ooooo"];
        holds(3, [2.0833333, 0.030864198], [&centres, &expected]);
        let (centres, expected) = (["....", ".x..", "....", "...x"], ["..oo", "..oo", "oo..", "oo.."]);
        holds(2, [2.0, 0.044444444], [&centres, &expected]);
        holds(5, [1.5, 0.1], [&["x..", "..."], &["..o", "ooo"]]);
    }

    #[test]
    fn the_share_that_is_dropped_is_that_of_overlapping_squares_and_the_mean_stays() {
        let block = DropBlock { probability: 0.1, size: 3, scale: 1.0 };
        let factors = block.draw(Randomness::new(1, 2), "test", [400, 8, 8]);
        let dropped = factors.iter().filter(|&&factor| factor == 0.0).count() as f64 / factors.len() as f64;
        // A pixel is kept where none of the 4, 6 or 9 pixels that can drop it is a centre: 0.1395 are dropped.
        assert!((0.13..0.15).contains(&dropped), "{dropped}");
        let mean = factors.iter().map(|&factor| f64::from(factor)).sum::<f64>() / factors.len() as f64;
        assert!((mean - 1.0).abs() < 1e-5, "{mean}");
        // A part of a batch has the draws of the whole.
        let last = block.draw(Randomness { first: 300, ..Randomness::new(1, 2) }, "test", [100, 8, 8]);
        assert_eq!(last, factors[300 * 64..]);
    }
}
