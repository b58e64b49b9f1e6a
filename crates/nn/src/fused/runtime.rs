//! What all fused layers of a process share: threads, plans, memory.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use residual_kernels::block::{Block, BlockShape, Policy, Tape};
use residual_kernels::{Cpu, Error as KernelError, Layout, Pool, Scratch};

use super::buffers::Buffers;
use super::sound;

static RUNTIME: RwLock<Option<Arc<Runtime>>> = RwLock::new(None);

/// Lets so many threads compute the fused layers of this process, at least one, from the next operation on: no more
/// than this machine runs at once, and where the system gives fewer, as many as it gives. Without it there is one for
/// every core. The results have the same bits for any number.
pub fn set_threads(threads: usize) {
    // An instruction set that is asked for and not there is found by whoever computes.
    if let Ok(cpu) = as_many_as_there_are(threads) {
        set_cpu(cpu);
    }
}

/// [`set_threads`], as an error where it cannot be had.
///
/// # Errors
/// Those of [`Cpu::new`]: the system refuses a thread, or `RESIDUAL_ISA` is none of this machine's.
pub fn try_set_threads(threads: usize) -> Result<(), KernelError> {
    set_cpu(Cpu::new(threads.max(1))?);
    Ok(())
}

/// Half of the threads, and so on, until the system gives them.
fn as_many_as_there_are(threads: usize) -> Result<Cpu, KernelError> {
    let mut threads = Pool::helpful_threads(threads).max(1);
    loop {
        match Cpu::new(threads) {
            Err(KernelError::Spawn { .. }) if threads > 1 => threads /= 2,
            cpu => return cpu,
        }
    }
}

/// Whether there is something to compute the fused layers on.
///
/// # Errors
/// Those of [`Cpu::new`].
pub(crate) fn ready() -> Result<(), KernelError> {
    started().map(|_| ())
}

/// The same for the threads, the instruction set and the choices of `cpu`.
pub fn set_cpu(cpu: Cpu) {
    let runtime = Arc::new(Runtime::new(cpu));
    *RUNTIME.write().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
}

/// Calls `body` with the threads that compute the fused layers: an optimiser's steps run on them too.
pub fn with_cpu<T>(body: impl FnOnce(&Cpu) -> T) -> T {
    body(&runtime().cpu)
}

/// The process's.
pub(super) fn runtime() -> Arc<Runtime> {
    sound(started())
}

/// The process's, started where it is not yet.
fn started() -> Result<Arc<Runtime>, KernelError> {
    if let Some(runtime) = &*RUNTIME.read().unwrap_or_else(PoisonError::into_inner) {
        return Ok(runtime.clone());
    }
    let mut slot = RUNTIME.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*slot {
        return Ok(runtime.clone());
    }
    let runtime = Arc::new(Runtime::new(as_many_as_there_are(usize::MAX)?));
    Ok(slot.insert(runtime).clone())
}

/// Threads, plans and memory.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) cpu: Cpu,
    pub(super) maps: Buffers,
    /// One for each pass that runs at the same time.
    scratch: Mutex<Vec<Scratch>>,
    plans: Mutex<Plans>,
}

/// The plans for batches of one size.
#[derive(Debug, Default)]
struct Plans {
    batch: usize,
    plans: Vec<Arc<Plan>>,
}

/// A block on maps of one size: blocks that are alike share it.
#[derive(Debug)]
pub(super) struct Plan {
    shape: BlockShape,
    policy: Policy,
    pub(super) block: Block,
    tapes: Mutex<Vec<Tape>>,
}

impl Runtime {
    fn new(cpu: Cpu) -> Self {
        Self { cpu, maps: Buffers::default(), scratch: Mutex::default(), plans: Mutex::default() }
    }

    /// The plan of a block from maps that lie as `x` says to maps that lie as `y` says.
    ///
    /// With another batch size than the last plan's, the memory of the earlier one is given back.
    pub(super) fn plan(&self, shape: &BlockShape, x: Layout, y: Layout, policy: Policy) -> Arc<Plan> {
        let mut known = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if known.batch != x.batch() {
            self.maps.clear();
            *known = Plans { batch: x.batch(), plans: Vec::new() };
        }
        let same = |plan: &&Arc<Plan>| {
            (plan.block.x(), plan.block.y(), plan.policy) == (&x, &y, policy) && plan.shape == *shape
        };
        if let Some(plan) = known.plans.iter().find(same) {
            return plan.clone();
        }
        let block = sound(Block::new(&self.cpu, shape, x, y, policy));
        let plan = Arc::new(Plan { shape: shape.clone(), policy, block, tapes: Mutex::default() });
        known.plans.push(plan.clone());
        plan
    }

    /// Calls `body` with memory for a pass.
    pub(super) fn with_scratch<T>(&self, body: impl FnOnce(&mut Scratch) -> T) -> T {
        let spare = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = spare().pop().unwrap_or_default();
        let value = body(&mut scratch);
        spare().push(scratch);
        value
    }

    /// Calls `body` with `len` floats.
    pub(super) fn with_workspace<T>(&self, len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
        self.with_scratch(|scratch| scratch.with(len, body))
    }
}

impl Plan {
    /// A tape for one pass.
    pub(super) fn tape(&self) -> Tape {
        let spare = self.tapes.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| self.block.tape())
    }

    pub(super) fn give_tape(&self, tape: Tape) {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner).push(tape);
    }
}
