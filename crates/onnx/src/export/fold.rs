//! Weights of convolutions with their standardisation and their batch norm folded in.

use residual_arch::{ConvKind, Convolution, Field, LayerPath};
use residual_weights::{Error, Model, Tensor};

use crate::norm::EPSILON;

/// Weight of a convolution, standardised where its kind says so.
pub(super) fn weight(model: &Model, path: LayerPath, conv: &Convolution) -> Result<Vec<f32>, Error> {
    let mut weight = tensor(model, path, Field::Weight)?.data().to_vec();
    if !conv.kind.is_plain() {
        weight.chunks_exact_mut(per_output(conv)).for_each(standardise);
    }
    Ok(weight)
}

/// Weight and bias of a convolution with the batch norm behind it: `w s` and `b - m s` for `s = g / sqrt(v + eps)`,
/// computed in f64 and rounded once.
pub(super) fn folded(
    model: &Model,
    path: LayerPath,
    conv: &Convolution,
    norm: LayerPath,
) -> Result<(Vec<f32>, Vec<f32>), Error> {
    let mut weight = weight(model, path, conv)?;
    let of = |field| tensor(model, norm, field).map(Tensor::data);
    let (gain, shift) = (of(Field::Weight)?, of(Field::Bias)?);
    let (mean, variance) = (of(Field::RunningMean)?, of(Field::RunningVar)?);
    let scale = |channel: usize| f64::from(gain[channel]) / (f64::from(variance[channel]) + EPSILON).sqrt();
    for (channel, row) in weight.chunks_exact_mut(per_output(conv)).enumerate() {
        let scale = scale(channel);
        row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
    }
    let bias =
        |channel: usize| (f64::from(shift[channel]) - f64::from(mean[channel]) * scale(channel)) as f32;
    Ok((weight, (0..conv.out_channels).map(bias).collect()))
}

/// The tensor of a layer; a model has all that its network's layers have.
pub(super) fn tensor(model: &Model, path: LayerPath, field: Field) -> Result<&Tensor, Error> {
    let path = path.tensor(field);
    model.tensor(path).ok_or_else(|| Error::NoSuchTensor { name: path.to_string() })
}

fn per_output(conv: &Convolution) -> usize {
    conv.weight()[1..].iter().product::<usize>().max(1)
}

/// `(w - mean) / sqrt(var + eps)` over the weights of an output.
fn standardise(row: &mut [f32]) {
    let count = row.len() as f64;
    let mean = row.iter().map(|&w| f64::from(w)).sum::<f64>() / count;
    let variance = row.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / count;
    let scale = (variance + ConvKind::EPSILON).sqrt().recip();
    row.iter_mut().for_each(|w| *w = ((f64::from(*w) - mean) * scale) as f32);
}
