//! Networks on the engine.

use residual::arch::NetSpec;
use residual::engine::{EngineError, Options, Plan, Scratch};
use residual::weights::StateDict;

use super::weights::Loaded;

/// Plans that are kept: images of a folder without a common size tend to have one of a few.
const KEPT: usize = 4;

/// A network for images of any size that it takes.
pub(crate) struct Network {
    spec: NetSpec,
    tensors: StateDict,
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
    pub(crate) fn new(loaded: Loaded, threads: usize, max_batch: usize) -> Self {
        let Loaded { spec, tensors, .. } = loaded;
        let options = Options { threads, max_batch, ..Options::default() };
        Self { spec, tensors, options, compiled: Vec::new() }
    }

    /// What it is.
    pub(crate) fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// The plan for images of `[height, width]`, compiled where there is none yet.
    pub(crate) fn of_size(&mut self, size: [usize; 2]) -> Result<&mut Compiled, EngineError> {
        let known = self.compiled.iter().position(|compiled| compiled.size == size);
        let compiled = match known {
            Some(index) => self.compiled.remove(index),
            None => {
                let options = Options { size: Some(size), ..self.options.clone() };
                let plan = Plan::compile(&self.spec, &self.tensors, &options)?;
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
