//! Parts of images.

use crate::Orientation;

/// Part of an image: the window of `size`, `[height, width]`, whose upper left corner is at `corner`, `[top, left]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// `[top, left]`
    pub corner: [usize; 2],
    /// `[height, width]`
    pub size: [usize; 2],
}

/// Choice of the part of an image that is needed, by the image's size `[height, width]` as it is stored and the
/// orientation that it records; `None` for all of it.
pub type ChoosePart<'a> = dyn Fn([usize; 2], Orientation) -> Option<Part> + 'a;

impl Part {
    /// True where the part lies in an image of `[height, width]` and has a pixel.
    pub(crate) fn is_in(&self, [height, width]: [usize; 2]) -> bool {
        let fits = |corner: usize, size: usize, all: usize| {
            size > 0 && corner.checked_add(size).is_some_and(|end| end <= all)
        };
        fits(self.corner[0], self.size[0], height) && fits(self.corner[1], self.size[1], width)
    }
}
