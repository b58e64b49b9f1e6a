//! What a fine-tuning shows while it computes features.

use std::ops::ControlFlow;

use residual::train::Observer;

use crate::cli::progress::{Bar, note};

/// A bar over the images whose features are computed, on a terminal only.
#[derive(Default)]
pub(super) struct FeatureWatch {
    bar: Option<Bar>,
}

impl Observer for FeatureWatch {
    fn evaluating(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        self.bar.get_or_insert_with(|| Bar::new(total)).set(done);
        if done == total {
            self.bar = None;
        }
        ControlFlow::Continue(())
    }

    fn skipped(&mut self, reason: &str) {
        note(&format!("left out: {reason}"));
    }
}
