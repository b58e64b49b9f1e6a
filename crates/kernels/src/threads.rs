//! A small pool of threads for loops whose iterations are independent.
//!
//! The calling thread takes part. Workers look for the next loop for a short while, then sleep: the
//! layers of a network follow each other within microseconds, a network may not run for hours.
//! A thread begins with its own share of the iterations, the same part of the range in every loop: what
//! it wrote in one layer it reads in the next, while that is still in its cache. Iterations are claimed
//! one at a time, and a thread that is through with its share goes on with the others', so a slow thread
//! does not hold up the rest; a worker that has not woken by the time all are claimed is not waited for.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Error;

/// Time that an idle worker looks for work before it sleeps: longer than the gaps between the layers of
/// a network, shorter than what a user would notice in the processor's load.
const SPIN: Duration = Duration::from_micros(100);

/// Looks between two readings of the clock.
const LOOKS: usize = 64;

/// Bit of [`Shared::state`]: the loop may be joined.
const OPEN: u64 = 1 << 31;
/// Bits of [`Shared::state`]: the mask of the count of workers inside the loop.
const INSIDE: u64 = OPEN - 1;
/// Step of [`Shared::state`]: one loop later.
const EPOCH: u64 = 1 << 32;

thread_local! {
    /// True inside [`alone`].
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `body`, whose loops run on the calling thread alone, whatever [`Pool`] they are given. For a program with a
/// batch for every thread: threads that never wait for one another compute more together than one batch on all of them.
/// Results have the same bits.
///
/// ```
/// let pool = residual_kernels::Pool::new(2)?;
/// let caller = std::thread::current().id();
/// residual_kernels::alone(|| {
///     pool.for_each(10, |_, _| assert_eq!(std::thread::current().id(), caller));
/// });
/// # Ok::<(), residual_kernels::Error>(())
/// ```
pub fn alone<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    body()
}

/// A pool of threads.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let pool = residual_kernels::Pool::new(2)?;
/// let sum = AtomicUsize::new(0);
/// pool.for_each(10, |index, _worker| {
///     sum.fetch_add(index, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 45);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    busy: AtomicBool,
}

/// State that the caller and the workers share.
struct Shared {
    /// The loop's number (from bit 32), [`OPEN`], and how many workers are inside.
    state: AtomicU64,
    job: UnsafeCell<Job>,
    /// Iterations of each thread's share that are claimed.
    claimed: Box<[Claimed]>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    closing: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

/// A count with a cache line (and the one that is fetched beside it) of its own.
#[repr(align(128))]
#[derive(Default)]
struct Claimed(AtomicUsize);

/// A loop with the type of its body erased.
#[derive(Clone, Copy)]
struct Job {
    count: usize,
    body: *const (),
    /// Calls the body with an iteration and a worker.
    call: unsafe fn(*const (), usize, usize),
}

// SAFETY: `job` is written only by the thread that holds `Pool::busy` while the loop is closed and no
// worker is inside, and read only by that thread and by workers inside; `state` orders the two. The
// body behind the pointer is `Sync`, and outlives the loop: `for_each` does not return before the last
// worker is out.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointers are used only inside a loop.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Pool {
    /// Threads of the largest pool.
    pub const MOST_THREADS: usize = 1024;

    /// Threads that this machine runs at once: the number to compute with where nobody asks for another.
    pub fn machine_threads() -> usize {
        std::thread::available_parallelism().map_or(1, NonZero::get)
    }

    /// Threads of `threads` that help: as many as this machine runs at once, at most. More would wait for each other
    /// in every loop: on two cores, 1,000 threads compute a network a hundred times more slowly than two. Results
    /// have the same bits for any number.
    pub fn helpful_threads(threads: usize) -> usize {
        threads.min(Self::machine_threads())
    }

