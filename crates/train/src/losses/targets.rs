//! What the outputs of a batch are held against.

use burn::tensor::Tensor;
use residual_arch::Task;
use residual_data::{Batch, Metric, Partner, TaskScore, sigmoid};
use residual_nn::{cross_entropy, objective, soft_cross_entropy};
use serde::{Deserialize, Serialize};

use crate::losses::task_loss::TaskLoss;
use crate::{Error, LossRecipe};

/// Targets of a batch: the label of each image, and where images were mixed, the labels of their partners; of other tasks
/// than single label, the numbers of each image.
pub(crate) struct BatchTargets<'a> {
    settled: &'a TaskLoss,
    labels: Vec<usize>,
    partners: Vec<Partner>,
    numbers: Vec<f64>,
    /// Number that a softmax's sum over the batch is divided by.
    weight: f64,
}

/// Sums of a pass by which a task other than single label is scored: true positives and errors of labels, or absolute
/// errors of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskSums {
    found: f64,
    wrong: f64,
}

impl TaskSums {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.found += other.found;
        self.wrong += other.wrong;
    }

    /// Score of a pass over so many images.
    pub(crate) fn score(&self, task: &Task, images: u64) -> Option<TaskScore> {
        match task {
            Task::MultiLabel { .. } => {
                let value = 2.0 * self.found / (2.0 * self.found + self.wrong).max(1.0);
                Some(TaskScore { metric: Metric::F1, value })
            }
            Task::Regression { targets } => {
                let value = self.wrong / (images.max(1) as f64 * targets.len().max(1) as f64);
                Some(TaskScore { metric: Metric::MeanAbsoluteError, value })
            }
            _ => None,
        }
    }
}

impl<'a> BatchTargets<'a> {
    pub(crate) fn new(batch: &Batch, settled: &'a TaskLoss) -> Self {
        let (labels, partners, numbers) =
            (batch.labels.clone(), batch.partners.clone(), batch.targets.clone());
        Self { settled, labels, partners, numbers, weight: settled.weight_of(batch) }
    }

    /// Label that has the greater share of each image.
    pub(crate) fn dominant(&self) -> impl Iterator<Item = usize> {
        self.labels.iter().enumerate().map(|(place, &label)| match self.partners.get(place) {
            Some(partner) if partner.share > 0.5 => partner.label,
            _ => label,
        })
    }

    /// Sums by which outputs, `[images][outputs]`, are scored where the task is not single label.
    pub(crate) fn sums(&self, outputs: &[f32]) -> TaskSums {
        let mut sums = TaskSums::default();
        let described = self.settled.task.targets();
        for (place, (&output, &target)) in outputs.iter().zip(&self.numbers).enumerate() {
            let output = f64::from(output);
            match described {
                [] => {
                    let (says, is) = (sigmoid(output) >= 0.5, target > 0.5);
                    sums.found += f64::from(u8::from(says && is));
                    sums.wrong += f64::from(u8::from(says != is));
                }
                [only] => sums.wrong += (only.value(output) - target).abs(),
                several => sums.wrong += (output - several[place % several.len()].standardised(target)).abs(),
            }
        }
        sums
    }

    /// Loss of outputs, `[images, outputs]`; the labels were checked.
    pub(crate) fn loss(&self, outputs: Tensor<2>) -> Result<Tensor<1>, Error> {
        let [_, classes] = outputs.dims();
        let settled = self.settled;
        if settled.is_plain() {
            return Ok(match self.partners.is_empty() {
                true => cross_entropy(outputs, &self.labels, settled.smoothing)?,
                false => soft_cross_entropy(outputs, &self.probabilities(classes))?,
            });
        }
        let targets = self.dense(classes);
        Ok(objective(outputs, &targets, &settled.objective(self.weight))?)
    }

    /// Targets of every output, image by image.
    fn dense(&self, classes: usize) -> Vec<f32> {
        let smoothing = self.settled.smoothing;
        let mut targets = match &self.settled.task {
            Task::SingleLabel => self.probabilities(classes),
            Task::Regression { targets } => {
                let standardised =
                    |(place, &number): (usize, &f64)| targets[place % classes].standardised(number) as f32;
                self.numbers.iter().enumerate().map(standardised).collect()
            }
            // Each label is a distribution over two.
            _ => self.numbers.iter().map(|&has| (has * (1.0 - smoothing) + smoothing / 2.0) as f32).collect(),
        };
        if let LossRecipe::BinaryCrossEntropy { target_threshold: Some(threshold), .. } = self.settled.loss {
            targets.iter_mut().for_each(|target| *target = f32::from(f64::from(*target) > threshold));
        }
        targets
    }

