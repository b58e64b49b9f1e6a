//! Options of compiling a plan.

use std::path::PathBuf;

use residual_arch::LayerPath;
use residual_kernels::Isa;

/// Options of compiling a plan. The default is one image at a time on all threads of the machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Threads that work on one call of [`Plan::run`](crate::Plan::run); `None` for as many as the machine runs at
    /// once, which is also the most: others would only be waited for. The logits are the same for any number.
    pub threads: Option<usize>,
    /// Instruction set; `None` for the fastest there is. With one of one's own, for tests and measurements, there are
    /// exactly [`threads`](Self::threads), however many that is.
    pub isa: Option<Isa>,
    /// Largest batch of one call, from 1 to 65536. Algorithms are chosen for the largest part of a batch that runs
    /// at once, so a plan for single images and a plan for batches may differ.
    pub max_batch: usize,
    /// Size of the images, `[height, width]` in pixels; `None` for the specification's.
    pub size: Option<[usize; 2]>,
    /// Last layer, whose maps [`Plan::last`](crate::Plan::last) gives: what is behind it is not compiled, and nothing
    /// is folded into it. `None` for a plan that gives logits.
    pub until: Option<LayerPath>,
    /// Tuning: measure the candidates of each convolution on this machine, instead of estimating them.
    pub tune: Option<Tune>,
    /// Integer arithmetic for a network in 8 bits, wherever that is the faster; without it all convolutions compute in
    /// float32 with the values that the integers stand for, and maps are rounded to those of their bytes: a reference for
    /// the integers, which differs by the roundings of float32.
    pub integers: bool,
    /// Permission to compute with weights, and to give logits, that are not finite: for networks in training and in
    /// experiments, which may have diverged. Otherwise both are errors.
    pub allow_not_finite: bool,
}

impl Options {
    /// Changes fields.
    ///
    /// ```
    /// use residual_engine::Options;
    /// let options = Options::default().with(|options| options.max_batch = 16);
    /// assert_eq!(options.max_batch, 16);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: None,
            isa: None,
            max_batch: 1,
            size: None,
            until: None,
            tune: None,
            integers: true,
            allow_not_finite: false,
        }
    }
}

/// Choosing algorithms by measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tune {
    /// File that keeps what was measured, by processor, instruction set, threads and shape: what it holds
    /// is not measured again. `None` keeps nothing.
    pub cache: Option<PathBuf>,
}

impl Tune {
    /// Changes fields.
    ///
    /// ```
    /// use residual_engine::Tune;
    /// let tune = Tune::default().with(|tune| tune.cache = Some("tuned.json".into()));
    /// assert!(tune.cache.is_some());
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}
