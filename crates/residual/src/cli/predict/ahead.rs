//! Images decoded ahead of the network, in order.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use residual::arch::NetSpec;
use residual::data::{Fit, Image, MAX_FILE_BYTES, decode};
use residual_files::escaped;

use crate::cli::failure::{Failure, Outcome};

/// An image as the network takes it, but for the normalisation.
pub(super) struct Ready {
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) image: Image,
}

impl Ready {
    /// `[height, width]`
    pub(super) fn size(&self) -> [usize; 2] {
        [self.image.height(), self.image.width()]
    }
}

/// Makes images of files.
pub(super) struct Decoder(Fit);

impl Decoder {
    pub(super) fn new(spec: &NetSpec) -> Outcome<Self> {
        Ok(Self(Fit::new(spec)?))
    }

    fn decode(&self, file: &Path) -> Outcome<Ready> {
        let name = named(file);
        let image = self.0.fit(decode(&read(file, &name)?, &name)?, &name)?;
        Ok(Ready { file: file.to_owned(), name, image })
    }
}

/// The name of a file in answers. Bytes that are no text are escaped: two files are never called the same.
pub(super) fn named(file: &Path) -> String {
    file.to_str().map_or_else(|| escaped(file).to_string(), str::to_owned)
}

fn read(file: &Path, name: &str) -> Outcome<Vec<u8>> {
    residual_files::read(file, MAX_FILE_BYTES)
        .map_err(|error| Failure::from(error).within(format_args!("{name}: cannot read")))
}

/// Where the result for one file will be.
type Slot = Receiver<Outcome<Ready>>;

/// A file for a decoding thread, and where its result is awaited.
type Job = (PathBuf, SyncSender<Outcome<Ready>>);

/// Files being decoded by threads of their own. Those are not waited for at the end: one may be waiting for a
/// line of standard input.
pub(super) struct Ahead {
    /// One for each file, in order.
    slots: Receiver<Slot>,
    /// Taken from `slots` before its result was there.
    waiting: Option<Slot>,
}

impl Ahead {
    /// Starts to decode `files` on `threads` threads, at most `window` of them ahead.
    pub(super) fn start(
        files: impl Iterator<Item = Outcome<PathBuf>> + Send + 'static,
        decoder: Decoder,
        threads: usize,
        window: usize,
    ) -> Outcome<Self> {
        let (to_network, slots) = mpsc::sync_channel(window);
        let (to_threads, jobs) = mpsc::channel::<Job>();
        let shared = Arc::new((decoder, Mutex::new(jobs)));
        for number in 0..threads {
            let shared = shared.clone();
            let work = move || while work(&shared.0, &shared.1).is_some() {};
            Builder::new().name(format!("decode-{number}")).spawn(work)?;
        }
        let feed = move || {
            for file in files {
                let (result, slot) = mpsc::sync_channel(1);
                // Nobody is there to take it only where the command is at its end.
                let sent = match file {
                    Ok(file) => to_threads.send((file, result)).is_ok(),
                    Err(failure) => result.send(Err(failure)).is_ok(),
                };
                if !sent || to_network.send(slot).is_err() {
                    return;
                }
            }
        };
        Builder::new().name("files".into()).spawn(feed)?;
        Ok(Self { slots, waiting: None })
    }

    /// The next result, for which it waits, and those behind it that are there already: `most` at the most.
    /// Nothing at the end.
    pub(super) fn take(&mut self, most: usize) -> Vec<Outcome<Ready>> {
        let Some(slot) = self.waiting.take().or_else(|| self.slots.recv().ok()) else { return Vec::new() };
        let lost = || Err(Failure::new("a decoding thread ended early"));
        let mut taken = vec![slot.recv().unwrap_or_else(|_| lost())];
        while taken.len() < most
            && let Ok(slot) = self.slots.try_recv()
        {
            match slot.try_recv() {
                Ok(result) => taken.push(result),
                Err(_) => {
                    self.waiting = Some(slot);
                    break;
                }
            }
        }
        taken
    }
}

/// Decodes one file; `None` where there will be no more.
fn work(decoder: &Decoder, jobs: &Mutex<Receiver<Job>>) -> Option<()> {
    let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let (file, result) = next.ok()?;
    result.send(decoder.decode(&file)).ok()
}

#[cfg(test)]
mod tests {
    use residual::arch::families::family;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_files() {
        let decoder = Decoder::new(&family("small").unwrap()).unwrap();
        let files = (0..50).map(|number| match number % 3 {
            0 => Err(Failure::new(number)),
            _ => Ok(PathBuf::from(format!("nowhere/{number}"))),
        });
        let mut ahead = Ahead::start(files, decoder, 3, 4).unwrap();
        let mut reports = Vec::new();
        loop {
            let taken = ahead.take(7);
            assert!(taken.len() <= 7);
            if taken.is_empty() {
                break;
            }
            reports.extend(taken.into_iter().map(|result| result.err().unwrap().report(false).unwrap()));
        }
        assert_eq!(reports.len(), 50);
        for (number, report) in reports.iter().enumerate() {
            let wanted =
                if number % 3 == 0 { format!("error: {number}\n") } else { format!("/{number}: cannot") };
            assert!(report.contains(&wanted), "{report}");
        }
    }
}
