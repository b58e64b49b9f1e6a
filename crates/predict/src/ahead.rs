//! Images decoded ahead of the network, in order.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use residual_data::Fit;

use crate::Error;
use crate::input::{Input, Ready};

/// What makes images ready.
#[derive(Debug)]
pub(crate) struct Decoder {
    pub(crate) fit: Fit,
    pub(crate) channels: usize,
}

/// Threads that decode, and how far ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) threads: usize,
    pub(crate) images: usize,
}

/// The place where the result for one image will be.
type Slot = Receiver<Result<Ready, Error>>;

/// An image for a decoding thread, and where its result is awaited.
struct Job {
    number: usize,
    image: Input<'static>,
    result: SyncSender<Result<Ready, Error>>,
}

/// Images being decoded by threads of their own. Those are not waited for at the end: one may be waiting for its
/// source to give the next.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// One for each image, in order.
    slots: Receiver<Slot>,
    /// Taken from `slots` before its result was there.
    waiting: Option<Slot>,
}

impl Ahead {
    /// Starts to decode images on threads of their own, up to as many ahead as the window has.
    pub(crate) fn start<I>(images: I, decoder: Arc<Decoder>, window: Window) -> io::Result<Self>
    where
        I: Iterator<Item: Into<Input<'static>>> + Send + 'static,
    {
        let (to_network, slots) = mpsc::sync_channel(window.images);
        let (to_threads, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..window.threads {
            let (decoder, jobs) = (decoder.clone(), jobs.clone());
            let work = move || while work(&decoder, &jobs).is_some() {};
            Builder::new().name(format!("decode-{number}")).spawn(work)?;
        }
        let feed = move || {
            for (number, image) in images.enumerate() {
                let (result, slot) = mpsc::sync_channel(1);
                // Nobody is there to take it only where the caller has gone.
                let sent = to_threads.send(Job { number, image: image.into(), result });
                if sent.is_err() || to_network.send(slot).is_err() {
                    return;
                }
            }
        };
        Builder::new().name("images".into()).spawn(feed)?;
        Ok(Self { slots, waiting: None })
    }

    /// The next result, for which it waits, and those behind it that are there already: `most` at the most.
    /// Nothing at the end.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Result<Ready, Error>> {
        let Some(slot) = self.waiting.take().or_else(|| self.slots.recv().ok()) else { return Vec::new() };
        let lost = |_| Err(Error::Threads(io::Error::other("one ended early")));
        let mut taken = vec![slot.recv().unwrap_or_else(lost)];
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

/// Decodes one image; `None` where there will be no more.
fn work(decoder: &Decoder, jobs: &Mutex<Receiver<Job>>) -> Option<()> {
    let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Job { number, image, result } = next.ok()?;
    let name = || format!("image {number}");
    result.send(image.ready(&decoder.fit, decoder.channels, &name)).ok()
}

#[cfg(test)]
mod tests {
    use residual_arch::families::family;

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_images() {
        let decoder = Decoder { fit: Fit::new(&family("small").unwrap()).unwrap(), channels: 3 };
        let images = (0..50).map(|number| match number % 3 {
            0 => Err(format!("number {number}")),
            _ => Ok(format!("nowhere/{number}")),
        });
        let mut ahead = Ahead::start(images, Arc::new(decoder), Window { threads: 3, images: 4 }).unwrap();
        let mut reports = Vec::new();
        loop {
            let taken = ahead.take(7);
            assert!(taken.len() <= 7);
            if taken.is_empty() {
                break;
            }
            reports.extend(taken.into_iter().map(|result| result.unwrap_err().to_string()));
        }
        assert_eq!(reports.len(), 50);
        for (number, report) in reports.iter().enumerate() {
            let wanted = match number % 3 {
                0 => format!("number {number}"),
                _ => format!("nowhere/{number}: cannot read"),
            };
            assert!(report.starts_with(&wanted), "{report}");
        }
    }
}
