//! The loss.

use burn::tensor::{Tensor, TensorData, activation::log_softmax};

use crate::Error;

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
    // The mean is folded into the targets: one product and one sum are left for the tensors.
    let off = smoothing / classes as f64;
    let mut targets = vec![-(off / batch as f64) as f32; batch * classes];
    for (row, &label) in targets.chunks_mut(classes).zip(labels) {
        row[label] = -((1.0 - smoothing + off) / batch as f64) as f32;
    }
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [batch, classes]), &logits.device());
    // By axis: a sum over everything has no fixed order for large tensors.
    Ok((log_softmax(logits, 1) * targets).sum_dim(1).sum_dim(0).reshape([1]))
}