    /// Probability of each class, image by image: the mixed labels, of which a part is spread over all classes.
    fn probabilities(&self, classes: usize) -> Vec<f32> {
        let (off, on) = (self.settled.smoothing / classes as f64, 1.0 - self.settled.smoothing);
        let mut probabilities = Vec::with_capacity(self.labels.len() * classes);
        for (place, &label) in self.labels.iter().enumerate() {
            let partner = self.partners.get(place).copied().unwrap_or(Partner { label, share: 0.0 });
            let share = |class: usize| {
                let own = if class == label { 1.0 - partner.share } else { 0.0 };
                own + if class == partner.label { partner.share } else { 0.0 }
            };
            probabilities.extend((0..classes).map(|class| (off + on * share(class)) as f32));
        }
        probabilities
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use residual_arch::{RegressionTarget, TaskKind};
    use residual_data::{Image, LabelledImages};

    use super::*;
    use crate::{ClassWeights, Recipe};

    fn settled(recipe: &Recipe, task: Task, rows: &[[f64; 3]]) -> TaskLoss {
        let image = Image::new(2, 2, 1, vec![0; 4]).unwrap();
        let images = rows.iter().map(|row| (image.clone(), row.to_vec())).collect();
        let kind = if task.is_single_label() { TaskKind::MultiLabel } else { task.kind() };
        let images = LabelledImages::with_targets(kind, ["a", "b", "c"], images).unwrap();
        TaskLoss::new(recipe, &task, &images).unwrap()
    }

    fn value(loss: Tensor<1>) -> f64 {
        f64::from(loss.into_scalar::<f32>())
    }

    #[test]
    fn mixed_labels_share_the_probability() {
        let mut batch = Batch::new(vec![0.0; 3], [3, 1, 1, 1], vec![2, 0, 1]);
        let recipe = Recipe::default().with(|recipe| recipe.label_smoothing = 0.1);
        let settled = settled(&recipe, Task::SingleLabel, &[]);
        let plain = BatchTargets::new(&batch, &settled);
        assert_eq!(plain.dominant().collect::<Vec<_>>(), [2, 0, 1]);
        batch.partners =
            [(1, 0.25), (0, 0.0), (2, 0.75)].map(|(label, share)| Partner { label, share }).into();
        let targets = BatchTargets::new(&batch, &settled);
        assert_eq!(targets.dominant().collect::<Vec<_>>(), [2, 0, 2]);
        // A fifth of 0.1 is each class's, and 0.9 is shared.
        let wanted: [f32; 15] = [
            0.02, 0.245, 0.695, 0.02, 0.02, //
            0.92, 0.02, 0.02, 0.02, 0.02, //
            0.02, 0.245, 0.695, 0.02, 0.02,
        ];
        for (found, wanted) in targets.probabilities(5).into_iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn weights_of_one_and_a_focus_of_none_are_cross_entropy() {
        let batch = Batch::new(vec![0.0; 2], [2, 1, 1, 1], vec![2, 0]);
        let outputs = || Tensor::<2>::from_floats([[0.5, -1.0, 2.0], [0.0, 1.0, -3.0]], &Device::flex());
        let of = |text: &str| {
            let recipe: Recipe = toml::from_str(text).unwrap();
            let settled = settled(&recipe, Task::SingleLabel, &[]);
            value(BatchTargets::new(&batch, &settled).loss(outputs()).unwrap())
        };
        let plain = of("label_smoothing = 0.1");
        for same in ["class_weights = 3.0", "loss = { kind = \"focal\", gamma = 0.0 }"] {
            assert!((of(&format!("label_smoothing = 0.1\n{same}")) - plain).abs() < 1e-6, "{same}");
        }
        assert!((of("label_smoothing = 0.1\nclass_weights = { a = 9.0 }") - plain).abs() > 0.05);
    }

    #[test]
    fn rare_classes_weigh_more() {
        let rows = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
        let recipe = Recipe::default().with(|recipe| {
            recipe.task = TaskKind::MultiLabel;
            recipe.class_weights = Some(ClassWeights::balanced());
        });
        // Four images, three classes; none has the third.
        assert_eq!(settled(&recipe, Task::multi_label(), &rows).weights, [1.0 / 3.0, 4.0 / 3.0, 1.0]);
    }

    #[test]
    fn labels_and_numbers_are_scored() {
        let recipe = Recipe::default().with(|recipe| recipe.task = TaskKind::MultiLabel);
        let labels = settled(&recipe, Task::multi_label(), &[]);
        let mut batch = Batch::new(vec![0.0; 1], [1, 1, 1, 1], vec![0]);
        batch.targets = vec![1.0, 0.0, 1.0];
        let sums = BatchTargets::new(&batch, &labels).sums(&[2.0, 1.0, -1.0]);
        assert_eq!(sums.score(&labels.task, 1).unwrap().value, 0.5);
        let recipe = Recipe::default().with(|recipe| recipe.task = TaskKind::Regression);
        let targets = ["a", "b", "c"].map(|name| RegressionTarget::new(name, 1.0, 2.0)).to_vec();
        let numbers = settled(&recipe, Task::Regression { targets }, &[]);
        let targets = BatchTargets::new(&batch, &numbers);
        // Standardised: 0, -0.5, 0.
        assert_eq!(targets.sums(&[1.0, 0.0, 0.0]).score(&numbers.task, 1).unwrap().value, 0.5);
        let outputs = Tensor::<2>::from_floats([[1.0, 0.0, 0.0]], &Device::flex());
        assert!((value(targets.loss(outputs).unwrap()) - 1.25 / 3.0).abs() < 1e-6);
    }
}
