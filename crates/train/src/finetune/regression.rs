//! Regression of a task, multinomial logistic for single labels: a linear head fitted on features of a frozen trunk.

use residual_kernels::Cpu;
use residual_kernels::linear::{Linear, LinearBackward, LinearGradients};

use crate::Error;
use crate::finetune::features::FeatureSet;
use crate::finetune::head_task::{HeadTask, Judgement};
use crate::finetune::minimise::{Function, minimise};

/// Strengths of the penalty, from strong to weak: each fit begins where the one before ended.
const STRENGTHS: [f64; 13] = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7];

/// Number of strengths in a row that may be worse than the best before weaker ones are not tried any more.
const WORSE: usize = 2;

/// Linear head: `logits = W f + b`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LinearHead {
    /// `[classes][width]`
    pub(crate) weight: Vec<f32>,
    /// `[classes]`
    pub(crate) bias: Vec<f32>,
}

/// Head that was fitted, and how well it judges other images.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fit {
    pub(crate) head: LinearHead,
    /// Strength of the penalty that was chosen.
    pub(crate) strength: f64,
    /// Judgement of the images that it was judged by.
    pub(crate) judged: Judgement,
}

/// Fits a head to features by the task's regression with an L2 penalty,
///
/// `mean over i of loss(W f_i + b, truth_i) + strength / 2 |W|^2`
///
/// (multinomial logistic for single labels, logistic a class for several, ridge regression for numbers) on features that
/// are centred and scaled to a mean squared norm of 1. The strength is the one with the least loss on `held_out`. The
/// same bits for any number of threads.
pub(crate) fn fit(
    cpu: &Cpu,
    train: &FeatureSet,
    held_out: &FeatureSet,
    task: &HeadTask,
) -> Result<Fit, Error> {
    let scaling = Scaling::of(train);
    let mut loss = Loss::new(cpu, train, &scaling, task);
    let mut at = vec![0.0; task.outputs * (train.width() + 1)];
    let mut best: Option<Fit> = None;
    let mut worse = 0;
    for strength in STRENGTHS {
        loss.strength = strength;
        at = minimise(&mut loss, at)?;
        let head = scaling.head_of(&at, task.outputs);
        let judged = judge(cpu, &head, held_out, task)?;
        let value = judged.loss();
        if value.is_finite() && best.as_ref().is_none_or(|best| value < best.judged.loss()) {
            best = Some(Fit { head, strength, judged });
            worse = 0;
        } else {
            worse += 1;
        }
        if worse == WORSE {
            break;
        }
    }
    // Features that are not finite give no loss that is less than another.
    best.ok_or(Error::Features)
}

/// Judgement of a head on features.
pub(crate) fn judge(
    cpu: &Cpu,
    head: &LinearHead,
    set: &FeatureSet,
    task: &HeadTask,
) -> Result<Judgement, Error> {
    let layer = Linear { batch: set.len(), ins: set.width(), outs: task.outputs };
    let mut logits = vec![0.0; set.len() * task.outputs];
    layer.forward(cpu, set.values(), &head.weight, &head.bias, &mut logits)?;
    Ok(task.judge(&logits, set))
}

/// Centre of features, and the factor that brings their mean squared distance from it to 1.
struct Scaling {
    mean: Vec<f64>,
    factor: f64,
}

impl Scaling {
    fn of(set: &FeatureSet) -> Self {
        let images = set.len().max(1) as f64;
        let mut mean = vec![0.0; set.width()];
        for row in set.rows() {
            mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= images);
        let apart = |row: &[f32]| -> f64 {
            row.iter().zip(&mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
        };
        let spread = set.rows().map(apart).sum::<f64>() / images;
        let factor = if spread > 0.0 { 1.0 / spread.sqrt() } else { 1.0 };
        Self { mean, factor }
    }

    fn scaled(&self, set: &FeatureSet) -> Vec<f32> {
        let row = |row: &[f32]| -> Vec<f32> {
            let pairs = row.iter().zip(&self.mean);
            pairs.map(|(&value, mean)| ((f64::from(value) - mean) * self.factor) as f32).collect()
        };
        set.rows().flat_map(row).collect()
    }

    /// Head on features as they are, of parameters `[W][b]` on those that are scaled.
    fn head_of(&self, at: &[f64], classes: usize) -> LinearHead {
        let width = self.mean.len();
        let (weights, biases) = at.split_at(classes * width);
        let rows = weights.chunks_exact(width.max(1)).zip(biases);
        let bias = rows.map(|(row, bias)| {
            let shift: f64 = row.iter().zip(&self.mean).map(|(w, mean)| w * self.factor * mean).sum();
            (bias - shift) as f32
        });
        let bias = bias.collect();
        LinearHead { weight: weights.iter().map(|w| (w * self.factor) as f32).collect(), bias }
    }
}

/// Penalised loss as a function of `[W][b]`.
struct Loss<'a> {
    cpu: &'a Cpu,
    layer: Linear,
    x: Vec<f32>,
    set: &'a FeatureSet,
    task: &'a HeadTask,
    strength: f64,
    /// Logits, then their gradient.
    logits: Vec<f32>,
    /// Gradients with respect to weights and bias.
    by: [Vec<f32>; 2],
}

