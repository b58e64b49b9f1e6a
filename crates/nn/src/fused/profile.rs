//! How long each operation of the graph takes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An operation of the fused path, and how long its passes took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Name of the operation: `block 32x16x16 to 64x8x8`, channels, rows and columns.
    pub what: String,
    /// Duration of its forward pass.
    pub forward: Duration,
    /// Duration of its backward pass; none where there was none.
    pub backward: Duration,
}

/// Recording in progress, if there is one.
static RECORD: Mutex<Option<Vec<Timed>>> = Mutex::new(None);

/// Calls `body` and says how long each fused operation took that ran meanwhile, on any thread, in the order of the
/// forward passes. One recording at a time.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use residual_nn::{BasicBlockConfig, Mode, fused};
/// let block = BasicBlockConfig::new(16).init(&Device::flex().autodiff())?;
/// let x = Tensor::<4>::ones([2, 16, 8, 8], &Device::flex().autodiff());
/// let (_, times) = fused::timed(|| block.forward(x, Mode::train(0, 0)).sum().backward());
/// assert!(times.iter().any(|time| time.what == "block 16x8x8 to 16x8x8"));
/// # Ok::<(), residual_nn::Error>(())
/// ```
pub fn timed<T>(body: impl FnOnce() -> T) -> (T, Vec<Timed>) {
    *record() = Some(Vec::new());
    let value = body();
    (value, record().take().unwrap_or_default())
}

fn record() -> std::sync::MutexGuard<'static, Option<Vec<Timed>>> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An operation that is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(usize);

/// Records a forward pass that began at `start`, if anybody wants to know.
pub(super) fn forward(start: Instant, what: impl FnOnce() -> String) -> Option<Entry> {
    let mut record = record();
    let times = record.as_mut()?;
    times.push(Timed { what: what(), forward: start.elapsed(), backward: Duration::ZERO });
    Some(Entry(times.len() - 1))
}

/// Calls a backward pass, and records it with its forward pass.
pub(super) fn backward<T>(entry: Option<Entry>, body: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let value = body();
    if let (Some(Entry(index)), Some(times)) = (entry, record().as_mut())
        && let Some(time) = times.get_mut(index)
    {
        time.backward += start.elapsed();
    }
    value
}
