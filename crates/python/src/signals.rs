//! Signals that Python has received: Ctrl-C is heard while Rust computes.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Between two looks: nobody notices, and taking the interpreter's lock costs nothing worth a number.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks whether a signal has arrived, now and then.
pub(crate) struct Signals {
    last: Instant,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Runs Python's handlers of the signals that have arrived, on its main thread.
    ///
    /// # Errors
    /// What a handler raises: `KeyboardInterrupt`.
    pub(crate) fn check(&mut self) -> PyResult<()> {
        if self.last.elapsed() < PAUSE {
            return Ok(());
        }
        self.last = Instant::now();
        Python::attach(|py| py.check_signals())
    }
}
