//! Survey of images that are labelled for several classes or numbers.

use residual_arch::TaskKind;
use serde::Serialize;

use super::Survey;
use crate::{Source, Split};

/// Numbers of a regression's target over the images of a split, in its units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TargetSpread {
    /// Least number.
    pub least: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation, of the images as a whole.
    pub deviation: f64,
    /// Greatest number.
    pub greatest: f64,
}

/// Labels an image of a split, where it may have several.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LabelsPerImage {
    /// Mean.
    pub mean: f64,
    /// The most that an image has.
    pub most: usize,
    /// Images without any.
    pub without: usize,
}

impl Survey {
    /// Task that the images are labelled for.
    pub fn task(&self) -> TaskKind {
        self.sets.first().map_or(TaskKind::SingleLabel, |(_, set)| set.task())
    }

    /// Spread of each target of a regression in a split; empty for other tasks and for no images.
    pub fn targets(&self, split: Split) -> Vec<TargetSpread> {
        let set = self.set(split).filter(|set| self.task() == TaskKind::Regression && !set.is_empty());
        let Some(set) = set else { return Vec::new() };
        let rows: Vec<Vec<f64>> = (0..set.len()).map(|index| Source::targets(set, index)).collect();
        let of = |target: usize| {
            let numbers = || rows.iter().map(|row| row[target]);
            let count = rows.len() as f64;
            let mean = numbers().sum::<f64>() / count;
            let variance = numbers().map(|number| (number - mean).powi(2)).sum::<f64>() / count;
            let least = numbers().fold(f64::INFINITY, f64::min);
            let greatest = numbers().fold(f64::NEG_INFINITY, f64::max);
            TargetSpread { least, mean, deviation: variance.sqrt(), greatest }
        };
        (0..self.classes().len()).map(of).collect()
    }

    /// Numbers of labels an image in a split; `None` for other tasks than multi label and for no images.
    pub fn labels_per_image(&self, split: Split) -> Option<LabelsPerImage> {
        let set = self.set(split).filter(|set| self.task() == TaskKind::MultiLabel && !set.is_empty())?;
        let labels = |index| Source::targets(set, index).iter().filter(|&&target| target > 0.0).count();
        let counts: Vec<usize> = (0..set.len()).map(labels).collect();
        Some(LabelsPerImage {
            mean: counts.iter().sum::<usize>() as f64 / counts.len() as f64,
            most: counts.iter().copied().max().unwrap_or(0),
            without: counts.iter().filter(|&&count| count == 0).count(),
        })
    }
}
