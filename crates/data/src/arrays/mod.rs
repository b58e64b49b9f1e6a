//! Images and labels as arrays: IDX files (MNIST, Fashion-MNIST, EMNIST) and arrays of NumPy (`.npz`, folders of
//! `.npy`).
//!
//! [`name`] tells by its name what an array holds, [`idx`] and [`numpy`] find arrays in a listing, [`pairs`] puts
//! images and labels together, [`pixels`] and [`labels`] read them, [`set`] makes classes and splits of them.

mod array;
mod element;
mod fortran;
mod idx;
mod labels;
mod name;
mod numpy;
mod pairs;
mod pixels;
mod set;

pub(crate) use idx::{is_idx_name, list_idx_set};
pub(crate) use set::find_arrays;
