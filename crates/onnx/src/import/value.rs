//! What a name of a graph stands for while it is followed.

use std::rc::Rc;

use super::array::Array;

/// Value that a name of a graph stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A constant.
    Constant(Rc<Array>),
    /// Whole numbers that describe shapes.
    Numbers(Numbers),
    /// A map, or features by channel.
    Map(View),
    /// Value of a node that is not understood, and has been reported.
    Unknown,
}

/// Whole numbers that describe shapes, `None` for the number of images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    pub(super) values: Vec<Option<i64>>,
    /// Extents, at most two.
    pub(super) shape: Vec<usize>,
}

/// A map of the normal form, and the axes by which the graph has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Number of the map.
    pub(super) map: usize,
    pub(super) axes: Axes,
}

/// Axes of a map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Axes {
    /// `[batch, channels, height, width]`
    First,
    /// `[batch, height, width, channels]`
    Last,
    /// `[batch, groups, elements of a group]`
    Grouped(usize),
    /// Features: so many axes, the first of the batch, one of the channels, the others of one element.
    Features { rank: usize, channel: usize },
}

impl Axes {
    /// Number of axes, and which is that of the channels; `None` where they are grouped.
    pub(super) fn layout(self) -> Option<(usize, usize)> {
        match self {
            Self::First => Some((4, 1)),
            Self::Last => Some((4, 3)),
            Self::Features { rank, channel } => Some((rank, channel)),
            Self::Grouped(_) => None,
        }
    }
}

impl Numbers {
    /// A vector of known numbers.
    pub(super) fn known(values: impl IntoIterator<Item = i64>) -> Self {
        Self::vector(values.into_iter().map(Some).collect())
    }

    /// A vector.
    pub(super) fn vector(values: Vec<Option<i64>>) -> Self {
        Self { shape: vec![values.len()], values }
    }

    /// A number that stands alone.
    pub(super) fn scalar(value: Option<i64>) -> Self {
        Self { values: vec![value], shape: Vec::new() }
    }

    pub(super) fn is_scalar(&self) -> bool {
        self.shape.is_empty()
    }
}
