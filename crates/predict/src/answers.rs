//! Answers about many images, in their order.

use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;

use residual_data::Pipeline;
use residual_kernels::alone;

use crate::Error;
use crate::classifier::{Classifier, Task};
use crate::input::Ready;

/// The answers about many images, in their order, as they come: an image that has none gives its error, and the others
/// go on. Images are decoded ahead on threads of their own, and those that are there together go through the network
/// together. Where several batches are there, each goes through it on a thread of its own: threads that do not wait for one
/// another answer more images a second.
///
/// Made by [`Classifier::classify_all`], [`Classifier::embed_all`] and [`Classifier::explain_all`].
pub struct Answers<'c, T> {
    classifier: &'c Classifier,
    task: Task<T>,
    batch: usize,
    /// Batches that go through the network side by side, each on a thread of its own.
    lanes: usize,
    /// `None` where the threads could not be started.
    ahead: Option<Pipeline<Result<Ready, Error>>>,
    /// Decoded, and not yet asked about.
    pending: VecDeque<Result<Ready, Error>>,
    /// Answered, and not yet given.
    answered: VecDeque<Result<T, Error>>,
}

impl<'c, T> Answers<'c, T> {
    pub(crate) fn new(
        classifier: &'c Classifier,
        task: Task<T>,
        [batch, lanes]: [usize; 2],
        ahead: Result<Pipeline<Result<Ready, Error>>, residual_data::Error>,
    ) -> Self {
        let mut answered = VecDeque::new();
        let ahead = ahead.map_err(|error| answered.push_back(Err(error.into()))).ok();
        Self { classifier, task, batch, lanes, ahead, pending: VecDeque::new(), answered }
    }

    /// Waits for the next image, and takes those behind it that are decoded already: a batch a lane at the most.
    fn take(&mut self) {
        let Some(ahead) = &mut self.ahead else { return };
        let mut next = ahead.next();
        while let Some(decoded) = next {
            self.pending.push_back(decoded.unwrap_or_else(|error| Err(error.into())));
            next = if self.pending.len() < self.batch * self.lanes { ahead.next_ready() } else { None };
        }
    }

    /// Asks about images of one size: on all threads about a batch, and about more in equal parts, one a lane.
    fn ask(&self, images: &[Ready]) -> Vec<Result<T, Error>>
    where
        T: Send,
    {
        let (classifier, task, batch) = (self.classifier, self.task, self.batch);
        let ask = move |part| classifier.ask_each(task, part, batch);
        if images.len() <= batch {
            return ask(images);
        }
        std::thread::scope(|scope| {
            let parts = images.chunks(images.len().div_ceil(self.lanes));
            let lanes: Vec<_> = parts.map(|part| scope.spawn(move || alone(|| ask(part)))).collect();
            lanes
                .into_iter()
                .flat_map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)))
                .collect()
        })
    }

    /// Takes the next images that can go through the network together off those that are decoded.
    fn together(&mut self) -> Vec<Ready> {
        let mut together: Vec<Ready> = Vec::new();
        while let Some(Ok(next)) = self.pending.front()
            && together.first().is_none_or(|first| first.is_like(next))
            && let Some(Ok(next)) = self.pending.pop_front()
        {
            together.push(next);
        }
        together
    }
}

impl<T: Send> Iterator for Answers<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(answer) = self.answered.pop_front() {
                return Some(answer);
            }
            if self.pending.is_empty() {
                self.take();
            }
            match self.pending.front()? {
                Ok(_) => {
                    let images = self.together();
                    self.answered.extend(self.ask(&images));
                }
                Err(_) => return self.pending.pop_front()?.err().map(Err),
            }
        }
    }
}

impl<T> fmt::Debug for Answers<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pending, answered) = (self.pending.len(), self.answered.len());
        f.debug_struct("Answers")
            .field("pending", &pending)
            .field("answered", &answered)
            .finish_non_exhaustive()
    }
}
