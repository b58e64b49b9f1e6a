//! Frozen layers that train from some epoch on.

use std::collections::BTreeMap;

use residual_arch::{NetSpec, Place};
use residual_nn::ResNet;
use serde::{Deserialize, Serialize};

use crate::{Error, Recipe};

/// Unfreezing of layers by schedule (Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3.3): layers
/// that `freeze` holds still train from an epoch on. Their optimiser's state, and what its bias corrections count,
/// begins there.
///
/// In a recipe: `unfreeze = [{ epoch = 3, layers = ["stage3"] }]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Unfreeze {
    /// First epoch in which the layers train, counted from 1; 2 or more.
    pub epoch: usize,
    /// Layers, named as in `freeze`.
    pub layers: Vec<String>,
}

impl Unfreeze {
    /// Layers that train from an epoch on.
    pub fn new(epoch: usize, layers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { epoch, layers: layers.into_iter().map(Into::into).collect() }
    }
}

impl Recipe {
    /// Checks the names and epochs of `unfreeze`.
    pub(crate) fn check_unfreeze(&self, spec: &NetSpec) -> Result<(), Error> {
        let frozen = spec.named_places(&self.freeze)?;
        for Unfreeze { epoch, layers } in &self.unfreeze {
            if !(2..=self.epochs).contains(epoch) {
                return Err(Error::UnfreezeEpoch { found: *epoch, epochs: self.epochs });
            }
            let places = spec.named_places(layers)?;
            let is_frozen = |place: &Place| frozen.iter().any(|frozen| frozen.includes(*place));
            if let Some(place) = places.iter().find(|place| !is_frozen(place)) {
                return Err(Error::NotFrozen { layer: place.to_string() });
            }
        }
        Ok(())
    }

    /// Freezes and thaws the layers of a network for an epoch, counted from 0, and the statistics of its batch norms.
    pub(crate) fn freeze_for_epoch(&self, network: &mut ResNet, epoch: usize) -> Result<(), Error> {
        network.freeze_layers(&self.freeze)?;
        for thawed in self.unfreeze.iter().filter(|unfreeze| unfreeze.epoch <= epoch + 1) {
            network.thaw_layers(&thawed.layers)?;
        }
        network.freeze_statistics(self.freeze_statistics);
        Ok(())
    }
}

/// Steps of a training before a part of the network takes part in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StillSteps {
    steps: BTreeMap<Place, u64>,
}

impl StillSteps {
    /// Steps before each part of a recipe's `unfreeze` trains.
    pub(crate) fn new(recipe: &Recipe, spec: &NetSpec, steps_per_epoch: usize) -> Result<Self, Error> {
        let mut steps = BTreeMap::new();
        for Unfreeze { epoch, layers } in &recipe.unfreeze {
            let before = (epoch.saturating_sub(1) as u64).saturating_mul(steps_per_epoch as u64);
            let named = spec.named_places(layers)?;
            for place in spec.places().into_iter().filter(|place| named.iter().any(|of| of.includes(*place)))
            {
                let least = steps.entry(place).or_insert(before);
                *least = before.min(*least);
            }
        }
        Ok(Self { steps })
    }

    /// Number of a step of the training, from 1, as a part of the network counts it.
    pub(crate) fn number(&self, place: Place, step: u64) -> u64 {
        step.saturating_sub(self.steps.get(&place).copied().unwrap_or(0)).max(1)
    }
}
