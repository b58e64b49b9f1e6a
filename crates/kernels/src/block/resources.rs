//! Processor and memory that a pass runs on, and the maps that it hands from step to step.

use std::ops::Deref;

use crate::{Buffer, Cpu, Scratch};

/// Processor and scratch memory that a block runs on.
#[derive(Debug)]
pub struct Resources<'a> {
    /// Instruction set and threads.
    pub cpu: &'a Cpu,
    /// Memory of the passes, kept from one to the next.
    pub scratch: &'a mut Scratch,
}

impl Resources<'_> {
    /// Calls `body` with `floats` of workspace.
    pub(super) fn with<T>(&mut self, floats: usize, body: impl FnOnce(&Cpu, &mut [f32]) -> T) -> T {
        let mut workspace = self.scratch.take(floats);
        let value = body(self.cpu, &mut workspace);
        self.scratch.give(workspace);
        value
    }
}

/// Values that a step reads: somebody else's, or in scratch memory that the step before has filled.
pub(super) enum Operand<'a> {
    Borrowed(&'a [f32]),
    Owned(Buffer),
}

impl Deref for Operand<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Borrowed(values) => values,
            Self::Owned(buffer) => buffer,
        }
    }
}

impl Operand<'_> {
    /// Gives scratch memory back: nobody reads the values any more.
    pub(super) fn release(self, scratch: &mut Scratch) {
        if let Self::Owned(buffer) = self {
            scratch.give(buffer);
        }
    }
}
