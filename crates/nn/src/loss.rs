//! Losses.

use burn::tensor::{Tensor, TensorData, activation::log_softmax};
use residual_kernels::loss::Targets;
pub use residual_kernels::loss::{Loss, Objective};

use crate::{Error, fused};

/// Mean softmax cross-entropy over the batch, with label smoothing (Szegedy et al. 2016, section 7):
///
/// `L = -1/B sum_b sum_k q[b, k] log softmax(logits[b])[k]`,
/// `q[b, k] = (1 - smoothing) [k = label_b] + smoothing / K`.
///
/// # Shapes
/// `logits` `[B, K]`, `labels` `B` class indices; the loss is `[1]`.
///
/// # Errors
/// If the batch is empty, the number of labels is not `B`, a label is not below `K`, or the smoothing is
/// not in `[0, 1]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::cross_entropy;
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0]], &Device::flex());
/// let loss = cross_entropy(logits, &[1], 0.0)?.into_scalar::<f32>();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), residual_nn::Error>(())
/// ```
pub fn cross_entropy(logits: Tensor<2>, labels: &[usize], smoothing: f64) -> Result<Tensor<1>, Error> {
    let [batch, classes] = logits.dims();
    if batch == 0 || labels.len() != batch {
        return Err(Error::LabelCount { batch, labels: labels.len() });
    }
    if let Some((sample, &label)) = labels.iter().enumerate().find(|&(_, &label)| label >= classes) {
        return Err(Error::Label { sample, label, classes });
    }
    if !(0.0..=1.0).contains(&smoothing) {
        return Err(Error::Smoothing { smoothing });
    }
    let targets = Targets::Classes { classes: labels, smoothing: smoothing as f32 };
    if fused::is_ours(&logits) {
        return Ok(fused::cross_entropy(logits, targets));
    }
    // The mean is folded into the targets: one product and one sum are left for the tensors.
    let off = smoothing / classes as f64;
    let mut targets = vec![-(off / batch as f64) as f32; batch * classes];
    for (row, &label) in targets.chunks_mut(classes).zip(labels) {
        row[label] = -((1.0 - smoothing + off) / batch as f64) as f32;
    }
    Ok(stock(logits, targets))
}

/// Mean softmax cross-entropy over the batch against probabilities: what mixing two images leaves of their labels.
///
/// `L = -1/B sum_b sum_k p[b, k] log softmax(logits[b])[k]`, as PyTorch's `CrossEntropyLoss` has it for targets that are
/// probabilities. Label smoothing is a part of them.
///
/// # Shapes
/// `logits` `[B, K]`, `probabilities` `B K` numbers, row by row; the loss is `[1]`.
///
/// # Errors
/// If the batch is empty, there are not `B K` probabilities, or one is negative or not finite.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::soft_cross_entropy;
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0]], &Device::flex());
/// let loss = soft_cross_entropy(logits, &[0.25, 0.75])?.into_scalar::<f32>();
/// assert!((loss - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), residual_nn::Error>(())
/// ```
pub fn soft_cross_entropy(logits: Tensor<2>, probabilities: &[f32]) -> Result<Tensor<1>, Error> {
    let [batch, classes] = logits.dims();
    if batch == 0 || probabilities.len() != batch * classes {
        return Err(Error::ProbabilityCount { batch, classes, found: probabilities.len() });
    }
    let is_wrong = |value: &f32| !(value.is_finite() && *value >= 0.0);
    if let Some(place) = probabilities.iter().position(is_wrong) {
        let (sample, class) = (place / classes, place % classes);
        return Err(Error::Probability { sample, class, found: probabilities[place] });
    }
    if fused::is_ours(&logits) {
        return Ok(fused::cross_entropy(logits, Targets::Probabilities(probabilities)));
    }
    Ok(stock(logits, probabilities.iter().map(|value| -value / batch as f32).collect()))
}

/// Loss of a batch against dense targets by any [`Objective`]: binary cross-entropy, focal and asymmetric losses, weighted
/// cross-entropy, squared, absolute and Huber errors.
///
/// # Shapes
/// `logits` `[B, K]`, `targets` `B K` numbers, row by row; the loss is `[1]`.
///
/// # Errors
/// If the batch is empty, there are not `B K` targets, one is not finite, or weights of classes are not `K`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{Loss, Objective, objective};
/// let logits = Tensor::<2>::from_floats([[0.0, 0.0]], &Device::flex());
/// let binary = Objective::new(Loss::Binary { sum_classes: true });
/// let loss = objective(logits, &[1.0, 0.0], &binary)?.into_scalar::<f32>();
/// assert!((loss - 2.0 * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), residual_nn::Error>(())
/// ```
pub fn objective(logits: Tensor<2>, targets: &[f32], objective: &Objective<'_>) -> Result<Tensor<1>, Error> {
    let [batch, classes] = logits.dims();
    if batch == 0 || targets.len() != batch * classes {
        return Err(Error::ProbabilityCount { batch, classes, found: targets.len() });
    }
    if let Some(place) = targets.iter().position(|value| !value.is_finite()) {
        let (sample, class) = (place / classes, place % classes);
        return Err(Error::Probability { sample, class, found: targets[place] });
    }
    for weights in [objective.weights, objective.positive] {
        if !weights.is_empty() && weights.len() != classes {
            return Err(Error::WeightCount { classes, found: weights.len() });
        }
    }
    if fused::is_ours(&logits) {
        return Ok(fused::objective(logits, targets, objective));
    }
    Ok(by_gradient(logits, targets, objective))
}

