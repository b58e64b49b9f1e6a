//! A whole network as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{BlockPath, BlockSpec, HeadSpec, Preprocess, StemSpec, Task, file::NetFile};

/// A residual network: stem, stages of blocks, head, and what its images go through first.
///
/// Serialises to TOML and JSON; `docs/spec.md` shows the format. A value of this type may be wrong
/// (that is what [`crate::shape`] is for); a network is built only from one that was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "NetFile", into = "NetFile")]
#[non_exhaustive]
pub struct NetSpec {
    /// Name, for people.
    pub name: String,
    /// The scheme that names this network's tensors in files.
    pub naming: Naming,
    /// Input `[channels, height, width]` that it is meant for. Other sizes work where the shape
    /// check passes.
    pub input: [usize; 3],
    /// Before the stages.
    pub stem: StemSpec,
    /// The stages in order.
    pub stages: Vec<StageSpec>,
    /// After the stages.
    pub head: HeadSpec,
    /// Probability `p` of dropping the last block's branch in training; block `l` of `L` (counted
    /// from 1) is dropped with probability `p l / L` (Huang et al. 2016, the linear rule).
    pub stochastic_depth: f64,
    /// Preprocessing of images before the stem.
    pub preprocess: Preprocess,
    /// Task: what the outputs say of an image.
    pub task: Task,
}

/// Blocks at one resolution.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StageSpec {
    /// The blocks in order.
    pub blocks: Vec<BlockSpec>,
}

/// A scheme of tensor names. [`crate::names`] writes every tensor's name in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Naming {
    /// `conv1.weight`, `layer1.0.bn2.bias`, `layer2.0.downsample.0.weight`, `fc.weight`.
    Torchvision,
    /// timm's: torchvision's where they agree, `conv1.0.weight`, `layer1.0.se.fc1.weight`,
    /// `stages.0.blocks.0.norm1.weight`, `head.fc.weight` where not.
    Timm,
    /// `conv1.weight`, `layer1.0.bn2.bias`, `linear.weight`: CIFAR checkpoints.
    Cifar,
    /// `stem.0.weight`, `stage1.0.residual.3.weight`, `head.2.weight`: modules numbered by
    /// `nn.Sequential`.
    Sequential,
    /// `resnet.embedder.embedder.convolution.weight`,
    /// `resnet.encoder.stages.0.layers.0.layer.0.convolution.weight`, `classifier.1.weight`: Hugging Face transformers.
    Transformers,
}

impl fmt::Display for Naming {
    /// `torchvision`, `timm`, `cifar`, `sequential`, `transformers`: as in a specification's file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torchvision => "torchvision",
            Self::Timm => "timm",
            Self::Cifar => "cifar",
            Self::Sequential => "sequential",
            Self::Transformers => "transformers",
        })
    }
}

impl StageSpec {
    /// Stage of these blocks.
    pub fn new(blocks: Vec<BlockSpec>) -> Self {
        Self { blocks }
    }
}

impl NetSpec {
    /// Network for an input `[channels, height, width]`: torchvision's names, no stochastic depth, ImageNet's
    /// normalisation of RGB images (other channels need [`preprocess`](Self::preprocess) to be set) and no resizing.
    ///
    /// ```
    /// use residual_arch::{BlockSpec, HeadSpec, NetSpec, StageSpec, StemSpec};
    /// let stages = vec![StageSpec::new(vec![BlockSpec::basic(16)])];
    /// let net = NetSpec::new("tiny", [3, 32, 32], StemSpec::cifar(16), stages, HeadSpec::new(10));
    /// assert_eq!(net.check(net.input)?.output(), [10, 1, 1]);
    /// # Ok::<(), residual_arch::shape::ShapeError>(())
    /// ```
    pub fn new(
        name: impl Into<String>,
        input: [usize; 3],
        stem: StemSpec,
        stages: Vec<StageSpec>,
        head: HeadSpec,
    ) -> Self {
        Self {
            name: name.into(),
            naming: Naming::Torchvision,
            input,
            stem,
            stages,
            head,
            stochastic_depth: 0.0,
            preprocess: Preprocess::normalise_only(),
            task: Task::SingleLabel,
        }
    }

    /// Changes fields.
    ///
    /// ```
    /// use residual_arch::families::family;
    /// let net = family("resnet50")?.with(|net| net.stochastic_depth = 0.1);
    /// assert_eq!(net.stochastic_depth, 0.1);
    /// # Ok::<(), residual_arch::families::UnknownModel>(())
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Blocks with their stage (from 1) and their place in the stage (from 0), in order.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockPath, &BlockSpec)> {
        self.stages.iter().enumerate().flat_map(|(s, stage)| {
            stage
                .blocks
                .iter()
                .enumerate()
                .map(move |(b, block)| (BlockPath { stage: s + 1, block: b }, block))
        })
    }

    /// Network with another number of classes.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.head.classes = classes;
        self
    }

    /// Network meant for another input, `[channels, height, width]`.
    ///
    /// The preprocessing follows: a centre crop becomes `height` x `width` and the resizing before it
    /// keeps its proportion to the crop: for a rectangle in place of a square, image and crop keep it on each
    /// side. Between grey and RGB, the normalisation's means and deviations
    /// are averaged or repeated.
    pub fn with_input(mut self, input: [usize; 3]) -> Self {
        self.input = input;
        self.preprocess = self.preprocess.with_input(input);
        self
    }

    /// Number of blocks.
    pub fn depth_in_blocks(&self) -> usize {
        self.stages.iter().map(|stage| stage.blocks.len()).sum()
    }
}
