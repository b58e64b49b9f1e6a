//! Tape of a block: the maps and statistics that its backward pass reads.

use super::norm::Norm;
use super::plan::Block;
use super::shape::{Order, wrong};
use crate::norm::BatchStatistics;
use crate::{Buffer, Error, Layout};

/// Maps and statistics that a forward pass leaves for the backward pass.
#[derive(Clone, Debug)]
pub struct Tape {
    /// Output of each convolution of the branch; empty where that is the block's.
    pub(super) written: Vec<Buffer>,
    /// Output of the projection; empty where that is not normalised.
    pub(super) projected: Buffer,
    /// Normalisations in the order of the branch, the projection's last.
    pub(super) norms: Vec<Norm>,
    /// Factor of the branch.
    pub(super) gate: Gate,
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

impl Gate {
    /// Gate of a branch that gives `maps`, with `middle` channels between the two layers.
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

    /// Floats of the output of convolution `index`, where it is kept.
    fn written(&self, index: usize) -> usize {
        if self.writes(index) { self.groups.count * self.links[index].layouts.output.len() } else { 0 }
    }

    /// Floats of the output of a projection, where it is kept for its normalisation.
    fn projected(&self) -> usize {
        let kept = self.projection.as_ref().filter(|_| self.order == Order::PostActivation);
        kept.map_or(0, |projection| self.groups.count * projection.layer.layouts.output.len())
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