    /// A pool of `threads`, the calling thread included.
    ///
    /// # Errors
    /// [`Error::NoThreads`] for zero, [`Error::ManyThreads`] for more than [`Pool::MOST_THREADS`],
    /// [`Error::Spawn`] where the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, Error> {
        match threads {
            0 => return Err(Error::NoThreads),
            1..=Self::MOST_THREADS => {}
            _ => return Err(Error::ManyThreads { threads }),
        }
        let mut pool = Self {
            shared: Arc::new(Shared::new(threads)),
            workers: Vec::new(),
            busy: AtomicBool::new(false),
        };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let builder = std::thread::Builder::new().name(format!("residual-{index}"));
            // Dropping the pool on an error ends the workers that have started.
            let worker = builder
                .spawn(move || shared.work(index))
                .map_err(|error| Error::Spawn { index, reason: error.to_string() })?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `body(index, worker)` once for each `index` below `count`, in any order and on any thread.
    ///
    /// `worker` is below [`Pool::threads`], and no two calls of one loop that run at the same time have
    /// the same: it may choose a piece of scratch memory. A loop inside a loop, or while another thread
    /// uses the pool, or in [`alone`], runs on the calling thread alone. A panic in `body` ends the loop early
    /// and goes on in the caller.
    pub fn for_each<F: Fn(usize, usize) + Sync>(&self, count: usize, body: F) {
        let alone = self.workers.is_empty() || count <= 1 || ALONE.get();
        if alone || self.busy.swap(true, Ordering::Acquire) {
            return (0..count).for_each(|index| body(index, 0));
        }
        self.shared.run(count, &body);
        self.busy.store(false, Ordering::Release);
        let panic = lock(&self.shared.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of the bodies, so it has none of its own to report.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn new(threads: usize) -> Self {
        unsafe fn nothing(_: *const (), _: usize, _: usize) {}
        Self {
            state: AtomicU64::new(0),
            job: UnsafeCell::new(Job { count: 0, body: std::ptr::null(), call: nothing }),
            claimed: (0..threads).map(|_| Claimed::default()).collect(),
            panic: Mutex::new(None),
            closing: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// The caller's side of a loop. Only the holder of [`Pool::busy`] may call it.
    fn run<F: Fn(usize, usize) + Sync>(&self, count: usize, body: &F) {
        unsafe fn call<F: Fn(usize, usize)>(body: *const (), index: usize, worker: usize) {
            // SAFETY: the pointer was made from a `&F` that `run` keeps alive until all are out.
            unsafe { (*body.cast::<F>())(index, worker) }
        }
        let job = Job { count, body: std::ptr::from_ref(body).cast(), call: call::<F> };
        // SAFETY: the loop is closed and no worker is inside, so nobody reads.
        unsafe { *self.job.get() = job };
        self.set_claimed(0);
        let epoch = (self.state.load(Ordering::Relaxed) / EPOCH).wrapping_add(1);
        self.state.store(epoch.wrapping_mul(EPOCH) | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
        self.take_part(job, 0);
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0_u32;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            looks = looks.saturating_add(1);
            if looks < 10_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// Sets the count of every share.
    fn set_claimed(&self, claimed: usize) {
        self.claimed.iter().for_each(|share| share.0.store(claimed, Ordering::Relaxed));
    }

    /// Claims and runs iterations until none is left: first those of its own share, then the others'.
    fn take_part(&self, job: Job, worker: usize) {
        let threads = self.claimed.len();
        let first = |share: usize| (share as u128 * job.count as u128 / threads as u128) as usize;
        let all = || {
            for share in (worker..threads).chain(0..worker) {
                let (start, end) = (first(share), first(share + 1));
                loop {
                    let index = self.claimed[share].0.fetch_add(1, Ordering::Relaxed).saturating_add(start);
                    if index >= end {
                        break;
                    }
                    // SAFETY: the loop is under way, so the body is alive, and `call` is of its type.
                    unsafe { (job.call)(job.body, index, worker) }
                }
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            self.set_claimed(job.count);
            lock(&self.panic).get_or_insert(panic);
        }
    }

    /// A worker's life.
    fn work(&self, worker: usize) {
        let mut seen = 0;
        while let Some(epoch) = self.join_next(seen) {
            seen = epoch;
            // SAFETY: this worker is inside, so the caller does not write.
            let job = unsafe { *self.job.get() };
            self.take_part(job, worker);
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for an open loop other than `seen` and enters it; `None` when the pool closes.
    fn join_next(&self, seen: u64) -> Option<u64> {
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if let Some(epoch) = self.try_join(seen) {
                    return Some(epoch);
                }
                std::hint::spin_loop();
            }
            if self.closing.load(Ordering::SeqCst) {
                return None;
            }
            if start.elapsed() > SPIN {
                self.sleep_until_work(seen);
            }
        }
    }

    /// Enters the loop if it is open and not `seen`.
    fn try_join(&self, seen: u64) -> Option<u64> {
        let mut state = self.state.load(Ordering::Acquire);
        while self.has_work(state, seen) {
            match self.state.compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(state / EPOCH),
                Err(now) => state = now,
            }
        }
        None
    }

    fn has_work(&self, state: u64, seen: u64) -> bool {
        state & OPEN != 0 && state / EPOCH != seen
    }

    /// Sleeps until there may be work. A caller opens its loop before it looks for sleepers, a worker
    /// counts itself a sleeper before it looks for a loop: one of the two sees the other.
    fn sleep_until_work(&self, seen: u64) {
        let mut guard = lock(&self.sleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !self.has_work(self.state.load(Ordering::SeqCst), seen) && !self.closing.load(Ordering::SeqCst)
        {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Locks; nothing panics while it holds one of these locks, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pool: &Pool, count: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
        pool.for_each(count, |index, worker| {
            assert!(worker < pool.threads());
            counts[index].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_index_runs_once() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads).unwrap();
            for count in (0..300).chain([10_000]) {
                assert_eq!(counts(&pool, count), vec![1; count]);
            }
        }
    }

    #[test]
    fn workers_wake_after_sleeping() {
        let pool = Pool::new(3).unwrap();
        for _ in 0..5 {
            std::thread::sleep(4 * SPIN);
            assert_eq!(counts(&pool, 20), vec![1; 20]);
        }
    }

    #[test]
    fn no_two_calls_share_a_worker() {
        let pool = Pool::new(4).unwrap();
        let taken: Vec<AtomicBool> = (0..4).map(|_| AtomicBool::new(false)).collect();
        pool.for_each(500, |_, worker| {
            assert!(!taken[worker].swap(true, Ordering::SeqCst));
            std::thread::yield_now();
            taken[worker].store(false, Ordering::SeqCst);
        });
    }

    #[test]
    fn loops_nest() {
        let pool = Pool::new(3).unwrap();
        let sum = AtomicUsize::new(0);
        pool.for_each(8, |_, _| {
            pool.for_each(8, |index, _| {
                sum.fetch_add(index, Ordering::Relaxed);
            });
        });
        assert_eq!(sum.into_inner(), 8 * 28);
    }

    #[test]
    fn callers_on_several_threads_each_get_their_own_loop() {
        let pool = Pool::new(3).unwrap();
        std::thread::scope(|scope| {
            for count in [50, 70, 90] {
                let pool = &pool;
                scope.spawn(move || {
                    for _ in 0..200 {
                        assert_eq!(counts(pool, count), vec![1; count]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3).unwrap();
        for bad in [0, 17, 99] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.for_each(100, |index, _| assert_ne!(index, bad, "no {bad}"));
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains(&format!("no {bad}")), "{message}");
            assert_eq!(counts(&pool, 100), vec![1; 100]);
        }
    }

    #[test]
    fn no_threads_is_an_error() {
        assert_eq!(Pool::new(0).unwrap_err(), Error::NoThreads);
    }

    #[test]
    fn too_many_threads_are_an_error() {
        for threads in [Pool::MOST_THREADS + 1, usize::MAX] {
            assert_eq!(Pool::new(threads).unwrap_err(), Error::ManyThreads { threads });
        }
    }

    #[test]
    fn as_many_threads_help_as_run_at_once() {
        let cores = Pool::machine_threads();
        for (threads, helpful) in [(0, 0), (1, 1), (cores, cores), (cores + 1, cores), (usize::MAX, cores)] {
            assert_eq!(Pool::helpful_threads(threads), helpful);
        }
    }
}