/// Loss as a linear function of the logits with the gradient that it has, and its value.
fn by_gradient(logits: Tensor<2>, targets: &[f32], objective: &Objective<'_>) -> Tensor<1> {
    let shape @ [_, classes] = logits.dims();
    let device = logits.device();
    let read = logits.clone().into_data().convert::<f32>();
    let mut gradient = vec![0.0; targets.len()];
    // Every shape was checked.
    let loss = read.try_into_vec::<f32>().ok();
    let loss = loss.and_then(|logits| objective.of(&logits, targets, classes, &mut gradient).ok());
    let gradient = Tensor::<2>::from_data(TensorData::new(gradient, shape), &device);
    let linear = (logits * gradient).sum_dim(1).sum_dim(0).reshape([1]);
    let value = Tensor::<1>::from_floats([loss.unwrap_or(f64::NAN) as f32], &device);
    linear.clone() - linear.detach() + value
}

/// Sum of the products of the logits' log softmax and these numbers, `[B, K]`, by Burn's operations.
fn stock(logits: Tensor<2>, targets: Vec<f32>) -> Tensor<1> {
    let shape = logits.dims();
    let targets = Tensor::<2>::from_data(TensorData::new(targets, shape), &logits.device());
    // By axis: a sum over everything has no fixed order for large tensors.
    (log_softmax(logits, 1) * targets).sum_dim(1).sum_dim(0).reshape([1])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_loss_and_its_gradient_are_the_same_by_any_way() {
        let targets = [1.0, 0.0, 0.25, 0.5, 1.0, 0.0];
        let run = |ours: bool| {
            let values = [[0.5, -2.0, 30.0], [1.0, 1.5, -0.25]];
            let logits = Tensor::<2>::from_floats(values, &Device::flex().autodiff()).require_grad();
            let focal = Objective::new(Loss::BinaryFocal { gamma: 2.0, alpha: Some(0.25) });
            let loss = match ours {
                true => objective(logits.clone(), &targets, &focal).unwrap(),
                false => by_gradient(logits.clone(), &targets, &focal),
            };
            let gradients = (loss.clone() * 3.0).backward();
            let read = |data: TensorData| data.try_into_vec::<f32>().unwrap();
            [read(loss.into_data()), read(logits.grad(&gradients).unwrap().into_data())].concat()
        };
        let found = run(true);
        assert_eq!(found, run(false));
        assert!(found.iter().all(|value| *value != 0.0), "{found:?}");
    }

    #[test]
    fn targets_and_weights_that_do_not_fit_are_refused() {
        let logits = || Tensor::<2>::from_floats([[0.0, 0.0]], &Device::flex());
        let plain = Objective::new(Loss::Squared);
        assert!(objective(logits(), &[1.0], &plain).is_err());
        assert!(objective(logits(), &[1.0, f32::NAN], &plain).is_err());
        assert!(objective(logits(), &[1.0, 0.0], &plain.weighted(&[1.0])).is_err());
    }

    #[test]
    fn the_kernels_loss_and_gradient_are_those_of_the_operations() {
        let values = [[0.5, -2.0, 30.0], [1.0, 1.5, -0.25]];
        let run = |fused: bool| {
            let logits = Tensor::<2>::from_floats(values, &Device::flex().autodiff()).require_grad();
            let loss = match fused {
                true => cross_entropy(logits.clone(), &[0, 2], 0.1).unwrap(),
                // Folded: a third of 0.1 is each class's, halved for the mean.
                false => stock(
                    logits.clone(),
                    [14.0, 0.5, 0.5, 0.5, 0.5, 14.0].map(|share| -share / 30.0).to_vec(),
                ),
            };
            let gradients = (loss.clone() * 3.0).backward();
            let read = |data: TensorData| data.try_into_vec::<f32>().unwrap();
            [read(loss.into_data()), read(logits.grad(&gradients).unwrap().into_data())].concat()
        };
        for (found, wanted) in run(true).into_iter().zip(run(false)) {
            assert!((found - wanted).abs() <= 1e-5 * wanted.abs().max(1e-2), "{found} of {wanted}");
        }
    }
}
