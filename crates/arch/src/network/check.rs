//! Shapes through the layers of a specification, and every error that they can have.

use super::expand::{Part, Section};
use super::{
    BlockPart, BlockPath, CheckedBlock, Draft, Layer, LayerOp, LayerPath, Network, Norm, Source, block,
    sections,
};
use crate::shape::{Disagreement, ShapeError, ShapePlace, check_input, check_whole};
use crate::tensors::product;
use crate::{Attention, BlockSpec, Convolution, MaxPool, NetSpec, Shortcut};

impl NetSpec {
    /// Checks that the network can be built and takes an input of `[channels, height, width]`, and lists its
    /// layers.
    ///
    /// # Errors
    /// The first [`ShapeError`] found.
    ///
    /// ```
    /// use residual_arch::families::family;
    /// let network = family("resnet18")?.check([3, 224, 224])?;
    /// let first = &network.layers()[0];
    /// assert_eq!((first.path().to_string().as_str(), first.output()), ("stem.conv0", [64, 112, 112]));
    /// assert_eq!((network.parameters(), network.output()), (11_689_512, [1000, 1, 1]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, input: [usize; 3]) -> Result<Network, ShapeError> {
        check_whole(self, input)?;
        let (mut walk, mut starts) = (Walk::new(input), Vec::with_capacity(self.depth_in_blocks() + 3));
        for section in sections(self) {
            starts.push(walk.layers.len());
            walk.section(section)?;
        }
        starts.push(walk.layers.len());
        Ok(Network { spec: self.clone(), input, layers: walk.layers, starts })
    }
}

impl BlockSpec {
    /// Checks that the block can be built alone and takes an input of `[channels, height, width]`, and lists its
    /// layers.
    ///
    /// # Errors
    /// The first [`ShapeError`] found.
    pub fn check(&self, input: [usize; 3]) -> Result<CheckedBlock, ShapeError> {
        check_input(input)?;
        let mut walk = Walk::new(input);
        walk.section(block(self, input[0]))?;
        Ok(CheckedBlock { spec: *self, input, layers: walk.layers })
    }
}

/// The layers so far, and what was counted.
struct Walk {
    input: [usize; 3],
    layers: Vec<Layer>,
    parameters: u64,
    macs: u64,
}

impl Walk {
    fn new(input: [usize; 3]) -> Self {
        Self { input, layers: Vec::new(), parameters: 0, macs: 0 }
    }

    /// Shapes first and counts after them, so that what can be put right is said before what is too large.
    fn section(&mut self, Section { part, drafts }: Section<'_>) -> Result<(), ShapeError> {
        let first = self.layers.len();
        let entry = drafts.first().map_or(self.input, |draft| self.shape(draft.reads.first()));
        if let Part::Block(path, block) = part {
            check_nothing_is_zero(path.into(), block)?;
        }
        for draft in drafts {
            let input = self.shape(draft.reads.first());
            if let (Some(second), Part::Block(path, block)) = (draft.reads.second(), part) {
                let join = Join { entry, branch: input, given: self.shape(second) };
                check_join(path, block, &join)?;
            }
            let output = output(&draft, input)?;
            let Draft { path, op, reads } = draft;
            self.layers.push(Layer { path, op, reads, input, output });
        }
        self.count(first)
    }

    /// Counts the layers from `first` on.
    fn count(&mut self, first: usize) -> Result<(), ShapeError> {
        for layer in &self.layers[first..] {
            let count = || {
                product(&layer.output)?;
                let parameters = self.parameters.checked_add(layer.op.parameters()?)?;
                Some((parameters, self.macs.checked_add(layer.op.macs(layer.output)?)?))
            };
            let place = ShapePlace::Layer(layer.path);
            (self.parameters, self.macs) = count().ok_or(ShapeError::TooLarge { place })?;
        }
        Ok(())
    }

    fn shape(&self, source: Source) -> [usize; 3] {
        match source {
            Source::Input => self.input,
            Source::Layer(id) => self.layers[id.index()].output,
        }
    }
}

/// The output of a layer whose own numbers are sound.
fn output(draft: &Draft, input: [usize; 3]) -> Result<[usize; 3], ShapeError> {
    let layer = draft.path;
    let (kernel, padding) = match &draft.op {
        LayerOp::Conv(conv) => check_conv(layer, conv)?,
        LayerOp::MaxPool(pool) => check_pool(layer, pool)?,
        &LayerOp::Norm(Norm::Group { channels, groups, .. }) => check_groups(layer, channels, groups)?,
        LayerOp::EfficientAttention(attention) if attention.kernel % 2 == 0 => {
            return Err(ShapeError::EvenKernel { layer, kernel: attention.kernel });
        }
        _ => (1, 0),
    };
    let [_, height, width] = input;
    let least = match &draft.op {
        LayerOp::AveragePool(pool) if !pool.overhang => pool.kernel,
        LayerOp::BlurPool(_) => 2,
        _ => 1,
    };
    if height.min(width) < least {
        return Err(ShapeError::SmallMap { layer, least, height, width });
    }
    draft.op.output(input).ok_or(ShapeError::Vanishes { layer, kernel, padding, height, width })
}

