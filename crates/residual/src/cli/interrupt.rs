//! Ctrl-C: the first asks the work to stop, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::note;

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// A flag that the first SIGINT or SIGTERM raises. The second ends the process at once; the checkpoints are
/// whole even then, since they are renamed into place.
pub(crate) fn listen() -> Outcome<Arc<AtomicBool>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::from(error).within("cannot listen for Ctrl-C"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            if raised.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            note("\nfinishing this step, then saving; press Ctrl-C again to quit at once");
        }
    })?;
    Ok(stop)
}
