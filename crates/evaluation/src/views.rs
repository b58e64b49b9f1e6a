//! Test-time augmentation: several views of an image, and one answer.

use std::fmt;
use std::str::FromStr;

use residual_arch::{Fill, NetSpec, Preprocess, Resize, Task};
use residual_data::{Batch, sigmoid};
use residual_measure::softmax;

/// Views of an image whose probabilities, or the numbers of a regression, are averaged (test-time augmentation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// The image alone.
    #[default]
    One,
    /// The image, and its mirror image.
    Flip,
    /// The centre and the four corners of a larger image, and their mirror images: the ten crops of Krizhevsky et al.
    /// 2012, section 4.1. The larger image is what the resize gives; where that leaves nothing to crop, the image with a
    /// border of a 14th of its side, in the colour that normalises to 0.
    FlipCrops,
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One => "none",
            Self::Flip => "flip",
            Self::FlipCrops => "flip+crops",
        })
    }
}

impl FromStr for Views {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::One, Self::Flip, Self::FlipCrops]
            .into_iter()
            .find(|views| views.to_string() == text)
            .ok_or_else(|| format!("{text:?}: no such test-time augmentation; help: none, flip, flip+crops"))
    }
}

impl Views {
    /// Number of views of an image.
    pub fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Flip => 2,
            Self::FlipCrops => 10,
        }
    }

    /// Preprocessing of the images that the views are cut out of, and `[height, width]` of a view where it is smaller.
    pub(crate) fn preprocess(self, spec: &NetSpec) -> (Preprocess, Option<[usize; 2]>) {
        let own = spec.preprocess.clone();
        if self != Self::FlipCrops {
            return (own, None);
        }
        let [_, height, width] = spec.input;
        let view = own.crop.unwrap_or([height, width]);
        let resized = match own.resize {
            Some(Resize::ShorterSide(side)) => [side; 2],
            Some(Resize::Exact(size) | Resize::Cover(size) | Resize::Within(size)) => size,
            _ => [0; 2],
        };
        let has_margin = resized[0] > view[0] || resized[1] > view[1];
        let larger = [0, 1].map(|side| match has_margin {
            true => resized[side].max(view[side]),
            false => view[side] + 2 * (view[side] / 14).max(1),
        });
        let larger = own.with(|preprocess| {
            preprocess.crop = Some(larger);
            if !has_margin {
                preprocess.fill = Fill::Mean;
            }
        });
        (larger, Some(view))
    }
}

/// Views of the images of a batch, and what is averaged over them.
pub(crate) struct Viewed<'a> {
    pub(crate) views: Views,
    /// `[height, width]` of a view; `None` for the whole image.
    pub(crate) size: Option<[usize; 2]>,
    pub(crate) task: &'a Task,
}

impl Viewed<'_> {
    /// Outputs of a batch from those of its views, which `network` gives: logits of the mean probabilities, or the mean of
    /// numbers.
    pub(crate) fn logits<E>(
        &self,
        batch: &Batch,
        mut network: impl FnMut(&[f32], [usize; 2]) -> Result<Vec<f32>, E>,
    ) -> Result<Vec<f32>, E> {
        let [n, _, height, width] = batch.shape;
        if self.views == Views::One {
            return network(&batch.images, [height, width]);
        }
        let size = self.size.unwrap_or([height, width]);
        let mut sum: Vec<f64> = Vec::new();
        for corner in corners([height, width], self.size) {
            for flipped in [false, true] {
                let logits = network(&cut(batch, corner, size, flipped), size)?;
                let rows = logits.chunks_exact((logits.len() / n.max(1)).max(1));
                let values = rows.flat_map(|row| self.values(row));
                match sum.is_empty() {
                    true => sum = values.collect(),
                    false => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                }
            }
        }
        let count = self.views.count() as f64;
        Ok(sum.into_iter().map(|sum| self.output(sum / count) as f32).collect())
    }

    /// Values of an image that are averaged over its views, from its logits.
    fn values(&self, row: &[f32]) -> Vec<f64> {
        match self.task {
            Task::Regression { .. } => row.iter().map(|&output| f64::from(output)).collect(),
            Task::MultiLabel { .. } => row.iter().map(|&logit| sigmoid(f64::from(logit))).collect(),
            _ => softmax(row),
        }
    }

    /// Logit of a mean. A probability of 0 has none; what stands in its place is less than any that a logit of f32 can make
    /// of it.
    fn output(&self, mean: f64) -> f64 {
        const LEAST: f64 = 1e-300;
        match self.task {
            Task::Regression { .. } => mean,
            Task::MultiLabel { .. } => mean.max(LEAST).ln() - (1.0 - mean).max(LEAST).ln(),
            _ => mean.max(LEAST).ln(),
        }
    }
}

