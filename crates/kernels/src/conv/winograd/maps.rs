//! The transformed maps of the gradient with respect to the weights.

use std::ops::Range;

use super::tiles::Transformed;
use crate::conv::backward::{Operand, Outer, Place, Rows};
use crate::simd::BLOCK;

/// The transformed maps of a group of tiles.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) inputs: &'a [f32],
    pub(super) gradients: &'a [f32],
    pub(super) from: Transformed,
    pub(super) to: Transformed,
    pub(super) tiles: usize,
}

impl<'a> Maps<'a> {
    #[inline(always)]
    pub(super) fn input(&self, position: usize, block: usize) -> Operand<'a> {
        let at = position * self.from.position + block * self.from.block();
        Operand { values: self.inputs, at, line: 0, step: BLOCK }
    }

    #[inline(always)]
    pub(super) fn gradient(&self, position: usize, block: usize) -> Operand<'a> {
        let at = position * self.to.position + block * self.to.block();
        Operand { values: self.gradients, at, line: 0, step: BLOCK }
    }

    /// The products at position `position` of an output block and a panel.
    #[inline(always)]
    pub(super) fn outer(
        &self,
        position: usize,
        out: usize,
        panel: &Range<usize>,
        to: Place<'a>,
    ) -> Outer<'a> {
        Outer {
            left: self.gradient(position, out),
            rows: Rows::Block(BLOCK),
            right: self.input(position, panel.start),
            right_block: self.from.block(),
            blocks: panel.len(),
            lines: 1,
            pixels: self.tiles,
            from: None,
            to,
            ahead: [None; 2],
        }
    }
}
