//! Feature maps in memory: a slice with its layout.

use crate::{Error, Layout};

/// Feature maps to read: their values, and the layout of them.
#[derive(Clone, Copy, Debug)]
pub struct MapsRef<'a> {
    /// Values, [`Layout::len`] of them.
    pub values: &'a [f32],
    /// Layout of the values.
    pub layout: Layout,
}

/// Feature maps to write: their values, and the layout of them.
#[derive(Debug)]
pub struct MapsMut<'a> {
    /// Values, [`Layout::len`] of them.
    pub values: &'a mut [f32],
    /// Layout of the values.
    pub layout: Layout,
}

impl<'a> MapsRef<'a> {
    /// Maps of `layout`. Whether `values` has that length is checked by the kernel that reads them.
    pub fn new(values: &'a [f32], layout: Layout) -> Self {
        Self { values, layout }
    }

    /// # Errors
    /// [`Error::Length`], naming the maps `what`, where there are fewer values or more than the layout has.
    pub(crate) fn check(&self, what: &'static str) -> Result<(), Error> {
        self.layout.check(what, self.values.len())
    }
}

impl<'a> MapsMut<'a> {
    /// Maps of `layout`. Whether `values` has that length is checked by the kernel that writes them.
    pub fn new(values: &'a mut [f32], layout: Layout) -> Self {
        Self { values, layout }
    }
}
