//! Flags that every study has.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::nn::fused::Memory;
use residual::train::{Recipe, Schedule};

use crate::cli::failure::Outcome;
use crate::cli::threads;
use crate::cli::{compute, recipes};

/// Output and computation of a study.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The study's folder; where it holds this study, what is missing is added. [default: studies/NAME-N]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Do the study of this folder again; other flags than --out are ignored.
    #[arg(long, value_name = "DIR")]
    pub(super) repeat: Option<PathBuf>,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    pub(super) threads: Option<usize>,
    /// Print the lines of results.jsonl, one JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
}

/// Data and training.
#[derive(Debug, Args)]
pub(super) struct Training {
    /// `sample` (the embedded images), or a folder or archive of images.
    #[arg(long, value_name = "sample|PATH", default_value = "sample")]
    data: PathBuf,
    /// Images in a step. [default: 128]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Learning rate: the greatest of the schedule. [default: 0.1]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Schedule of the learning rate: constant, cosine, polynomial, step or one-cycle. [default: one-cycle]
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// A recipe for all else, by its name or as a file; flags take precedence over it.
    #[arg(long, value_name = "NAME|FILE.toml")]
    recipe: Option<PathBuf>,
    /// `low` computes what is inside a block again in the backward pass. Does not change the result.
    #[arg(long, value_parser = compute::memory(), default_value = "keep")]
    memory: Memory,
}

/// Absolute path of the data, so that a study can be repeated from any folder.
pub(super) fn place(data: &Path) -> Outcome<PathBuf> {
    match data.to_str() {
        Some("sample") => Ok(data.to_owned()),
        _ => Ok(std::path::absolute(data)?),
    }
}

/// Images in a step and learning rate of He et al. 2015, section 4.2.
const BATCH: usize = 128;
const RATE: f64 = 0.1;

impl Training {
    /// The recipe, without a network.
    pub(super) fn recipe(&self) -> Outcome<Recipe> {
        let mut recipe = match &self.recipe {
            Some(given) => recipes::given(given)?,
            None => {
                Recipe::default().with(|recipe| (recipe.batch_size, recipe.lr) = (Some(BATCH), Some(RATE)))
            }
        };
        (recipe.model, recipe.network) = (None, None);
        recipe.data.path = place(&self.data)?;
        recipe.batch_size = self.batch_size.or(recipe.batch_size);
        recipe.lr = self.lr.or(recipe.lr);
        recipe.low_memory = self.memory == Memory::Low;
        if let Some(name) = &self.schedule {
            recipe.schedule = name.parse::<Schedule>()?;
        }
        Ok(recipe)
    }
}
