//! Answers about images with their targets.

use std::sync::Arc;

use residual_arch::Task;
use residual_data::{TaskEvaluation, TaskOutputs, sigmoid};

/// Answers of a network of several labels or of a regression about images with their targets, in their order.
#[derive(Clone, Debug)]
pub struct TaskAnswers {
    classes: Arc<[String]>,
    task: Task,
    outputs: TaskOutputs,
}

impl TaskAnswers {
    pub(crate) fn new(classes: Arc<[String]>, task: Task, outputs: TaskOutputs) -> Self {
        Self { classes, task, outputs }
    }

    /// Names of the outputs: classes, or targets.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Task of the network; of a calibrated one with the threshold of its calibrated probabilities.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Outputs, calibrated where the network is, and targets.
    pub fn outputs(&self) -> &TaskOutputs {
        &self.outputs
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.outputs.images()
    }

    /// Mean average precision and F1, or the errors of numbers.
    pub fn evaluation(&self) -> TaskEvaluation {
        self.outputs.evaluate(&self.task)
    }

    /// Outputs of an image and its targets.
    pub(crate) fn row(&self, image: usize) -> (&[f32], &[f64]) {
        let width = self.classes.len();
        let range = image * width..(image + 1) * width;
        (&self.outputs.outputs[range.clone()], &self.outputs.targets[range])
    }

    /// Probabilities of a class, and whether the images have it.
    pub(crate) fn class(&self, class: usize) -> (Vec<f64>, Vec<bool>) {
        let width = self.classes.len().max(1);
        let column = self.outputs.outputs.iter().skip(class).step_by(width);
        let targets = self.outputs.targets.iter().skip(class).step_by(width);
        (
            column.map(|&logit| sigmoid(f64::from(logit))).collect(),
            targets.map(|&target| target > 0.5).collect(),
        )
    }

    /// Predicted and true numbers of a target, in its unit.
    pub(crate) fn target(&self, target: usize) -> (Vec<f64>, Vec<f64>) {
        let width = self.classes.len().max(1);
        let described = &self.task.targets()[target];
        let column = self.outputs.outputs.iter().skip(target).step_by(width);
        let predicted = column.map(|&output| described.value(f64::from(output))).collect();
        (predicted, self.outputs.targets.iter().skip(target).step_by(width).copied().collect())
    }

    /// Loss of each output of an image: the binary cross-entropy of a label, the squared error of a standardised number.
    pub(crate) fn losses(&self, image: usize) -> Vec<f64> {
        let (outputs, targets) = self.row(image);
        let loss = |(place, (&output, &target)): (usize, (&f32, &f64))| {
            let output = f64::from(output);
            match self.task.targets() {
                [] => {
                    let towards = if target > 0.5 { -output } else { output };
                    towards.max(0.0) + (-towards.abs()).exp().ln_1p()
                }
                described => (output - described[place].standardised(target)).powi(2),
            }
        };
        outputs.iter().zip(targets).enumerate().map(loss).collect()
    }

    /// Images by their mean loss, the greatest first; of equal ones the first image.
    pub(crate) fn by_loss(&self) -> Vec<usize> {
        let losses: Vec<f64> = (0..self.images()).map(|image| self.losses(image).iter().sum()).collect();
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
        order
    }
}
