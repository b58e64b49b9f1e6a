//! The list of a block's layers, taken apart into branch, shortcut and join.

use residual_arch::{Activation, AveragePool, BlockPart, Convolution, Layer, LayerOp, Norm, Source};
use residual_kernels::block::{BlockShape, Link, Order, Shortcut};

use crate::shortcut::is_shortcut;
use crate::{Activation as Nonlinearity, Error};

/// Layers of a block: those of the branch, those of the shortcut, and what follows them.
pub(super) struct Parts<'a> {
    pub(super) branch: Vec<&'a Layer>,
    shortcut: Vec<&'a Layer>,
    add: Option<&'a Layer>,
    output: Option<&'a Layer>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(layers: &'a [Layer]) -> Self {
        let at = |part| layers.iter().find(|layer| layer.path().block_part() == Some(part));
        let (shortcut, others): (Vec<_>, Vec<_>) = layers.iter().partition(|layer| is_shortcut(layer));
        let joins = [BlockPart::Depth, BlockPart::Add, BlockPart::OutputAct].map(Some);
        Self {
            branch: others.into_iter().filter(|layer| !joins.contains(&layer.path().block_part())).collect(),
            shortcut,
            add: at(BlockPart::Add),
            output: at(BlockPart::OutputAct),
        }
    }

    /// Activation of the block's output.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for one that this crate does not have.
    pub(super) fn output_activation(&self) -> Result<Nonlinearity, Error> {
        let Some(layer) = self.output else { return Ok(Nonlinearity::None) };
        let found = match *layer.op() {
            LayerOp::Activation(activation) => Nonlinearity::of(activation),
            _ => None,
        };
        found.ok_or_else(|| Error::Unsupported { layer: layer.path(), op: format!("{:?}", layer.op()) })
    }

    /// Number of the branch's layers before the map that the shortcut reads: none where that is the block's input,
    /// those that make `h` of it in a pre-activation block that changes the shape.
    pub(super) fn fork(&self) -> usize {
        let source = self.shortcut_source();
        let reads = |layer: &&Layer| Some(layer.reads().first()) == source;
        self.branch.iter().position(reads).unwrap_or(0)
    }

    /// Map that the shortcut reads; `None` in a plain block.
    fn shortcut_source(&self) -> Option<Source> {
        match (self.shortcut.first(), self.add) {
            (Some(first), _) => Some(first.reads().first()),
            (None, Some(add)) => add.reads().second(),
            (None, None) => None,
        }
    }

    /// The block as the kernels know it; `None` where its layers are not theirs.
    pub(super) fn kernel_shape(&self) -> Option<BlockShape> {
        let mut branch: Vec<&LayerOp> = self.branch.iter().map(|layer| layer.op()).collect();
        let squeeze = match branch[..] {
            [.., LayerOp::SqueezeExcite(squeeze)] => Some(squeeze.reduced),
            _ => None,
        };
        branch.truncate(branch.len() - usize::from(squeeze.is_some()));
        let order = match self.output.map(Layer::op) {
            None => Order::PreActivation,
            Some(op) if *op == RELU => Order::PostActivation,
            Some(_) => return None,
        };
        if order == Order::PostActivation {
            branch.push(&RELU);
        }
        let links = branch.chunks(3).map(|ops| match (order, ops) {
            (Order::PostActivation, &[conv, norm, relu]) if is_batch_norm(norm) && *relu == RELU => {
                link(conv)
            }
            (Order::PreActivation, &[norm, relu, conv]) if is_batch_norm(norm) && *relu == RELU => link(conv),
            _ => None,
        });
        let links = links.collect::<Option<Vec<_>>>()?;
        let fork = match (order, self.shortcut.is_empty()) {
            (Order::PreActivation, false) => 2,
            _ => 0,
        };
        let shape = BlockShape { links, shortcut: self.kernel_shortcut(order)?, order, squeeze };
        (self.fork() == fork).then_some(shape)
    }

    fn kernel_shortcut(&self, order: Order) -> Option<Shortcut> {
        let mut ops: Vec<&LayerOp> = self.shortcut.iter().map(|layer| layer.op()).collect();
        let normed = ops.pop_if(|op| is_batch_norm(op)).is_some();
        match (&ops[..], self.add) {
            ([], None) => Some(Shortcut::None),
            ([], Some(_)) => Some(Shortcut::Identity),
            ([LayerOp::ZeroPad(pad)], _) => Some(Shortcut::ZeroPad { stride: pad.stride }),
            _ if normed != (order == Order::PostActivation) => None,
            ([LayerOp::Conv(conv)] | [LayerOp::Identity, LayerOp::Conv(conv)], _) if is_projection(conv) => {
                Some(Shortcut::Projection { stride: conv.stride })
            }
            ([LayerOp::AveragePool(pool), LayerOp::Conv(conv)], _)
                if is_projection(conv) && *pool == AveragePool::overhanging(pool.stride) =>
            {
                Some(Shortcut::PooledProjection { stride: pool.stride })
            }
            _ => None,
        }
    }
}

const RELU: LayerOp = LayerOp::Activation(Activation::Relu);

fn is_batch_norm(op: &LayerOp) -> bool {
    matches!(op, LayerOp::Norm(Norm::Batch { .. }))
}

/// True for a convolution that the kernels have beside a branch.
fn is_projection(conv: &Convolution) -> bool {
    conv.kernel == 1 && conv.kind.is_plain()
}

/// A convolution of the branch, if it is padded as the kernels pad and its weights are used as they are.
fn link(op: &LayerOp) -> Option<Link> {
    let LayerOp::Conv(conv) = op else { return None };
    let link = Link {
        out_channels: conv.out_channels,
        kernel: conv.kernel,
        stride: conv.stride,
        groups: conv.groups,
    };
    (conv.padding == conv.kernel / 2 && conv.kind.is_plain()).then_some(link)
}
