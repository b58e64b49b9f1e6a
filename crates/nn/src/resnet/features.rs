//! What every block gives.

use burn::tensor::Tensor;
use residual_arch::{BlockPath, Place};

use crate::{Mode, ResNet};

/// The maps of one forward pass.
#[derive(Clone, Debug)]
pub struct Features {
    /// After the stem.
    pub stem: Tensor<4>,
    /// After every block, in order. Those of a pre-activation network are sums that its head normalises and rectifies
    /// before it averages them: the mean of the last one is not [`pooled`](Self::pooled).
    pub blocks: Vec<(BlockPath, Tensor<4>)>,
    /// Features that the linear layer reads, before dropout: `[batch, channels]`, the average after the head's norm and
    /// ReLU where it has them.
    pub pooled: Tensor<2>,
}

impl Features {
    /// The map after the layer called `path`: `stem`, `stage2` (its last block), or `stage2.block1`.
    pub fn get(&self, path: &str) -> Option<&Tensor<4>> {
        match path.parse().ok()? {
            Place::Stem => Some(&self.stem),
            place => {
                let named = |at: &BlockPath| place.includes(Place::Block(*at));
                self.blocks.iter().rev().find(|(at, _)| named(at)).map(|(_, map)| map)
            }
        }
    }
}

impl ResNet {
    /// The map after the stem and after every block, and the pooled features.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use residual_nn::{Mode, SmallResNetConfig};
    /// let small = SmallResNetConfig::new(10).init(&Device::flex())?;
    /// let x = Tensor::zeros([1, 3, 32, 32], &Device::flex());
    /// let features = small.net.forward_features(x, Mode::Eval);
    /// assert_eq!(features.get("stage3.block1").unwrap().dims(), [1, 128, 8, 8]);
    /// assert_eq!(features.pooled.dims(), [1, 128]);
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_features(&self, x: Tensor<4>, mode: Mode) -> Features {
        let stem = self.stem.forward(x, mode);
        let (mut h, mut blocks) = (stem.clone(), vec![]);
        for (s, stage) in self.stages.iter().enumerate() {
            for (b, block) in stage.blocks.iter().enumerate() {
                h = block.forward(h, mode);
                blocks.push((BlockPath { stage: s + 1, block: b }, h.clone()));
            }
        }
        Features { stem, blocks, pooled: self.head.pool(h.into(), mode.within(&self.head.training)) }
    }
}