impl<'a> Loss<'a> {
    fn new(cpu: &'a Cpu, set: &'a FeatureSet, scaling: &Scaling, task: &'a HeadTask) -> Self {
        let classes = task.outputs;
        let layer = Linear { batch: set.len(), ins: set.width(), outs: classes };
        Self {
            cpu,
            layer,
            x: scaling.scaled(set),
            set,
            task,
            strength: 0.0,
            logits: vec![0.0; set.len() * classes],
            by: [vec![0.0; classes * set.width()], vec![0.0; classes]],
        }
    }
}

impl Function for Loss<'_> {
    fn value(&mut self, at: &[f64], gradient: &mut [f64]) -> Result<f64, Error> {
        let Linear { batch, ins, outs } = self.layer;
        let parameters: Vec<f32> = at.iter().map(|&value| value as f32).collect();
        let (weights, bias) = parameters.split_at(outs * ins);
        self.layer.forward(self.cpu, &self.x, weights, bias, &mut self.logits)?;
        let mut loss = 0.0;
        for (image, row) in self.logits.chunks_exact_mut(outs).enumerate() {
            loss += self.task.to_gradient(row, self.set.truth(image), batch);
        }
        let [dw, db] = &mut self.by;
        let read = LinearBackward { x: &self.x, weights, dy: &self.logits };
        self.layer.backward(self.cpu, read, LinearGradients { dx: None, dw, db })?;
        let by = dw.iter().chain(&*db);
        gradient.iter_mut().zip(by).for_each(|(to, &by)| *to = f64::from(by));
        let mut squares = 0.0;
        for (to, &weight) in gradient.iter_mut().zip(&at[..outs * ins]) {
            *to += self.strength * weight;
            squares += weight * weight;
        }
        Ok(loss / batch as f64 + 0.5 * self.strength * squares)
    }
}

#[cfg(test)]
mod tests {
    use residual_arch::{RegressionTarget, Task};

    use super::*;

    fn single(outputs: usize) -> HeadTask {
        HeadTask { task: Task::SingleLabel, outputs }
    }

    /// Points around three centres in five dimensions, which overlap.
    fn points(images: usize, seed: u64) -> FeatureSet {
        let uniform = |i: u64| ((i * 2_654_435_761 + seed * 40_503) % 10_007) as f64 / 10_007.0;
        let mut set = FeatureSet::new(5);
        for image in 0..images {
            let label = image % 3;
            let value = |i: usize| {
                let centre = if i == label { 6.0 } else { 4.0 };
                let noise: f64 = (0..4).map(|k| uniform(4 * (image * 5 + i) as u64 + k) - 0.5).sum();
                (centre + 1.7 * noise) as f32
            };
            set.push(&(0..5).map(value).collect::<Vec<_>>(), label);
        }
        set
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let targets = ["x", "y", "z"].map(|name| RegressionTarget::new(name, 1.0, 2.0)).to_vec();
        for task in [Task::SingleLabel, Task::multi_label(), Task::Regression { targets }] {
            let single = task.is_single_label();
            check_gradient(
                &HeadTask { task, outputs: 3 },
                &if single { points(40, 1) } else { targeted(40) },
            );
        }
    }

    /// The points with what class they are of, and of the next one every fourth, as targets.
    fn targeted(images: usize) -> FeatureSet {
        let (points, mut set) = (points(images, 1), FeatureSet::new(5));
        for (image, row) in points.rows().enumerate() {
            let has = |class: usize| class == image % 3 || (image % 4 == 0 && class == (image + 1) % 3);
            set.push_targets(row, &[0, 1, 2].map(|class| f64::from(u8::from(has(class)))));
        }
        set
    }

