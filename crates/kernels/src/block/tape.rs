//! What the forward pass leaves for the backward pass.

use super::parameters::LinkParameters;
use super::plan::Block;
use super::run::{Map, MapMut, Run};
use super::shape::{Order, wrong};
use crate::norm::{BatchStatistics, apply, apply_workspace};
use crate::{Buffer, Epilogue, Error, Layout, Sums};

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
pub struct Tape {
    /// What each convolution of the branch gives; empty where that is the block's output.
    pub(super) written: Vec<Buffer>,
    /// What the projection gives; empty where that is not normalised.
    pub(super) projected: Buffer,
    /// Of each normalisation, in the order of the branch, the projection's last.
    pub(super) norms: Vec<Norm>,
    /// What the branch is multiplied by.
    pub(super) gate: Gate,
}

/// A normalisation on the tape.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) statistics: BatchStatistics,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

/// Squeeze-and-excitation on the tape, `[batch, channels]` or `[batch, middle]`; all empty without.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// `m = mean(F)`
    pub(super) mean: Vec<f32>,
    /// `h = relu(W1 m + b1)`
    pub(super) middle: Vec<f32>,
    /// `s = sigmoid(W2 h + b2)`
    pub(super) gate: Vec<f32>,
}

impl Norm {
    pub(super) fn zeroed(maps: &Layout) -> Self {
        let zeros = || vec![0.0; maps.channels()];
        Self { statistics: BatchStatistics::zeroed(maps), scale: zeros(), shift: zeros() }
    }

    /// The statistics of what the convolution before gave, from the sums of each group of images, `[group][sum,
    /// squares][channels]`, added up in their order.
    pub(super) fn set_from_sums(&mut self, groups: &[f32]) -> Result<(), Error> {
        let channels = self.scale.len();
        let total =
            |at: usize| groups.chunks_exact(2 * channels).map(|sums| f64::from(sums[at])).sum::<f64>();
        let mut totals: Vec<f32> = (0..2 * channels).map(|at| total(at) as f32).collect();
        let (sum, squares) = totals.split_at_mut(channels);
        self.statistics.set_from_sums(&Sums { sum, squares })
    }

    /// Folds the statistics, which are there, into scale and shift.
    pub(super) fn fold(&mut self, link: &LinkParameters<'_>, eps: f32) -> Result<(), Error> {
        self.statistics.fold([link.gamma, link.beta], eps, [&mut self.scale, &mut self.shift])
    }

    /// `y = act(N(x) + residual)`
    pub(super) fn apply(
        &self,
        run: &mut Run<'_>,
        x: Map<'_>,
        residual: Option<Map<'_>>,
        relu: bool,
        y: MapMut<'_>,
    ) -> Result<(), Error> {
        let epilogue = Epilogue { scale: Some(&self.scale), shift: Some(&self.shift), residual, relu };
        let floats = apply_workspace(&y.1);
        run.with(floats, |cpu, workspace| apply(cpu, x, &epilogue, y, workspace))
    }
}

impl Gate {
    /// For a branch that gives `maps`.
    pub(super) fn zeroed(maps: &Layout, middle: usize) -> Self {
        let zeros = |of: usize| vec![0.0; maps.batch() * of];
        Self { mean: zeros(maps.channels()), middle: zeros(middle), gate: zeros(maps.channels()) }
    }
}

impl Tape {
    /// The batch statistics of every normalisation, the projection's last: what the running values are
    /// updated by, once after each forward pass.
    pub fn statistics(&self) -> impl Iterator<Item = &BatchStatistics> {
        self.norms.iter().map(|norm| &norm.statistics)
    }

    /// Floats of maps that it holds.
    pub fn floats(&self) -> usize {
        self.written.iter().chain([&self.projected]).map(|buffer| buffer.len()).sum()
    }
}

impl Block {
    /// A tape for this block.
    pub fn tape(&self) -> Tape {
        let written = |index| self.written(index);
        Tape {
            written: (0..self.links.len()).map(|index| Buffer::zeroed(written(index))).collect(),
            projected: Buffer::zeroed(self.projected()),
            norms: self.normalised.iter().map(Norm::zeroed).collect(),
            gate: self.squeeze.map_or_else(Gate::default, |middle| Gate::zeroed(&self.y, middle)),
        }
    }

    /// Floats of what convolution `index` gives, where it is kept.
    fn written(&self, index: usize) -> usize {
        if self.writes(index) { self.groups.count * self.links[index].output.len() } else { 0 }
    }

    /// Whether what convolution `index` gives is kept: all but that which gives the block's output.
    pub(super) fn writes(&self, index: usize) -> bool {
        index + 1 < self.links.len() || self.order == Order::PostActivation || self.squeeze.is_some()
    }

    /// Floats of what a projection gives, where it is kept for its normalisation.
    fn projected(&self) -> usize {
        let kept = self.projection.as_ref().filter(|_| self.order == Order::PostActivation);
        kept.map_or(0, |projection| self.groups.count * projection.step.output.len())
    }

    /// Checks that `tape` was made for a block like this.
    pub(super) fn check_tape(&self, tape: &Tape) -> Result<(), Error> {
        let channels = tape.norms.iter().map(|norm| (norm.statistics.count, norm.scale.len()));
        let normalised = |maps: &Layout| (maps.batch() * maps.height() * maps.width(), maps.channels());
        let gated = self.squeeze.map_or(0, |middle| self.y.batch() * middle);
        let same =
            tape.written.iter().map(|z| z.len()).eq((0..self.links.len()).map(|index| self.written(index)))
                && tape.projected.len() == self.projected()
                && channels.eq(self.normalised.iter().map(normalised))
                && tape.gate.middle.len() == gated;
        if same { Ok(()) } else { Err(wrong("the tape is another block's".into())) }
    }
}
