//! Resizing, to the bit as Pillow's `Image.resize` does it (and so as torchvision and timm resize a PIL image): a filter
//! as wide as the scale, weights in fixed point of 22 bits, one pass along rows and one along columns, rounded to `u8`
//! after each.
//!
//! The order of the passes is that of Pillow 13: along columns first where the height loses more than twice as many pixels
//! as the width. Earlier versions always go along rows first; the two orders differ by one grey level at most.
//!
//! Images deeper than 8 bits are resized in floats, as Pillow resizes mode `F` ([`deep`]).

mod apply;
mod deep;
mod filter;
mod nearest;
mod passes;
mod taps;

pub(crate) use apply::{Target, resize, resize_part};
