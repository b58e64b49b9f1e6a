//! What a pass runs on.

use std::ops::Deref;

use crate::{Buffer, Cpu, Layout, Scratch};

/// Maps and how they lie.
pub(super) type Map<'a> = (&'a [f32], Layout);
/// The same to be written.
pub(super) type MapMut<'a> = (&'a mut [f32], Layout);

/// What a pass runs on.
pub(super) struct Run<'a> {
    pub(super) cpu: &'a Cpu,
    pub(super) scratch: &'a mut Scratch,
}

impl Run<'_> {
    /// Calls `body` with `floats` of workspace.
    pub(super) fn with<T>(&mut self, floats: usize, body: impl FnOnce(&Cpu, &mut [f32]) -> T) -> T {
        let mut workspace = self.scratch.take(floats);
        let value = body(self.cpu, &mut workspace);
        self.scratch.give(workspace);
        value
    }
}

/// Maps that are somebody else's, or that this pass has computed.
pub(super) enum Held<'a> {
    Lent(&'a [f32]),
    Own(Buffer),
}

impl Deref for Held<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Lent(values) => values,
            Self::Own(buffer) => buffer,
        }
    }
}

impl Held<'_> {
    /// Nobody reads it any more.
    pub(super) fn release(self, scratch: &mut Scratch) {
        if let Self::Own(buffer) = self {
            scratch.give(buffer);
        }
    }
}
