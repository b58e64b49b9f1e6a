//! Signals of a service: its end, and loading its weights again.

use residual::serve::{Service, StopHandle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::note;

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// Listens on a thread of its own: the first SIGINT or SIGTERM ends the service in good order, the second the process;
/// SIGHUP loads the weights again.
pub(super) fn listen(service: &Service, stop: StopHandle) -> Outcome<Handle> {
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.map_err(|error| Failure::from(error).within("cannot listen for signals"))?;
    let (handle, service) = (signals.handle(), service.clone());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut is_ending = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => reload(&service),
                _ if is_ending => std::process::exit(INTERRUPTED),
                _ => {
                    is_ending = true;
                    note("answering what was accepted; press Ctrl-C again to quit at once");
                    stop.stop();
                }
            }
        }
    })?;
    Ok(handle)
}

fn reload(service: &Service) {
    for outcome in service.reload() {
        match outcome.result {
            Ok(()) => note(&format!("loaded {}, version {}, again", outcome.name, outcome.version)),
            Err(error) => note(&format!("kept the old weights: {error}")),
        }
    }
}
