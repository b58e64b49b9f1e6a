//! A network's tensors by canonical path, and batch norms folded.

use std::sync::{Mutex, PoisonError};

use residual_arch::{ConvKind, Field, LayerPath, TensorPath};
use residual_kernels::Pool;
use residual_weights::{Error, Model, Tensor};

use crate::quantised::QuantConv;

/// PyTorch's, added to the variance.
const EPSILON: f64 = 1e-5;

/// The tensors of a model.
pub(crate) struct Parameters<'a> {
    model: &'a Model,
}

/// A batch norm with running statistics: `y = scale x + shift`, by channel.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

/// A convolution whose weights are wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConvSource {
    pub(crate) path: LayerPath,
    pub(crate) kind: ConvKind,
    /// Path of the batch norm behind it that is folded in.
    pub(crate) norm: Option<LayerPath>,
}

impl<'a> Parameters<'a> {
    pub(crate) fn of(model: &'a Model) -> Self {
        Self { model }
    }

    /// Checks the values of the tensors whose path `chosen` takes.
    ///
    /// # Errors
    /// [`Error::Values`] with every tensor of the network that has bad ones.
    pub(crate) fn check(&self, chosen: impl Fn(TensorPath) -> bool) -> Result<(), Error> {
        self.model.check_values(chosen)
    }

    /// The tensor at `path`. All that [`residual_arch::Network::tensors`] lists are there.
    pub(crate) fn get(&self, path: TensorPath) -> &'a [f32] {
        self.model.tensor(path).map(Tensor::data).unwrap_or_default()
    }

    /// `scale = gamma / sqrt(var + epsilon)`, `shift = beta - mean scale`, computed in float64.
    pub(crate) fn norm(&self, path: LayerPath) -> Affine {
        let fields = [Field::Weight, Field::Bias, Field::RunningMean, Field::RunningVar];
        let [gamma, beta, mean, var] = fields.map(|field| self.get(path.tensor(field)));
        let of = |c: usize| {
            let scale = f64::from(gamma[c]) / (f64::from(var[c]) + EPSILON).sqrt();
            (scale as f32, (f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32)
        };
        let (scale, shift) = (0..gamma.len()).map(of).unzip();
        Affine { scale, shift }
    }

    /// The weights of the convolution at `conv`.
    pub(crate) fn weights(&self, conv: LayerPath) -> &'a [f32] {
        self.get(conv.tensor(Field::Weight))
    }

    /// Number of weights of the convolution at `conv`.
    pub(crate) fn weight_count(&self, conv: LayerPath) -> usize {
        self.model.tensor(conv.tensor(Field::Weight)).map_or(0, Tensor::elements)
    }

    /// The convolution at `path`, where it is in 8 bits.
    pub(crate) fn quantised(&self, path: LayerPath) -> Option<&'a QuantConv> {
        self.model.quantised()?.conv(path).map(|conv| &**conv)
    }

    /// Gives the memory of the convolution's weights back, where they are a file's: they are packed.
    pub(crate) fn release(&self, conv: LayerPath) {
        if let Some(tensor) = self.model.tensor(conv.tensor(Field::Weight)) {
            tensor.release();
        }
    }

    /// The convolution's weights, standardised where its kind says so and with the norm behind it folded in, and the
    /// bias that is left. They lie in `room`, which is as long at least, where they are not the file's.
    ///
    /// `scale (W x) + shift = (scale W) x + shift`: exact but for one rounding of each weight.
    pub(crate) fn folded<'r>(
        &self,
        pool: &Pool,
        ConvSource { path, kind, norm }: ConvSource,
        room: &'r mut [f32],
    ) -> (&'r [f32], Option<Vec<f32>>)
    where
        'a: 'r,
    {
        if let Some(conv) = self.quantised(path) {
            let room = &mut room[..conv.weights.len()];
            conv.dequantise(room);
            return (room, Some(conv.bias.clone()));
        }
        let weights = self.weights(path);
        let (scale, shift) = match norm.map(|norm| self.norm(norm)) {
            Some(Affine { scale, shift }) => (scale, Some(shift)),
            None if kind.is_plain() => return (weights, None),
            None => {
                let filters = self.model.tensor(path.tensor(Field::Weight)).map_or(0, |w| w.shape()[0]);
                (vec![1.0; filters], None)
            }
        };
        let room = &mut room[..weights.len()];
        let each = (weights.len() / scale.len().max(1)).max(1);
        let channels = room.chunks_exact_mut(each).zip(weights.chunks_exact(each)).zip(&scale);
        let channels = Mutex::new(channels);
        pool.for_each(scale.len(), |_, _| {
            let next = channels.lock().unwrap_or_else(PoisonError::into_inner).next();
            if let Some(((folded, weights), scale)) = next {
                match kind {
                    ConvKind::Standardised => standardise(weights, *scale, folded),
                    _ => folded.iter_mut().zip(weights).for_each(|(folded, weight)| *folded = weight * scale),
                }
            }
        });
        (room, shift)
    }
}

/// `scale (w - mean) / sqrt(var + EPSILON)` of a filter, computed in float64 (Qiao et al. 2019).
fn standardise(weights: &[f32], scale: f32, into: &mut [f32]) {
    let count = weights.len().max(1) as f64;
    let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / count;
    let variance = weights.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / count;
    let factor = f64::from(scale) / (variance + ConvKind::EPSILON).sqrt();
    into.iter_mut().zip(weights).for_each(|(into, &w)| *into = ((f64::from(w) - mean) * factor) as f32);
}
