//! Freezing layers.

use std::iter::once;

use burn::module::{Flag, Param};
use residual_arch::{BlockPath, Place};

use crate::{Error, ResNet};

impl ResNet {
    /// Freezes layers: `stem`, `stage2`, `stage2.block1`, `head`. In training a frozen layer runs as in
    /// [`Mode::Eval`](crate::Mode::Eval): its parameters get no gradient, its batch norms use their
    /// running statistics and leave them as they are, and none of its branches is dropped. A gradient
    /// passes through it to thawed layers before it. Burn's [`freeze`](burn::module::Module::freeze) does
    /// the same to the whole network.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use residual_nn::SmallResNetConfig;
    /// let mut small = SmallResNetConfig::new(10).init(&Device::flex())?;
    /// small.net.freeze_layers(&["stem", "stage1"])?;
    /// assert!(small.net.freeze_layers(&["layer1"]).unwrap_err().to_string().contains("stage1"));
    /// # Ok::<(), residual_nn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a name is none of the network's; nothing is frozen then.
    pub fn freeze_layers(&mut self, layers: &[impl AsRef<str>]) -> Result<(), Error> {
        self.set_training(layers, false)
    }

    /// The opposite of [`freeze_layers`](Self::freeze_layers).
    ///
    /// # Errors
    /// If a name is none of the network's; nothing changes then.
    pub fn thaw_layers(&mut self, layers: &[impl AsRef<str>]) -> Result<(), Error> {
        self.set_training(layers, true)
    }

    /// The names that [`freeze_layers`](Self::freeze_layers) takes: the stem, every stage, every block, the head.
    pub fn layers(&self) -> Vec<String> {
        self.spec().places().iter().map(Place::to_string).collect()
    }

    /// True where all of a part of the network is frozen; a part that it does not have is not.
    pub(crate) fn is_frozen(&self, part: Place) -> bool {
        let frozen = |flag: &Param<Flag>| !flag.is_enabled();
        let stage = |number: usize| self.stages.get(number.checked_sub(1)?);
        match part {
            Place::Stem => frozen(&self.stem.training),
            Place::Stage(number) => {
                stage(number).is_some_and(|stage| stage.blocks.iter().all(|block| frozen(&block.training)))
            }
            Place::Block(path) => {
                let block = stage(path.stage).and_then(|stage| stage.blocks.get(path.block));
                block.is_some_and(|block| frozen(&block.training))
            }
            Place::Head => frozen(&self.head.training),
        }
    }

    fn set_training(&mut self, layers: &[impl AsRef<str>], training: bool) -> Result<(), Error> {
        let parts = self.spec().named_places(layers)?;
        let named = |place| parts.iter().any(|part: &Place| part.includes(place));
        for (_, flag) in self.training_flags_mut().filter(|(place, _)| named(*place)) {
            *flag = flag.clone().with_value(training);
        }
        Ok(())
    }

    /// The flags of the stem, every block and the head, in order.
    fn training_flags_mut(&mut self) -> impl Iterator<Item = (Place, &mut Param<Flag>)> {
        let blocks = self.stages.iter_mut().enumerate().flat_map(|(s, stage)| {
            let path = move |block| Place::Block(BlockPath { stage: s + 1, block });
            stage.blocks.iter_mut().enumerate().map(move |(b, block)| (path(b), &mut block.training))
        });
        let (stem, head) = ((Place::Stem, &mut self.stem.training), (Place::Head, &mut self.head.training));
        once(stem).chain(blocks).chain(once(head))
    }
}
