//! Options of opening data.

use std::path::PathBuf;

use residual_arch::TaskKind;

use crate::{Columns, HELD_OUT};

/// Options of opening data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Seed by which images of a single folder are held out; a matter of the data, not of a run's seed.
    pub split_seed: u64,
    /// Share of each class of a single folder that is held out for validation, 0 to below 1.
    pub holdout: f64,
    /// Limit on the bytes that opening the data may take: names and, of what is compressed as a whole, the images.
    pub memory_limit: u64,
    /// Leniency towards files and folders that cannot be read, such as a FIFO called `1.jpg`, and samples of shards
    /// without an image or a label: left out and [noted](crate::Dataset::notes), instead of being an error.
    pub skip_bad: bool,
    /// Columns of a list or a table of images, and of shards the endings of members or the field of JSON; names of arrays;
    /// of CIFAR-100 the label `fine` or `coarse`. Of no matter to other data.
    pub columns: Columns,
    /// Task that the images are labelled for. Default: single label.
    pub task: TaskKind,
    /// Folder that the paths of a list or a table count from. Default: its own.
    pub root: Option<PathBuf>,
}

impl OpenOptions {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::OpenOptions;
    /// let options = OpenOptions::default().with(|options| options.holdout = 0.2);
    /// assert_eq!((options.holdout, options.split_seed), (0.2, 0));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Default for OpenOptions {
    /// Seed 0, [`HELD_OUT`] of each class, 4 GiB, nothing left out.
    fn default() -> Self {
        Self {
            split_seed: 0,
            holdout: HELD_OUT,
            memory_limit: 4 << 30,
            skip_bad: false,
            columns: Columns::default(),
            task: TaskKind::SingleLabel,
            root: None,
        }
    }
}
