//! Softmax cross-entropy and its gradient.

use crate::layout::check_length;
use crate::memory::Parts;
use crate::{Cpu, Error};

/// Targets of rows of logits.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// The class of each row, with label smoothing (Szegedy et al. 2016, section 7): a part `smoothing` of
    /// the probability is spread over all classes.
    Classes {
        /// Class of each row.
        classes: &'a [usize],
        /// Smoothing, from 0 to 1.
        smoothing: f32,
    },
    /// The probabilities of each row, `[batch, classes]`: what mixing two images leaves.
    Probabilities(&'a [f32]),
}

impl Targets<'_> {
    #[inline]
    fn of(&self, row: usize, class: usize, classes: usize) -> f32 {
        match self {
            Self::Classes { classes: wanted, smoothing } => {
                smoothing / classes as f32 + if wanted[row] == class { 1.0 - smoothing } else { 0.0 }
            }
            Self::Probabilities(values) => values[row * classes + class],
        }
    }

    fn check(&self, batch: usize, classes: usize) -> Result<(), Error> {
        match self {
            Self::Classes { classes: wanted, smoothing } => {
                check_length("the classes", batch, wanted.len())?;
                let wrong = |reason: String| Err(Error::Shape { what: "the loss".into(), reason });
                if !(0.0..=1.0).contains(smoothing) {
                    return wrong(format!("a label smoothing of {smoothing} is not between 0 and 1"));
                }
                match wanted.iter().position(|&class| class >= classes) {
                    Some(row) => wrong(format!("row {row} is of class {}, there are {classes}", wanted[row])),
                    None => Ok(()),
                }
            }
            Self::Probabilities(values) => check_length("the probabilities", batch * classes, values.len()),
        }
    }
}

/// The mean over the batch of `-sum over k of t[k] log softmax(z)[k]`, and its gradient with respect to the logits,
/// `(softmax(z) sum(t) - t) / batch`.
///
/// # Shapes
/// `logits` and `gradient` are `[batch, classes]`; `rows` holds the loss of each row, `[batch]`.
///
/// # Errors
/// [`Error::Length`] where a slice is not that long, [`Error::Shape`] where a class is none of
/// the classes, the smoothing is not between 0 and 1, or there are no rows or classes.
///
/// ```
/// use residual_kernels::{Cpu, loss::{Targets, cross_entropy}};
///
/// let (mut rows, mut gradient) = ([0.0], [0.0; 2]);
/// let targets = Targets::Classes { classes: &[1], smoothing: 0.0 };
/// let loss = cross_entropy(&Cpu::new(1)?, &[0.0, 0.0], 2, targets, &mut rows, &mut gradient)?;
/// assert!((loss - 2_f32.ln()).abs() < 1e-6 && gradient == [0.5, -0.5]);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
pub fn cross_entropy(
    cpu: &Cpu,
    logits: &[f32],
    classes: usize,
    targets: Targets<'_>,
    rows: &mut [f32],
    gradient: &mut [f32],
) -> Result<f32, Error> {
    let batch = rows.len();
    if batch == 0 || classes == 0 {
        let reason = format!("{batch} rows of {classes} classes");
        return Err(Error::Shape { what: "the loss".into(), reason });
    }
    check_length("the logits", batch * classes, logits.len())?;
    check_length("the gradient", batch * classes, gradient.len())?;
    targets.check(batch, classes)?;
    let (losses, gradient) = (Parts::new(rows), Parts::new(gradient));
    cpu.pool().for_each(batch, |row, _| {
        // SAFETY: every row is one task's.
        let (loss, gradient) =
            unsafe { (losses.part(row..row + 1), gradient.part(row * classes..(row + 1) * classes)) };
        let logits = &logits[row * classes..(row + 1) * classes];
        loss[0] = of_row(logits, |class| targets.of(row, class, classes), batch, gradient);
    });
    Ok((rows.iter().map(|&loss| f64::from(loss)).sum::<f64>() / batch as f64) as f32)
}

/// The loss of a row; exponentials are taken relative to the largest logit.
fn of_row(logits: &[f32], target: impl Fn(usize) -> f32, batch: usize, gradient: &mut [f32]) -> f32 {
    // A NaN stays one in the sum below, whatever the largest is.
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for (gradient, &logit) in gradient.iter_mut().zip(logits) {
        *gradient = (logit - largest).exp();
        sum += f64::from(*gradient);
    }
    let log_sum = sum.ln() + f64::from(largest);
    let (mut loss, mut weight) = (0.0, 0.0);
    for (class, &logit) in logits.iter().enumerate() {
        let target = f64::from(target(class));
        weight += target;
        if target != 0.0 {
            loss += target * (log_sum - f64::from(logit));
        }
    }
    for (class, gradient) in gradient.iter_mut().enumerate() {
        let probability = f64::from(*gradient) / sum;
        *gradient = ((probability * weight - f64::from(target(class))) / batch as f64) as f32;
    }
    loss as f32
}
