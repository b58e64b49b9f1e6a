//! Context of fused layers: their threads, the plans of their blocks and the memory of their maps.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use residual_kernels::block::{Block, BlockShape, Memory, Tape};
use residual_kernels::{Cpu, Error as KernelError, Layout, Pool, Scratch};

use super::buffers::Buffers;
use super::sound::sound;

/// Batch sizes whose plans are kept: those of training and of evaluation, each with its last batch.
const BATCH_SIZES: usize = 4;

/// Context of the fused layers of a network: threads, plans and memory, which its layers share.
///
/// A network has one of its own, and so has a block that is built alone. Maps carry the context that they were computed
/// in: blocks that hand [`Maps`](crate::Maps) to each other run in the context of the first. A clone is the same
/// context. The threads start with the first layer that computes; results have the same bits for any number of them.
///
/// ```
/// use burn::tensor::Device;
/// use residual_nn::SmallResNetConfig;
/// use residual_nn::fused::FusedContext;
///
/// let mut small = SmallResNetConfig::new(10).init(&Device::flex())?;
/// small.net.set_context(&FusedContext::with_threads(1));
/// assert_eq!(small.net.context().cpu().pool().threads(), 1);
/// # Ok::<(), residual_nn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FusedContext(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Number of threads asked for; none for as many as the tensor framework's operations run on.
    threads: Option<usize>,
    cpu: OnceLock<Cpu>,
    starting: Mutex<()>,
    maps: Buffers,
    /// Scratch memory of each pass that runs at the same time.
    scratch: Mutex<Vec<Scratch>>,
    plans: Mutex<Plans>,
}

impl FusedContext {
    /// A context of `threads` threads, at least one: no more than this machine runs at once, and where the system gives
    /// fewer, as many as it gives. The default has as many as Rayon's pool, on which the tensor framework computes.
    pub fn with_threads(threads: usize) -> Self {
        Self(Arc::new(Shared { threads: Some(threads.max(1)), ..Shared::default() }))
    }

    /// A context on the threads, the instruction set and the choices of `cpu`.
    pub fn with_cpu(cpu: Cpu) -> Self {
        Self(Arc::new(Shared { cpu: OnceLock::from(cpu), ..Shared::default() }))
    }

    /// The threads and the instruction set that compute: an optimiser's steps run on them too.
    ///
    /// # Panics
    /// Where the system gives no thread at all, or `RESIDUAL_ISA` is none of this machine's:
    /// [`ResNet::check_input`](crate::ResNet::check_input) finds that beforehand.
    pub fn cpu(&self) -> &Cpu {
        sound(self.start())
    }

    /// Starts the threads where they are not yet.
    ///
    /// # Errors
    /// Those of [`Cpu::new`].
    pub(crate) fn start(&self) -> Result<&Cpu, KernelError> {
        if let Some(cpu) = self.0.cpu.get() {
            return Ok(cpu);
        }
        let _one = lock(&self.0.starting);
        if let Some(cpu) = self.0.cpu.get() {
            return Ok(cpu);
        }
        let cpu = as_many_as_there_are(self.0.threads.unwrap_or_else(rayon::current_num_threads))?;
        Ok(self.0.cpu.get_or_init(|| cpu))
    }

    /// Memory of the maps.
    pub(super) fn maps(&self) -> &Buffers {
        &self.0.maps
    }

    /// The plan of a block from maps of layout `x` to maps of layout `y`.
    ///
    /// The plans of [`BATCH_SIZES`] batch sizes are kept. The memory that other sizes than this one's have used is
    /// given back: a network holds that of one.
    pub(super) fn plan(&self, shape: &BlockShape, x: Layout, y: Layout, memory: Memory) -> Arc<BlockPlan> {
        let mut plans = lock(&self.0.plans);
        if plans.select(x.batch()) {
            self.0.maps.clear();
        }
        let plans = plans.current();
        let same = |plan: &&Arc<BlockPlan>| {
            (plan.block.x(), plan.block.y(), plan.memory) == (&x, &y, memory) && plan.shape == *shape
        };
        if let Some(plan) = plans.iter().find(same) {
            return plan.clone();
        }
        let block = sound(Block::new(self.cpu(), shape, x, y, memory));
        let plan = Arc::new(BlockPlan { shape: shape.clone(), memory, block, tapes: Mutex::default() });
        plans.push(plan.clone());
        plan
    }

