//! Equal blocks in a row, which are drawn once.

use residual_arch::{BlockPath, BlockSpec, Layer, LayerOp, Network, Place};

/// Equal blocks in a row: the first of them, and their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'n> {
    pub(super) path: BlockPath,
    pub(super) spec: &'n BlockSpec,
    pub(super) layers: &'n [Layer],
    pub(super) count: usize,
}

impl Run<'_> {
    /// Names of the blocks in their stage.
    pub(super) fn name(&self) -> String {
        let first = self.path.block;
        match self.count {
            1 => format!("block{first}"),
            count => format!("block{first} to block{}", first + count - 1),
        }
    }

    /// Shape that the last layer gives.
    pub(super) fn output(&self) -> [usize; 3] {
        self.layers.last().map_or([0; 3], Layer::output)
    }

    /// True where the block is drawn as this one.
    fn draws(&self, spec: &BlockSpec, layers: &[Layer]) -> bool {
        let same = |(one, other): (&Layer, &Layer)| {
            // Of stochastic depth the probability grows from block to block.
            let depth = |layer: &Layer| matches!(layer.op(), LayerOp::StochasticDepth { .. });
            one.output() == other.output() && (one.op() == other.op() || depth(one) && depth(other))
        };
        self.spec.shortcut == spec.shortcut
            && self.layers.len() == layers.len()
            && self.layers.iter().zip(layers).all(same)
    }
}

/// Blocks of a stage, counted from 1, equal ones in a row together.
pub(super) fn runs(network: &Network, stage: usize) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let Some(blocks) = network.spec().stages.get(stage - 1).map(|stage| &stage.blocks) else { return runs };
    for (block, spec) in blocks.iter().enumerate() {
        let path = BlockPath { stage, block };
        let layers = network.layers_of(Place::Block(path));
        match runs.last_mut().filter(|run| run.draws(spec, layers)) {
            Some(run) => run.count += 1,
            None => runs.push(Run { path, spec, layers, count: 1 }),
        }
    }
    runs
}
