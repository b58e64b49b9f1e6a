//! Multinomial logistic regression: a linear head fitted on features of a frozen trunk.

use residual_data::score;
use residual_kernels::Cpu;
use residual_kernels::linear::{Linear, LinearBackward, LinearGradients};

use crate::Error;
use crate::finetune::features::FeatureSet;
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
    /// Mean cross-entropy of the images that it was judged by.
    pub(crate) loss: f64,
    /// Fraction of them that was classified correctly.
    pub(crate) top1: f64,
}

/// Fits a head to features by multinomial logistic regression with an L2 penalty,
///
/// `mean over i of -log softmax(W f_i + b)[label_i] + strength / 2 |W|^2`
///
/// on features that are centred and scaled to a mean squared norm of 1. The strength is the one with the least
/// cross-entropy on `held_out`. The same bits for any number of threads.
pub(crate) fn fit(
    cpu: &Cpu,
    train: &FeatureSet,
    held_out: &FeatureSet,
    classes: usize,
) -> Result<Fit, Error> {
    let scaling = Scaling::of(train);
    let mut loss = Loss::new(cpu, train, &scaling, classes);
    let mut at = vec![0.0; classes * (train.width() + 1)];
    let mut best: Option<Fit> = None;
    let mut worse = 0;
    for strength in STRENGTHS {
        loss.strength = strength;
        at = minimise(&mut loss, at)?;
        let head = scaling.head_of(&at, classes);
        let (value, top1) = judge(cpu, &head, held_out, classes)?;
        if value.is_finite() && best.as_ref().is_none_or(|best| value < best.loss) {
            best = Some(Fit { head, strength, loss: value, top1 });
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

/// Mean cross-entropy of a head on features, and the fraction that it classifies correctly.
pub(crate) fn judge(
    cpu: &Cpu,
    head: &LinearHead,
    set: &FeatureSet,
    classes: usize,
) -> Result<(f64, f64), Error> {
    let layer = Linear { batch: set.len(), ins: set.width(), outs: classes };
    let mut logits = vec![0.0; set.len() * classes];
    layer.forward(cpu, set.values(), &head.weight, &head.bias, &mut logits)?;
    let (mut loss, mut correct) = (0.0, 0usize);
    for (row, &label) in logits.chunks_exact(classes).zip(set.labels()) {
        let (cross_entropy, rank) = score(row, label);
        loss += cross_entropy;
        correct += usize::from(rank == 0);
    }
    let images = set.len().max(1) as f64;
    Ok((loss / images, correct as f64 / images))
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

/// Penalised cross-entropy as a function of `[W][b]`.
struct Loss<'a> {
    cpu: &'a Cpu,
    layer: Linear,
    x: Vec<f32>,
    labels: &'a [usize],
    strength: f64,
    /// Logits, then their gradient.
    logits: Vec<f32>,
    /// Gradients with respect to weights and bias.
    by: [Vec<f32>; 2],
}

impl<'a> Loss<'a> {
    fn new(cpu: &'a Cpu, set: &'a FeatureSet, scaling: &Scaling, classes: usize) -> Self {
        let layer = Linear { batch: set.len(), ins: set.width(), outs: classes };
        Self {
            cpu,
            layer,
            x: scaling.scaled(set),
            labels: set.labels(),
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
        for (row, &label) in self.logits.chunks_exact_mut(outs).zip(self.labels) {
            loss += to_gradient(row, label, batch);
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

/// Cross-entropy of a row of logits, whose place its gradient takes, a share of the mean over `batch`.
fn to_gradient(row: &mut [f32], label: usize, batch: usize) -> f64 {
    let most = row.iter().fold(f64::NEG_INFINITY, |most, &logit| most.max(f64::from(logit)));
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    let loss = most + sum.ln() - f64::from(row[label]);
    for (class, logit) in row.iter_mut().enumerate() {
        let probability = (f64::from(*logit) - most).exp() / sum;
        let wanted = f64::from(u8::from(class == label));
        *logit = ((probability - wanted) / batch as f64) as f32;
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (cpu, set) = (Cpu::new(1).unwrap(), points(40, 1));
        let scaling = Scaling::of(&set);
        let mut loss = Loss::new(&cpu, &set, &scaling, 3);
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
        let fitted = fit(&Cpu::new(1).unwrap(), &train, &held_out, 3).unwrap();
        assert!(fitted.top1 > 0.75 && fitted.loss < 0.65, "{fitted:?}");
        assert_eq!(fit(&Cpu::new(2).unwrap(), &train, &held_out, 3).unwrap(), fitted);
        // Another strength is no better.
        let cpu = Cpu::new(1).unwrap();
        let scaling = Scaling::of(&train);
        let mut loss = Loss::new(&cpu, &train, &scaling, 3);
        for strength in [1e-1, 1e-7] {
            loss.strength = strength;
            let at = minimise(&mut loss, vec![0.0; 18]).unwrap();
            let mut gradient = vec![0.0; 18];
            loss.value(&at, &mut gradient).unwrap();
            assert!(gradient.iter().all(|by| by.abs() < 2e-4), "{gradient:?}");
            // With a penalty that is all but none the floor is flat, and a fit from elsewhere ends elsewhere on it.
            let loss = judge(&cpu, &scaling.head_of(&at, 3), &held_out, 3).unwrap().0;
            assert!(loss >= 0.98 * fitted.loss, "{loss} {}", fitted.loss);
        }
    }

    #[test]
    fn degenerate_features_are_fitted_or_refused() {
        let cpu = Cpu::new(1).unwrap();
        let mut same = FeatureSet::new(2);
        (0..6).for_each(|i| same.push(&[3.0, 0.0], i % 2));
        let fitted = fit(&cpu, &same, &same, 2).unwrap();
        assert!((fitted.loss - 2f64.ln()).abs() < 1e-6 && fitted.top1 == 0.5, "{fitted:?}");
        let mut broken = FeatureSet::new(1);
        (0..4).for_each(|i| broken.push(&[f32::NAN], i % 2));
        assert!(matches!(fit(&cpu, &broken, &broken, 2), Err(Error::Features)));
    }
}