    /// Calls `body` with memory for a pass.
    pub(super) fn with_scratch<T>(&self, body: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = lock(&self.0.scratch).pop().unwrap_or_default();
        let value = body(&mut scratch);
        lock(&self.0.scratch).push(scratch);
        value
    }

    /// Calls `body` with `len` floats.
    pub(super) fn with_workspace<T>(&self, len: usize, body: impl FnOnce(&mut [f32]) -> T) -> T {
        self.with_scratch(|scratch| scratch.with(len, body))
    }
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

/// Plans by batch size, the one in use last.
#[derive(Debug, Default)]
struct Plans(Vec<BatchPlans>);

/// The plans for batches of one size.
#[derive(Debug, Default)]
struct BatchPlans {
    batch: usize,
    plans: Vec<Arc<BlockPlan>>,
}

impl Plans {
    /// Brings the plans for `batch` images into use; whether others were before. The one that was used least recently
    /// goes where there are too many.
    fn select(&mut self, batch: usize) -> bool {
        if self.0.last().is_some_and(|last| last.batch == batch) {
            return false;
        }
        self.0.last().iter().flat_map(|last| &last.plans).for_each(|plan| lock(&plan.tapes).clear());
        let known = self.0.iter().position(|plans| plans.batch == batch);
        let chosen = known.map(|index| self.0.remove(index));
        if self.0.len() == BATCH_SIZES {
            self.0.remove(0);
        }
        self.0.push(chosen.unwrap_or(BatchPlans { batch, plans: Vec::new() }));
        true
    }

    /// The plans in use.
    fn current(&mut self) -> &mut Vec<Arc<BlockPlan>> {
        if self.0.is_empty() {
            self.0.push(BatchPlans::default());
        }
        let last = self.0.len() - 1;
        &mut self.0[last].plans
    }
}

/// A block on maps of one size: blocks that are alike share it.
#[derive(Debug)]
pub(super) struct BlockPlan {
    shape: BlockShape,
    memory: Memory,
    pub(super) block: Block,
    tapes: Mutex<Vec<Tape>>,
}

impl BlockPlan {
    /// A tape for one pass.
    pub(super) fn tape(&self) -> Tape {
        let spare = lock(&self.tapes).pop();
        spare.unwrap_or_else(|| self.block.tape())
    }

    pub(super) fn give_tape(&self, tape: Tape) {
        lock(&self.tapes).push(tape);
    }
}

/// Locks; what a panic left behind such a lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use residual_kernels::block::{Order, Shortcut};

    #[test]
    fn plans_of_other_batch_sizes_stay_up_to_a_bound() {
        let context = FusedContext::with_threads(1);
        let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PostActivation);
        let plan = |batch| {
            let maps = Layout::blocked(batch, 16, 4, 4).unwrap();
            context.plan(&shape, maps, maps, Memory::Keep)
        };
        let first = plan(8);
        first.give_tape(first.tape());
        assert!(Arc::ptr_eq(&plan(8), &first));
        for batch in 1..BATCH_SIZES {
            plan(batch);
            assert!(lock(&first.tapes).is_empty(), "the memory of one batch size at a time");
        }
        assert!(Arc::ptr_eq(&plan(8), &first), "{BATCH_SIZES} batch sizes are kept");
        (1..=BATCH_SIZES).for_each(|batch| drop(plan(batch)));
        assert!(!Arc::ptr_eq(&plan(8), &first), "and no more");
    }

    #[test]
    fn contexts_have_threads_of_their_own() {
        let [one, two] = [1, 2].map(FusedContext::with_threads);
        assert_eq!(one.cpu().pool().threads(), 1);
        assert_eq!(two.cpu().pool().threads(), Pool::helpful_threads(2));
        assert_eq!(one.clone().cpu().pool().threads(), 1);
    }
}
