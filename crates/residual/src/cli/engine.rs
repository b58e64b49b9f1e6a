//! Networks on the engine.

use std::path::PathBuf;

use clap::Args;
use residual::arch::NetSpec;
use residual::engine::{Error as EngineError, Options, Plan, Scratch};
use residual::weights::Model;
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::threads;
use super::weights;

/// Which network computes, and on what: the flags of every command that asks one about images.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// A trained .safetensors, the folder of a run (its best), or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE|RUN")]
    pub(crate) weights: PathBuf,
    /// The network of bare weights: a family member or a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
}

impl NetworkArguments {
    pub(crate) fn open(&self) -> Outcome<Model> {
        weights::open(&self.weights, self.model.as_deref())
    }

    pub(crate) fn threads(&self) -> usize {
        threads::count(self.threads)
    }
}

/// Plans that are kept: images of a folder without a common size tend to have one of a few.
const KEPT: usize = 4;

/// A network for images of any size that it takes.
pub(crate) struct Network {
    model: Model,
    options: Options,
    /// The last used at the end.
    compiled: Vec<Compiled>,
}

/// A plan for one size, and its memory.
pub(crate) struct Compiled {
    size: [usize; 2],
    pub(crate) plan: Plan,
    pub(crate) scratch: Scratch,
}

impl Network {
    /// A network that computes on `threads` threads, up to `max_batch` images at a time.
    pub(crate) fn new(model: Model, threads: usize, max_batch: usize) -> Self {
        let options = Options { threads, max_batch, ..Options::default() };
        Self { model, options, compiled: Vec::new() }
    }

    /// What it is.
    pub(crate) fn spec(&self) -> &NetSpec {
        self.model.spec()
    }

    /// A refusal to compile it: what is wrong with the weights is said of their file.
    pub(crate) fn refused(&self, error: EngineError) -> Failure {
        match error {
            EngineError::Weights(_) => {
                Failure::from(error).within(escaped(self.model.file().unwrap_or("weights".as_ref())))
            }
            error => error.into(),
        }
    }

    /// The plan for images of `[height, width]`, compiled where there is none yet.
    pub(crate) fn of_size(&mut self, size: [usize; 2]) -> Result<&mut Compiled, EngineError> {
        let known = self.compiled.iter().position(|compiled| compiled.size == size);
        let compiled = match known {
            Some(index) => self.compiled.remove(index),
            None => {
                let options = Options { size: Some(size), ..self.options.clone() };
                let plan = Plan::compile(&self.model, &options)?;
                let scratch = plan.scratch();
                Compiled { size, plan, scratch }
            }
        };
        if self.compiled.len() == KEPT {
            self.compiled.remove(0);
        }
        self.compiled.push(compiled);
        let last = self.compiled.len() - 1;
        Ok(&mut self.compiled[last])
    }
}
