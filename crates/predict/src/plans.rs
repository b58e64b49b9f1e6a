//! Plans of a model, compiled as they are asked for and shared by all callers.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use residual_arch::LayerPath;
use residual_engine::{Error as EngineError, Options as PlanOptions, Plan, Scratch};
use residual_kernels::Pool;
use residual_weights::Model;

use crate::Error;

/// Plans that are kept: images of a folder without a common size tend to have one of a few.
const KEPT: usize = 4;

/// The images that a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// `[height, width]`
    pub(crate) size: [usize; 2],
    /// The most at a time.
    pub(crate) batch: usize,
    /// The last layer; `None` for the logits.
    pub(crate) until: Option<LayerPath>,
}

/// The plans, the last used at the end.
#[derive(Debug)]
pub(crate) struct Plans {
    threads: usize,
    slots: Mutex<Vec<Arc<Slot>>>,
}

/// The place of a plan. Its lock is held while it is compiled, so that nobody compiles it twice.
#[derive(Debug)]
struct Slot {
    served: Served,
    compiled: Mutex<Option<Arc<Compiled>>>,
}

/// A plan, and memory of callers that are through, for the next.
#[derive(Debug)]
struct Compiled {
    plan: Plan,
    idle: Mutex<Vec<Scratch>>,
}

impl Plans {
    pub(crate) fn new(threads: Option<usize>) -> Self {
        let threads = Pool::helpful_threads(threads.unwrap_or(usize::MAX));
        Self { threads, slots: Mutex::default() }
    }

    /// Number of threads that work on one answer.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `body` with the plan for such images, compiled where there is none yet, and with memory for one caller.
    pub(crate) fn with<R>(
        &self,
        model: &Model,
        served: Served,
        body: impl FnOnce(&Plan, &mut Scratch) -> Result<R, EngineError>,
    ) -> Result<R, Error> {
        let compiled = self.compiled(model, served)?;
        let idle = lock(&compiled.idle).pop();
        let mut scratch = idle.unwrap_or_else(|| compiled.plan.scratch());
        let result = body(&compiled.plan, &mut scratch);
        lock(&compiled.idle).push(scratch);
        Ok(result?)
    }

    /// Compiles the plan for such images, where there is none yet.
    pub(crate) fn prepare(&self, model: &Model, served: Served) -> Result<(), Error> {
        self.compiled(model, served).map(drop)
    }

    fn compiled(&self, model: &Model, served: Served) -> Result<Arc<Compiled>, Error> {
        let slot = self.slot(served);
        let mut compiled = lock(&slot.compiled);
        if let Some(compiled) = &*compiled {
            return Ok(compiled.clone());
        }
        let Served { size, batch, until } = served;
        let options = PlanOptions::default().with(|options| {
            options.threads = Some(self.threads);
            options.max_batch = batch;
            options.size = Some(size);
            options.until = until;
        });
        let plan = Plan::compile(model, &options).map_err(|error| match error {
            // What is wrong with the weights is said of their file.
            EngineError::Weights(error) => {
                Error::Model(error.in_file(model.file().unwrap_or(Path::new("the weights"))))
            }
            other => other.into(),
        })?;
        Ok(compiled.insert(Arc::new(Compiled { plan, idle: Mutex::default() })).clone())
    }

    fn slot(&self, served: Served) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let slot = match slots.iter().position(|slot| slot.served == served) {
            Some(known) => slots.remove(known),
            None => Arc::new(Slot { served, compiled: Mutex::default() }),
        };
        if slots.len() == KEPT {
            slots.remove(0);
        }
        slots.push(slot.clone());
        slot
    }
}

/// Nothing that is kept under these locks is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
