//! Freezing layers.

use burn::module::{Flag, Param};

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
        let mut names = vec!["stem".to_owned()];
        for (s, stage) in self.stages.iter().enumerate() {
            names.push(format!("stage{}", s + 1));
            names.extend((0..stage.blocks.len()).map(|b| format!("stage{}.block{b}", s + 1)));
        }
        names.push("head".to_owned());
        names
    }

    /// Whether the layer that holds the tensor at `path` is frozen.
    pub(crate) fn is_frozen(&self, path: &str) -> bool {
        let mut parts = path.split('.');
        let number = |part: Option<&str>, prefix| part?.strip_prefix(prefix)?.parse::<usize>().ok();
        match parts.next() {
            Some("stem") => !self.stem.training.is_enabled(),
            Some("head") => !self.head.training.is_enabled(),
            stage => {
                let stage = number(stage, "stage").and_then(|s| self.stages.get(s.checked_sub(1)?));
                let block = stage.zip(number(parts.next(), "block")).and_then(|(s, b)| s.blocks.get(b));
                block.is_some_and(|block| !block.training.is_enabled())
            }
        }
    }

    fn set_training(&mut self, layers: &[impl AsRef<str>], training: bool) -> Result<(), Error> {
        let known = self.layers();
        if let Some(name) = layers.iter().map(AsRef::as_ref).find(|&name| known.iter().all(|k| k != name)) {
            return Err(Error::UnknownLayer { name: name.to_owned(), known });
        }
        let set = |flag: &mut Param<Flag>| *flag = flag.clone().with_value(training);
        let named = |name: &str| layers.iter().any(|layer| layer.as_ref() == name);
        if named("stem") {
            set(&mut self.stem.training);
        }
        if named("head") {
            set(&mut self.head.training);
        }
        for (s, stage) in self.stages.iter_mut().enumerate() {
            let stage_name = format!("stage{}", s + 1);
            for (b, block) in stage.blocks.iter_mut().enumerate() {
                if named(&stage_name) || named(&format!("{stage_name}.block{b}")) {
                    set(&mut block.training);
                }
            }
        }
        Ok(())
    }
}
