//! The queue between requests and the threads that compute: bounded, in the order of arrival, given out in batches.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use residual_predict::{Explanation, FeatureMap, HeatMap, Prediction, PreparedImage};
use tokio::sync::oneshot;

use crate::model::Loaded;
use crate::rejection::Rejection;

/// Question about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Classify,
    Embed,
    ClassifyAndEmbed,
    /// The classes, and where the most probable is seen.
    Explain,
    /// Where a class is seen.
    ClassMap(usize),
    /// The maps after a part of the network.
    Features(String),
}

impl Question {
    /// True where several images go through the network together.
    fn goes_together(&self) -> bool {
        matches!(self, Self::Classify | Self::Embed | Self::ClassifyAndEmbed | Self::Explain)
    }
}

/// Answer to a [`Question`].
#[derive(Debug)]
pub(crate) enum Answer {
    Prediction(Prediction),
    Embedding(Vec<f32>),
    PredictionAndEmbedding(Prediction, Vec<f32>),
    Explanation(Box<Explanation>),
    ClassMap(HeatMap),
    Features(FeatureMap),
}

/// An image on its way through the network.
pub(crate) struct Work {
    pub(crate) model: Arc<Loaded>,
    pub(crate) question: Question,
    pub(crate) image: PreparedImage,
    pub(crate) arrived: Instant,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Answer, Rejection>>,
    pub(crate) seat: Seat,
}

impl Work {
    fn goes_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
            && self.question == other.question
            && self.image.size() == other.image.size()
    }
}

/// A place in the queue, from the acceptance of an image to its answer.
pub(crate) struct Seat {
    queue: Arc<Queue>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.queue.lock().seats -= 1;
        // One image less is on the way, for which a batch may have waited.
        self.queue.changed.notify_all();
    }
}

#[derive(Default)]
struct State {
    /// Images accepted and not yet answered.
    seats: usize,
    /// Images that go through the network now, in how many batches, and whether one of these has all threads.
    computing: usize,
    batches: usize,
    wide: bool,
    waiting: VecDeque<Work>,
    /// Seconds of the network an image, a moving average; 0 while nothing is known.
    seconds: f64,
    closed: bool,
}

/// Images that go through the network together, in the order of their arrival.
pub(crate) struct Batch {
    pub(crate) work: Vec<Work>,
    /// True where all threads work on it, false where the calling thread does so alone.
    pub(crate) wide: bool,
}

/// The queue.
pub(crate) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// Share of the last batch in the moving average.
const WEIGHT: f64 = 0.2;

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half changed under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts `images` that are to be answered within `deadline`, or says when there will be room.
    pub(crate) fn accept(
        self: &Arc<Self>,
        images: usize,
        deadline: Duration,
    ) -> Result<Vec<Seat>, Rejection> {
        if images > self.capacity {
            return Err(Rejection::TooMany { images, queue: self.capacity });
        }
        let mut state = self.lock();
        if state.closed {
            return Err(Rejection::Closing);
        }
        let wait = (state.seats + images) as f64 * state.seconds;
        if state.seats + images > self.capacity || (state.seats > 0 && wait > deadline.as_secs_f64()) {
            let retry_after = (state.seats as f64 * state.seconds).ceil().clamp(1.0, 60.0) as u64;
            return Err(Rejection::Busy { retry_after });
        }
        state.seats += images;
        drop(state);
        Ok((0..images).map(|_| Seat { queue: self.clone() }).collect())
    }

    /// Puts an image at the end of the queue.
    pub(crate) fn push(&self, work: Work) {
        self.lock().waiting.push_back(work);
        self.changed.notify_all();
    }

    /// Images accepted and not yet answered, and images that wait for the network.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let state = self.lock();
        (state.seats, state.waiting.len())
    }

    /// The next images that go through the network together, at most `batch`: once there are as many, once nobody else is
    /// on the way, or once the first has waited for `delay`. They have all threads where no others wait, are on the way or
    /// go through the network, and nobody else is given any meanwhile. `None` when the queue is closed and empty.
    pub(crate) fn next(&self, batch: usize, delay: Duration) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            let overdue = state.take_overdue();
            if !overdue.is_empty() {
                drop(state);
                overdue.into_iter().for_each(reject);
                state = self.lock();
                continue;
            }
            let Some(first) = state.waiting.front() else {
                if state.closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if state.wide {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let most = if first.question.goes_together() { batch } else { 1 };
            let together = state.waiting.iter().filter(|work| work.goes_with(first)).take(most).count();
            let on_the_way = state.seats.saturating_sub(state.waiting.len() + state.computing);
            let left = delay.saturating_sub(first.arrived.elapsed());
            if together == most || on_the_way == 0 || left.is_zero() || state.closed {
                return Some(state.take(most, on_the_way == 0));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Notes that `images` went through the network, in `seconds`, beside the batches of others unless they had all threads.
    pub(crate) fn computed(&self, images: usize, seconds: f64, wide: bool) {
        let mut state = self.lock();
        let each = seconds / (images * state.batches).max(1) as f64;
        state.computing = state.computing.saturating_sub(images);
        state.batches = state.batches.saturating_sub(1);
        state.wide &= !wide;
        state.seconds =
            if state.seconds == 0.0 { each } else { (1.0 - WEIGHT) * state.seconds + WEIGHT * each };
        drop(state);
        // Those who were kept off by a batch on all threads.
        self.changed.notify_all();
    }

    /// Accepts nothing more; what waits is given out, and then nothing.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    /// Takes out images whose answer nobody waits for any more.
    fn take_overdue(&mut self) -> Vec<Work> {
        let now = Instant::now();
        let is_overdue = |work: &Work| work.deadline <= now || work.reply.is_closed();
        if !self.waiting.iter().any(is_overdue) {
            return Vec::new();
        }
        let (overdue, rest) = self.waiting.drain(..).partition::<Vec<_>, _>(is_overdue);
        self.waiting = rest.into();
        overdue
    }

    /// Takes the next batch; `last` says that nobody is on the way.
    fn take(&mut self, most: usize, last: bool) -> Batch {
        let mut taken = Vec::from_iter(self.waiting.pop_front());
        let mut rest = VecDeque::with_capacity(self.waiting.len());
        for work in self.waiting.drain(..) {
            match taken.len() < most && work.goes_with(&taken[0]) {
                true => taken.push(work),
                false => rest.push_back(work),
            }
        }
        self.waiting = rest;
        let wide = last && self.waiting.is_empty() && self.batches == 0;
        self.computing += taken.len();
        self.batches += 1;
        self.wide = wide;
        Batch { work: taken, wide }
    }
}

/// Says that an answer would come too late; dropping the work frees its seat.
fn reject(work: Work) {
    let milliseconds = work.deadline.saturating_duration_since(work.arrived).as_millis();
    let _ = work.reply.send(Err(Rejection::Late { milliseconds }));
}
