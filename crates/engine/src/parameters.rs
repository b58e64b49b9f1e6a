//! A network's tensors by canonical path, and batch norms folded.

use std::collections::HashMap;

use residual_arch::names::names;
use residual_arch::{Naming, NetSpec};
use residual_weights::{Error, StateDict, match_tensors};

/// PyTorch's, added to the variance.
const EPSILON: f64 = 1e-5;

/// The tensors of a checked network, whichever scheme names them in the file.
pub(crate) struct Parameters<'a> {
    by_path: HashMap<String, &'a [f32]>,
}

/// A batch norm with running statistics: `y = scale x + shift`, by channel.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
}

impl<'a> Parameters<'a> {
    /// # Errors
    /// [`Error::Mismatch`] with all that is missing, unexpected or misshapen.
    pub(crate) fn of(spec: &NetSpec, state: &'a StateDict) -> Result<Self, Error> {
        let expected = names(spec, scheme(spec, state));
        let in_file: Vec<_> = expected.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
        match_tensors(&in_file, state)?;
        let data = |name: &str| state.get(name).map(residual_weights::Tensor::data);
        let by_path = expected.into_iter().filter_map(|t| Some((t.path, data(&t.name)?))).collect();
        Ok(Self { by_path })
    }

    /// The tensor at `path`. All that [`residual_arch::tensors`] lists are there.
    pub(crate) fn get(&self, path: &str) -> &'a [f32] {
        self.by_path.get(path).copied().unwrap_or_default()
    }

    /// `scale = gamma / sqrt(var + epsilon)`, `shift = beta - mean scale`, computed in float64.
    pub(crate) fn norm(&self, path: &str) -> Affine {
        let [gamma, beta, mean, var] = ["weight", "bias", "running_mean", "running_var"]
            .map(|field| self.get(&format!("{path}.{field}")));
        let of = |c: usize| {
            let scale = f64::from(gamma[c]) / (f64::from(var[c]) + EPSILON).sqrt();
            (scale as f32, (f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32)
        };
        let (scale, shift) = (0..gamma.len()).map(of).unzip();
        Affine { scale, shift }
    }

    /// The convolution's weights with the norm behind it folded in, and the bias that is left.
    ///
    /// `scale (W x) + shift = (scale W) x + shift`: exact but for one rounding of each weight.
    pub(crate) fn folded(&self, conv: &str, norm: Option<&str>) -> (Vec<f32>, Option<Vec<f32>>) {
        let mut weights = self.get(&format!("{conv}.weight")).to_vec();
        let Some(norm) = norm else { return (weights, None) };
        let Affine { scale, shift } = self.norm(norm);
        let each = weights.len() / scale.len().max(1);
        for (weights, scale) in weights.chunks_exact_mut(each.max(1)).zip(&scale) {
            weights.iter_mut().for_each(|weight| *weight *= scale);
        }
        (weights, Some(shift))
    }
}

/// The scheme that names most of the tensors; the network's own where several do.
fn scheme(spec: &NetSpec, state: &StateDict) -> Naming {
    let named =
        |naming| names(spec, naming).iter().filter(|tensor| state.get(&tensor.name).is_some()).count();
    let others = [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential];
    let own = (named(spec.naming), spec.naming);
    let better = |best: (usize, Naming), naming| {
        let found = named(naming);
        if found > best.0 { (found, naming) } else { best }
    };
    others.into_iter().fold(own, better).1
}
