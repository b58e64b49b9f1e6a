//! Averages of the weights over a training.

use residual_nn::{NamedTensor, ResNet};
use residual_weights::{StateDict, Tensor};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Exponential moving average (EMA) of the weights, which often classifies better than the last weights do (Polyak and
/// Juditsky 1992; Tarvainen and Valpola 2017). After step `t`, counted from 1, of every parameter and running statistic:
///
/// ```text
/// average <- d average + (1 - d) weight,   d = min(decay, (1 + t) / (10 + t))    with warm-up
/// ```
///
/// In a recipe: `ema = { decay = 0.999 }`. Each epoch evaluates the average as well, the line `ema` in `metrics.jsonl`;
/// `best.safetensors` is the best average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ema {
    /// Part of the average that is kept at a step, at least 0 and below 1: an average over some `1 / (1 - decay)`
    /// steps. Default 0.999.
    #[serde(default = "usual_decay")]
    pub decay: f64,
    /// True where early averages forget faster, as TensorFlow's `ExponentialMovingAverage` with `num_updates` does.
    /// Default true.
    #[serde(default = "yes")]
    pub warm_up: bool,
}

fn usual_decay() -> f64 {
    0.999
}

fn yes() -> bool {
    true
}

impl Default for Ema {
    fn default() -> Self {
        Self { decay: usual_decay(), warm_up: yes() }
    }
}

impl Ema {
    /// Average with this decay, and warm-up.
    pub fn new(decay: f64) -> Self {
        Self { decay, ..Self::default() }
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// [`Error::OutOfRange`].
    pub fn validate(&self) -> Result<(), Error> {
        match (0.0..1.0).contains(&self.decay) {
            true => Ok(()),
            false => {
                let (field, expected) = ("ema.decay", "0 or more and below 1");
                Err(Error::OutOfRange { field, found: self.decay, expected })
            }
        }
    }

    /// Part of the average that is kept at step `step`, counted from 1.
    fn kept(&self, step: u64) -> f64 {
        let step = step as f64;
        if self.warm_up { self.decay.min((1.0 + step) / (10.0 + step)) } else { self.decay }
    }
}

/// Average of a network's tensors, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Average {
    ema: Ema,
    /// In the order of [`ResNet::state`].
    tensors: Vec<NamedTensor>,
}

impl Average {
    /// Average that begins with a network's weights.
    pub(crate) fn new(ema: Ema, network: &ResNet) -> Self {
        Self { ema, tensors: network.state() }
    }

    /// Average as [`state`](Self::state) gave it, of a network with the same tensors; that network's weights where it
    /// gave none.
    pub(crate) fn load(ema: Ema, network: &ResNet, mut state: StateDict) -> Self {
        let mut average = Self::new(ema, network);
        for tensor in &mut average.tensors {
            let kept = state.remove(&tensor.path).map(|kept| kept.into_parts().1);
            if let Some(kept) = kept.filter(|kept| kept.len() == tensor.values.len()) {
                tensor.values = kept;
            }
        }
        average
    }

    /// Takes the weights after step `step`, counted from 1.
    pub(crate) fn update(&mut self, network: &ResNet, step: u64) {
        let kept = self.ema.kept(step);
        let (kept, taken) = (kept as f32, (1.0 - kept) as f32);
        for (average, now) in self.tensors.iter_mut().zip(network.state()) {
            for (average, now) in average.values.iter_mut().zip(now.values) {
                *average = kept * *average + taken * now;
            }
        }
    }

    /// The average with the tensors of a network in place of its own.
    pub(crate) fn with_tensors(self, network: &ResNet) -> Self {
        Self { tensors: network.state(), ..self }
    }

    /// Tensors by their paths; bit for bit.
    ///
    /// # Errors
    /// [`Error::Weights`], which the tensors of a network do not give.
    pub(crate) fn state(&self) -> Result<StateDict, Error> {
        let tensors = self.tensors.iter().map(|tensor| {
            Ok((tensor.path.clone(), Tensor::new(tensor.shape.clone(), tensor.values.clone())?))
        });
        Ok(StateDict::from_tensors(tensors.collect::<Result<Vec<_>, Error>>()?)?)
    }

    /// Network with the averaged tensors, on the device and in the context of the one that is trained.
    ///
    /// # Errors
    /// [`Error::Nn`], which the tensors of a network do not give.
    pub(crate) fn network(&self, trained: &ResNet) -> Result<ResNet, Error> {
        let mut network = trained.clone();
        network.load(self.tensors.clone())?;
        network.set_context(trained.context());
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_averages_forget_faster() {
        let ema = Ema::new(0.9);
        assert_eq!(ema.kept(1), 2.0 / 11.0);
        assert_eq!(ema.kept(80), 0.9);
        assert_eq!(Ema { warm_up: false, ..ema }.kept(1), 0.9);
        assert!(Ema::new(1.0).validate().is_err() && Ema::new(-0.1).validate().is_err());
        assert!(Ema::default().validate().is_ok());
    }
}