/// Kernel and padding of a convolution that is sound by itself.
fn check_conv(layer: LayerPath, conv: &Convolution) -> Result<(usize, usize), ShapeError> {
    let properties = [("channels", conv.out_channels), ("kernel", conv.kernel), ("stride", conv.stride)];
    if let Some((what, _)) = properties.into_iter().find(|&(_, value)| value == 0) {
        return Err(ShapeError::Zero { place: ShapePlace::Layer(layer), what });
    }
    let shortcut = matches!(layer.block_part(), Some(BlockPart::Shortcut(_)));
    if shortcut && conv.kernel.is_multiple_of(2) {
        return Err(ShapeError::EvenKernel { layer, kernel: conv.kernel });
    }
    let misfit = |channels: &usize| channels.checked_rem(conv.groups) != Some(0);
    if let Some(channels) = [conv.in_channels, conv.out_channels].into_iter().find(misfit) {
        return Err(ShapeError::Groups { layer, groups: conv.groups, channels });
    }
    Ok((conv.kernel, conv.padding))
}

/// No kernel and no padding, for a group norm that is sound by itself.
fn check_groups(layer: LayerPath, channels: usize, groups: usize) -> Result<(usize, usize), ShapeError> {
    match channels.checked_rem(groups) {
        None => Err(ShapeError::Zero { place: ShapePlace::Layer(layer), what: "group_norm" }),
        Some(0) => Ok((1, 0)),
        Some(_) => Err(ShapeError::Groups { layer, groups, channels }),
    }
}

/// Kernel and padding of a max pool that is sound by itself.
fn check_pool(layer: LayerPath, pool: &MaxPool) -> Result<(usize, usize), ShapeError> {
    let &MaxPool { kernel, stride, padding, .. } = pool;
    let properties = [("kernel", kernel), ("stride", stride)];
    if let Some((what, _)) = properties.into_iter().find(|&(_, value)| value == 0) {
        return Err(ShapeError::Zero { place: ShapePlace::Layer(layer), what });
    }
    if padding > kernel / 2 {
        return Err(ShapeError::PoolPadding { layer, kernel, padding });
    }
    Ok((kernel, padding))
}

fn check_nothing_is_zero(place: ShapePlace, block: &BlockSpec) -> Result<(), ShapeError> {
    let (channels, stride) = match block.shortcut {
        Shortcut::None | Shortcut::Identity => (1, 1),
        Shortcut::Projection { channels, stride, .. } | Shortcut::ZeroPad { channels, stride } => {
            (channels, stride)
        }
    };
    let properties = [
        ("channels", block.channels),
        ("width", block.width),
        ("first_width", block.first_width.unwrap_or(1)),
        block.norm.field(),
        ("stride", block.stride),
        ("groups", block.groups),
        block.attention.map_or(("attention", 1), Attention::field),
        ("the shortcut's channels", channels),
        ("the shortcut's stride", stride),
    ];
    match properties.into_iter().find(|&(_, value)| value == 0) {
        Some((what, _)) => Err(ShapeError::Zero { place, what }),
        None => Ok(()),
    }
}

/// Shapes at an addition: of the block's input, and of the two terms.
struct Join {
    entry: [usize; 3],
    branch: [usize; 3],
    given: [usize; 3],
}

/// Check of an addition: branch and shortcut have one shape.
fn check_join(path: Option<BlockPath>, block: &BlockSpec, join: &Join) -> Result<(), ShapeError> {
    let &BlockSpec { shortcut, stride, .. } = block;
    let &Join { entry, branch, given } = join;
    let disagreement = || Box::new(Disagreement { block: path, stride, shortcut, branch, given });
    if stride != 1 && shortcut.stride() == Some(1) {
        return Err(ShapeError::ForgottenStride(disagreement()));
    }
    if branch[0] != given[0] {
        return Err(ShapeError::Channels(disagreement()));
    }
    if branch[1..] != given[1..] {
        return Err(ShapeError::Size(disagreement()));
    }
    match shortcut {
        Shortcut::ZeroPad { channels, .. } if channels < entry[0] => {
            Err(ShapeError::ZeroPadShrinks { block: path, from: entry[0], to: channels })
        }
        _ => Ok(()),
    }
}