/// `[top, left]` of the centre and the four corners; of the whole image alone where it is not cut.
fn corners([height, width]: [usize; 2], view: Option<[usize; 2]>) -> Vec<[usize; 2]> {
    let Some([view_height, view_width]) = view else { return vec![[0, 0]] };
    let [down, right] = [height.saturating_sub(view_height), width.saturating_sub(view_width)];
    vec![[down / 2, right / 2], [0, 0], [0, right], [down, 0], [down, right]]
}

/// Parts of the images of a batch, `[n, channels, height, width]`, mirrored where they are `flipped`.
fn cut(batch: &Batch, [top, left]: [usize; 2], [height, width]: [usize; 2], flipped: bool) -> Vec<f32> {
    let [n, channels, rows, columns] = batch.shape;
    let mut values = Vec::with_capacity(n * channels * height * width);
    for map in batch.images.chunks_exact((rows * columns).max(1)) {
        for row in map.chunks_exact(columns.max(1)).skip(top).take(height) {
            let part = &row[left..left + width];
            match flipped {
                true => values.extend(part.iter().rev()),
                false => values.extend_from_slice(part),
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use residual_arch::RegressionTarget;
    use residual_arch::families::family;

    use super::*;

    fn batch() -> Batch {
        Batch::new((0..9).map(|i| i as f32).collect(), [1, 1, 3, 3], vec![0])
    }

    #[test]
    fn views_by_hand() {
        let mut seen = Vec::new();
        let viewed = Viewed { views: Views::FlipCrops, size: Some([2, 2]), task: &Task::SingleLabel };
        let logits = viewed.logits(&batch(), |values, size| {
            assert_eq!(size, [2, 2]);
            seen.push(values.to_vec());
            Ok::<_, ()>(vec![0.0, 0.0])
        });
        assert_eq!(logits.unwrap(), [0.5f32.ln(); 2]);
        assert_eq!(seen.len(), Views::FlipCrops.count());
        // The centre of three in two places is the upper left.
        assert_eq!((&seen[0][..], &seen[1][..]), (&[0.0, 1.0, 3.0, 4.0][..], &[1.0, 0.0, 4.0, 3.0][..]));
        assert_eq!(seen[8], [4.0, 5.0, 7.0, 8.0]);
        assert_eq!(seen[5], [2.0, 1.0, 5.0, 4.0]);
    }

    #[test]
    fn probabilities_are_averaged_and_not_logits() {
        let of = |task: &Task, answers: [Vec<f32>; 2]| {
            let mut answers = answers.into_iter();
            let viewed = Viewed { views: Views::Flip, size: None, task };
            viewed.logits(&batch(), |_, _| Ok::<_, ()>(answers.next().unwrap())).unwrap()
        };
        assert_eq!(of(&Task::SingleLabel, [vec![0.0, 1000.0], vec![1000.0, 0.0]]), [0.5f32.ln(); 2]);
        // Sigmoids of 0.75 and 0.25 are 0.5 in the mean, certainties of both kinds too.
        let labels = of(&Task::multi_label(), [vec![3f32.ln(), 2000.0, 7.0], vec![-3f32.ln(), -2000.0, 7.0]]);
        assert!(labels[0].abs() < 1e-6 && labels[1] == 0.0 && (labels[2] - 7.0).abs() < 1e-4, "{labels:?}");
        let numbers = Task::Regression { targets: vec![RegressionTarget::new("age", 40.0, 10.0)] };
        assert_eq!(of(&numbers, [vec![1.0], vec![2.0]]), [1.5]);
        let alone = Viewed { views: Views::One, size: None, task: &Task::SingleLabel };
        let alone = alone.logits(&batch(), |values, _| Ok::<_, ()>(values.to_vec())).unwrap();
        assert_eq!(alone, batch().images);
    }

    #[test]
    fn crops_have_the_margin_of_the_resize_or_a_border() {
        let (larger, view) = Views::FlipCrops.preprocess(&family("resnet18").unwrap());
        assert_eq!((larger.crop, view), (Some([256, 256]), Some([224, 224])));
        let (larger, view) = Views::FlipCrops.preprocess(&family("small").unwrap());
        assert_eq!((larger.crop, view, larger.fill), (Some([36, 36]), Some([32, 32]), Fill::Mean));
        let small = family("small").unwrap();
        assert_eq!(Views::Flip.preprocess(&small), (small.preprocess.clone(), None));
    }

    #[test]
    fn views_are_named() {
        for views in [Views::One, Views::Flip, Views::FlipCrops] {
            assert_eq!(views.to_string().parse(), Ok(views));
        }
        assert!("crops".parse::<Views>().unwrap_err().contains("flip+crops"));
    }
}
