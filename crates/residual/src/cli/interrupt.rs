//! Signals: the first Ctrl-C asks the work to stop, the second ends the process; a limit on the size of files is an
//! error of the write that meets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::{leave, note};

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: i32 = 130;

/// A flag that the first SIGINT, SIGTERM or SIGHUP raises. A second SIGINT or SIGTERM ends the process at once; the
/// checkpoints are whole even then, since they are renamed into place. A terminal that closes sends SIGHUP more than
/// once, and nobody is in a hurry: it never ends the process. Under `nohup` it is not listened to.
#[cfg(feature = "train")]
pub(crate) fn listen() -> Outcome<Arc<AtomicBool>> {
    listen_and_say("finishing this step, then saving")
}

/// As `listen` does, saying what is done before the process ends.
pub(crate) fn listen_and_say(what: &'static str) -> Outcome<Arc<AtomicBool>> {
    let mut wanted = vec![SIGINT, SIGTERM];
    if !hang_up_is_ignored() {
        wanted.push(SIGHUP);
    }
    let mut signals =
        Signals::new(wanted).map_err(|error| Failure::from(error).within("cannot listen for Ctrl-C"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let was_raised = raised.swap(true, Ordering::Relaxed);
            match (was_raised, signal) {
                (true, SIGHUP) => {}
                (true, _) => {
                    leave();
                    std::process::exit(INTERRUPTED)
                }
                (false, SIGHUP) => note(&format!("\nthe terminal has gone: {what}")),
                (false, _) => note(&format!("\n{what}; press Ctrl-C again to quit at once")),
            }
        }
    })?;
    Ok(stop)
}

/// True where whoever started the process has told it to outlive its terminal. Linux says so; elsewhere a standard
/// error that is no terminal is taken for `nohup`'s.
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    match status.as_deref().and_then(ignored_signals) {
        Some(mask) => mask & (1 << (SIGHUP - 1)) != 0,
        None => !std::io::IsTerminal::is_terminal(&std::io::stderr()),
    }
}

/// The mask of ignored signals in a `/proc/PID/status`.
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Lets a write beyond `ulimit -f` fail with an error, in place of the signal that ends the process and leaves half a
/// file behind. Where the signal cannot be caught, it stays as it was.
pub(crate) fn let_writes_fail() {
    #[cfg(unix)]
    {
        let unread = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tresidual\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals("Name:\tresidual\n"), None);
    }
}
