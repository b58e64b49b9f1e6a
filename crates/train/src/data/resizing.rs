//! Progressive resizing: small images first.

use residual_arch::NetSpec;
use serde::{Deserialize, Serialize};

use crate::{Error, Recipe};

/// Progressive resizing: sizes of the training images by epoch, smaller ones first, which cost less and blur what is
/// not learnt yet (Karras et al. 2018; Howard 2018, fast.ai's DAWNBench entry; EfficientNetV2: Tan and Le 2021,
/// section 4). Images are augmented as ever and resized last; evaluations have the network's size. In a recipe:
///
/// ```toml
/// resize = [{ epochs = 4, size = 16 }, { epochs = 4, size = 24 }]
/// # or
/// resize = { from = 16, epochs = 8, multiple = 4 }
/// ```
///
/// A size is that of the shorter side; the other keeps the proportion of the network's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Resizing {
    /// Sizes for so many epochs each, and the network's own behind them.
    Steps(Vec<SizedEpochs>),
    /// Size that grows by the same in every epoch.
    Linear(LinearResizing),
}

/// Epochs with one size of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SizedEpochs {
    /// Number of epochs, at least 1.
    pub epochs: usize,
    /// Shorter side in pixels.
    pub size: usize,
}

/// Size of the images that grows over the epochs: in epoch `e`, counted from 0, `from + (to - from) e / epochs`,
/// rounded down to a multiple; from epoch number `epochs` on the network's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LinearResizing {
    /// Shorter side of the first epoch in pixels.
    pub from: usize,
    /// Shorter side that it grows towards. Default: the network's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<usize>,
    /// Number of epochs with sizes of their own.
    pub epochs: usize,
    /// Number that every size is a multiple of. Default 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub multiple: usize,
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl SizedEpochs {
    /// So many epochs with images of this size.
    pub fn new(epochs: usize, size: usize) -> Self {
        Self { epochs, size }
    }
}

impl LinearResizing {
    /// Growth from a size to the network's over so many epochs.
    pub fn new(from: usize, epochs: usize) -> Self {
        Self { from, to: None, epochs, multiple: 1 }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::LinearResizing;
    /// let growth = LinearResizing::new(128, 10).with(|growth| growth.multiple = 32);
    /// assert_eq!(growth.to, None);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Resizing {
    /// Size `[height, width]` of the images of an epoch, counted from 0, for a network's input of `whole`; `None`
    /// where it is the network's.
    pub fn size(&self, epoch: usize, whole: [usize; 2]) -> Option<[usize; 2]> {
        let own = whole[0].min(whole[1]);
        let side = match self {
            Self::Steps(steps) => {
                let mut end = 0;
                steps
                    .iter()
                    .find(|step| {
                        end += step.epochs;
                        epoch < end
                    })?
                    .size
            }
            Self::Linear(growth) if epoch < growth.epochs => {
                let (from, to) = (growth.from as f64, growth.to.unwrap_or(own) as f64);
                let side = from + (to - from) * epoch as f64 / growth.epochs as f64;
                let multiple = growth.multiple.max(1);
                (side as usize / multiple * multiple).max(multiple)
            }
            Self::Linear(_) => return None,
        };
        (side != own).then(|| whole.map(|whole| (whole * side + own / 2) / own.max(1)))
    }

    /// Checks the sizes against a network that takes images of other sizes than its own.
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; [`Error::Resized`] for a size that the network cannot take.
    pub(crate) fn check(&self, recipe: &Recipe, spec: &NetSpec) -> Result<(), Error> {
        let out =
            |field, found: usize, expected| Err(Error::OutOfRange { field, found: found as f64, expected });
        let own = spec.input[1].min(spec.input[2]);
        let (epochs, sizes) = match self {
            Self::Steps(steps) => (
                steps.iter().map(|step| step.epochs).min(),
                Vec::from_iter(steps.iter().map(|step| step.size)),
            ),
            Self::Linear(growth) => {
                let sizes = [Some(growth.from), growth.to].into_iter().flatten().collect();
                if !(1..=own).contains(&growth.multiple) {
                    return out("resize.multiple", growth.multiple, "1 to the network's size");
                }
                (Some(growth.epochs), sizes)
            }
        };
        if epochs == Some(0) {
            return out("resize.epochs", 0, "1 or more");
        }
        if let Some(&found) = sizes.iter().find(|size| !(1..=own).contains(*size)) {
            return out("resize.size", found, "1 to the network's size");
        }
        for size in self.sizes(recipe.epochs, [spec.input[1], spec.input[2]]) {
            let [height, width] = size;
            spec.check([spec.input[0], height, width])
                .map_err(|cause| Error::Resized { size, cause: Box::new(cause) })?;
        }
        Ok(())
    }

    /// Sizes of a training's epochs, but for the network's own; each once, in order.
    pub(crate) fn sizes(&self, epochs: usize, whole: [usize; 2]) -> Vec<[usize; 2]> {
        let mut sizes: Vec<_> =
            (0..epochs.min(MOST_EPOCHS)).filter_map(|epoch| self.size(epoch, whole)).collect();
        sizes.dedup();
        sizes
    }
}

/// Epochs whose sizes are looked at beforehand.
const MOST_EPOCHS: usize = 100_000;

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    fn read(text: &str) -> Resizing {
        Recipe::clone(&toml::from_str(text).unwrap()).resize.unwrap()
    }

    #[test]
    fn sizes_follow_one_another_and_the_networks_comes_last() {
        let steps = read("resize = [{ epochs = 2, size = 16 }, { epochs = 1, size = 24 }]");
        let sizes: Vec<_> = (0..4).map(|epoch| steps.size(epoch, [32, 48])).collect();
        assert_eq!(sizes, [Some([16, 24]), Some([16, 24]), Some([24, 36]), None]);
        assert_eq!(steps.sizes(4, [32, 48]), [[16, 24], [24, 36]]);

        let growth = read("resize = { from = 16, epochs = 4, multiple = 4 }");
        // 16, 20, 24, 28, then the network's 32.
        let sizes: Vec<_> = (0..5).map(|epoch| growth.size(epoch, [32, 32])).collect();
        assert_eq!(sizes, [Some([16; 2]), Some([20; 2]), Some([24; 2]), Some([28; 2]), None]);
        let coarse = read("resize = { from = 10, to = 30, epochs = 4, multiple = 8 }");
        // 10, 15, 20 and 25 pixels.
        let sizes: Vec<_> = (0..5).map(|epoch| coarse.size(epoch, [32, 32])).collect();
        assert_eq!(sizes, [Some([8; 2]), Some([8; 2]), Some([16; 2]), Some([24; 2]), None]);
    }

    #[test]
    fn sizes_that_the_network_cannot_have_are_refused() {
        let refused = |text: &str| {
            let recipe: Recipe = toml::from_str(text).unwrap();
            recipe.resize.as_ref().unwrap().check(&recipe, &family("small").unwrap()).unwrap_err()
        };
        for text in [
            "resize = [{ epochs = 0, size = 16 }]",
            "resize = [{ epochs = 1, size = 0 }]",
            "resize = [{ epochs = 1, size = 33 }]",
            "resize = { from = 64, epochs = 3 }",
            "resize = { from = 16, epochs = 3, multiple = 0 }",
        ] {
            assert!(matches!(refused(text), Error::OutOfRange { .. }), "{text}");
        }
        let recipe: Recipe = toml::from_str("resize = [{ epochs = 1, size = 16 }]").unwrap();
        assert!(recipe.resize.as_ref().unwrap().check(&recipe, &family("small").unwrap()).is_ok());
    }
}