    fn check_gradient(task: &HeadTask, set: &FeatureSet) {
        let cpu = Cpu::new(1).unwrap();
        let scaling = Scaling::of(set);
        let mut loss = Loss::new(&cpu, set, &scaling, task);
        loss.strength = 0.01;
        let at: Vec<f64> = (0..18).map(|i| f64::from(i % 7) * 0.3 - 0.9).collect();
        let mut gradient = vec![0.0; 18];
        loss.value(&at, &mut gradient).unwrap();
        for place in 0..18 {
            let mut difference = |step: f64| {
                let mut moved = at.clone();
                moved[place] += step;
                loss.value(&moved, &mut [0.0; 18]).unwrap()
            };
            let slope = (difference(1e-2) - difference(-1e-2)) / 2e-2;
            assert!((slope - gradient[place]).abs() < 1e-4, "{place}: {slope} {}", gradient[place]);
        }
    }

    #[test]
    fn a_fit_is_stationary_and_the_same_for_any_number_of_threads() {
        let (train, held_out) = (points(90, 1), points(60, 2));
        let fitted = fit(&Cpu::new(1).unwrap(), &train, &held_out, &single(3)).unwrap();
        assert!(fitted.judged.top1 > 0.75 && fitted.judged.loss() < 0.65, "{fitted:?}");
        assert_eq!(fit(&Cpu::new(2).unwrap(), &train, &held_out, &single(3)).unwrap(), fitted);
        // Another strength is no better.
        let cpu = Cpu::new(1).unwrap();
        let scaling = Scaling::of(&train);
        let task = single(3);
        let mut loss = Loss::new(&cpu, &train, &scaling, &task);
        for strength in [1e-1, 1e-7] {
            loss.strength = strength;
            let at = minimise(&mut loss, vec![0.0; 18]).unwrap();
            let mut gradient = vec![0.0; 18];
            loss.value(&at, &mut gradient).unwrap();
            assert!(gradient.iter().all(|by| by.abs() < 2e-4), "{gradient:?}");
            // With a penalty that is all but none the floor is flat, and a fit from elsewhere ends elsewhere on it.
            let loss = judge(&cpu, &scaling.head_of(&at, 3), &held_out, &task).unwrap().loss();
            assert!(loss >= 0.98 * fitted.judged.loss(), "{loss} {fitted:?}");
        }
    }

    #[test]
    fn a_ridge_regression_finds_the_line_that_numbers_lie_on() {
        let cpu = Cpu::new(1).unwrap();
        let task = Task::Regression { targets: vec![RegressionTarget::new("x", 3.0, 2.0)] };
        let task = HeadTask { task, outputs: 1 };
        let mut set = FeatureSet::new(5);
        for row in points(60, 3).rows() {
            set.push_targets(row, &[f64::from(2.0 * row[0] - 0.5 * row[3]) + 1.0]);
        }
        let fitted = fit(&cpu, &set, &set, &task).unwrap();
        assert!(fitted.judged.loss() < 1e-6 && fitted.judged.score.unwrap().value < 1e-2, "{fitted:?}");
        // In deviations of 2: half of the line's.
        assert!((fitted.head.weight[0] - 1.0).abs() < 1e-2 && (fitted.head.weight[3] + 0.25).abs() < 1e-2);
    }

    #[test]
    fn labels_of_several_are_fitted_by_themselves() {
        let (cpu, set) = (Cpu::new(2).unwrap(), targeted(90));
        let task = HeadTask { task: Task::multi_label(), outputs: 3 };
        let fitted = fit(&cpu, &set, &set, &task).unwrap();
        assert!(fitted.judged.score.unwrap().value > 0.7, "{fitted:?}");
        assert_eq!(fit(&Cpu::new(1).unwrap(), &set, &set, &task).unwrap(), fitted);
    }

    #[test]
    fn degenerate_features_are_fitted_or_refused() {
        let cpu = Cpu::new(1).unwrap();
        let mut same = FeatureSet::new(2);
        (0..6).for_each(|i| same.push(&[3.0, 0.0], i % 2));
        let fitted = fit(&cpu, &same, &same, &single(2)).unwrap();
        assert!((fitted.judged.loss() - 2f64.ln()).abs() < 1e-6 && fitted.judged.top1 == 0.5, "{fitted:?}");
        let mut broken = FeatureSet::new(1);
        (0..4).for_each(|i| broken.push(&[f32::NAN], i % 2));
        assert!(matches!(fit(&cpu, &broken, &broken, &single(2)), Err(Error::Features)));
    }
}
