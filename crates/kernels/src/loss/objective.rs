//! Losses of dense targets.

use super::pointwise::Pointwise;
use super::softmax::{divergence, softmax_focal};
use crate::Error;
use crate::layout::check_length;

/// Loss of outputs against targets, a number for each output: formulas and reductions are PyTorch's, torchvision's and
/// timm's.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// Softmax cross-entropy, focal (Lin et al. 2017) where `gamma` is above 0: the sum over the classes of
    /// `-w t (1 - p)^gamma ln p`, with `p` a softmax, divided by `divisor` over the batch. PyTorch's `CrossEntropyLoss` for
    /// a `gamma` of 0: a `divisor` of the images for targets that are probabilities, and of the sum of the weights of
    /// their classes for labels.
    Softmax {
        /// Focusing parameter.
        gamma: f64,
        /// Number that the sum over the batch is divided by.
        divisor: f64,
    },
    /// Distillation (Hinton et al. 2015): the divergence of softmaxes at a temperature from the targets, which are the
    /// teacher's probabilities at the same one, times its square; the mean over images.
    Distillation {
        /// Temperature that logits are divided by.
        temperature: f64,
    },
    /// Binary cross-entropy of sigmoids, PyTorch's `BCEWithLogitsLoss`: the mean over images and classes, or timm's sum
    /// over the classes.
    Binary {
        /// True for the sum over the classes in place of their mean.
        sum_classes: bool,
    },
    /// Focal loss of sigmoids (Lin et al. 2017, equation 5), torchvision's `sigmoid_focal_loss`: the mean over images and
    /// classes.
    BinaryFocal {
        /// Focusing parameter.
        gamma: f64,
        /// Weight of the positive labels, and its complement that of the negative ones; `None` for neither.
        alpha: Option<f64>,
    },
    /// Asymmetric loss (Ridnik et al. 2021, equation 7), timm's `AsymmetricLossMultiLabel`: the sum over the classes, the
    /// mean over images.
    Asymmetric {
        /// Focusing parameter of negative labels.
        gamma_negative: f64,
        /// Focusing parameter of positive labels.
        gamma_positive: f64,
        /// Margin by which the probabilities of negative labels are shifted.
        clip: f64,
    },
    /// Mean squared error, PyTorch's `MSELoss`.
    Squared,
    /// Mean absolute error, PyTorch's `L1Loss`.
    Absolute,
    /// Huber loss, PyTorch's `HuberLoss`: `d^2 / 2` up to `delta`, `delta (|d| - delta / 2)` beyond.
    Huber {
        /// Difference from which on it is linear.
        delta: f64,
    },
    /// Smooth L1 loss, PyTorch's `SmoothL1Loss`: Huber's divided by `beta`.
    SmoothL1 {
        /// Difference from which on it is linear.
        beta: f64,
    },
}

/// Loss with the weights of the classes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Objective<'a> {
    /// Loss.
    pub loss: Loss,
    /// Weight of each class, which multiplies its terms; empty for 1.
    pub weights: &'a [f64],
    /// Weight of each class's positive labels in [`Loss::Binary`]; empty for 1.
    pub positive: &'a [f64],
}

impl<'a> Objective<'a> {
    /// Loss without weights.
    pub fn new(loss: Loss) -> Self {
        Self { loss, weights: &[], positive: &[] }
    }

    /// Loss whose classes have weights; none for an empty slice.
    pub fn weighted(self, weights: &'a [f64]) -> Self {
        Self { weights, ..self }
    }

    /// Loss whose positive labels have weights; none for an empty slice.
    pub fn with_positive(self, positive: &'a [f64]) -> Self {
        Self { positive, ..self }
    }

    /// Loss of a batch, and its gradient with respect to the outputs. In f64 and in the order of the batch; what is not
    /// finite stays so.
    ///
    /// # Shapes
    /// `logits`, `targets` and `gradient` are `[batch, outputs]`.
    ///
    /// # Errors
    /// [`Error::Length`] where a slice is not that long, [`Error::Shape`] for an empty batch.
    ///
    /// ```
    /// use residual_kernels::loss::{Loss, Objective};
    ///
    /// let mut gradient = [0.0; 2];
    /// let loss = Objective::new(Loss::Squared).of(&[1.0, 3.0], &[1.0, 1.0], 2, &mut gradient)?;
    /// assert_eq!((loss, gradient), (2.0, [0.0, 2.0]));
    /// # Ok::<(), residual_kernels::Error>(())
    /// ```
    pub fn of(
        &self,
        logits: &[f32],
        targets: &[f32],
        outputs: usize,
        gradient: &mut [f32],
    ) -> Result<f64, Error> {
        if logits.is_empty() || outputs == 0 || !logits.len().is_multiple_of(outputs) {
            let reason = format!("{} logits of {outputs} outputs", logits.len());
            return Err(Error::Shape { what: "the loss".into(), reason });
        }
        check_length("the targets", logits.len(), targets.len())?;
        check_length("the gradient", logits.len(), gradient.len())?;
        for weights in [self.weights, self.positive] {
            if !weights.is_empty() {
                check_length("the weights of the classes", outputs, weights.len())?;
            }
        }
        let images = logits.len() / outputs;
        let (point, divisor) = match self.loss {
            Loss::Softmax { gamma, divisor } => {
                let rows = logits.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
                let rows = rows.zip(gradient.chunks_exact_mut(outputs));
                let losses = rows.map(|((logits, targets), gradient)| {
                    let target = |class: usize| f64::from(targets[class]) * self.weight(class);
                    softmax_focal(logits, target, gamma, gradient, divisor)
                });
                return Ok(losses.sum());
            }
            Loss::Distillation { temperature } => {
                let rows = logits.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
                let rows = rows.zip(gradient.chunks_exact_mut(outputs));
                let losses = rows.map(|((logits, targets), gradient)| {
                    divergence(logits, targets, temperature, gradient, images as f64)
                });
                return Ok(losses.sum());
            }
            Loss::Binary { sum_classes } => {
                (Pointwise::Binary, if sum_classes { images } else { logits.len() })
            }
            Loss::BinaryFocal { gamma, alpha } => (Pointwise::Focal { gamma, alpha }, logits.len()),
            Loss::Asymmetric { gamma_negative, gamma_positive, clip } => {
                (Pointwise::Asymmetric { gamma_negative, gamma_positive, clip }, images)
            }
            Loss::Squared => (Pointwise::Squared, logits.len()),
            Loss::Absolute => (Pointwise::Absolute, logits.len()),
            Loss::Huber { delta } => (Pointwise::Huber { delta, scale: 1.0 }, logits.len()),
            Loss::SmoothL1 { beta } => (Pointwise::Huber { delta: beta, scale: 1.0 / beta }, logits.len()),
        };
        let mut sum = 0.0;
        for (place, ((&logit, &target), gradient)) in logits.iter().zip(targets).zip(gradient).enumerate() {
            let class = place % outputs;
            let positive = self.positive.get(class).copied().unwrap_or(1.0);
            let [loss, slope] = point.of(f64::from(logit), f64::from(target), positive);
            sum += loss * self.weight(class);
            *gradient = (slope * self.weight(class) / divisor as f64) as f32;
        }
        Ok(sum / divisor as f64)
    }

    fn weight(&self, class: usize) -> f64 {
        self.weights.get(class).copied().unwrap_or(1.0)
    }
}
