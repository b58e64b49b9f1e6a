//! `residual study bottleneck`.

use clap::Args;
use residual::study::{Bottleneck, Study};

use super::shared::Run;
use crate::cli::failure::Outcome;

const EXAMPLE: &str = "\
Example:
  residual study bottleneck --depths 20,56,110";

/// Basic against bottleneck blocks at equal depth and equal operations.
///
/// Parameters, multiply-accumulates and the time of a short run, forward only.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Layers of the basic networks, 6n + 2 each.
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [20, 56, 110])]
    depths: Vec<usize>,
    /// Images in a call.
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch: usize,
    /// Timed calls; the median counts.
    #[arg(long, value_name = "N", default_value_t = 9)]
    runs: usize,
    #[command(flatten)]
    pub(super) run: Run,
}

impl Arguments {
    pub(super) fn study(&self) -> Outcome<Study> {
        let (depths, batch, runs) = (self.depths.clone(), self.batch, self.runs);
        Ok(Study::Bottleneck(Bottleneck { depths, batch, runs }))
    }
}
