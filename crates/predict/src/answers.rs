//! Answers about many images, in their order.

use std::collections::VecDeque;
use std::fmt;
use std::panic::resume_unwind;

use residual_data::Pipeline;
use residual_kernels::alone;

use crate::classifier::{Classifier, Task};
use crate::input::Ready;
use crate::{Error, Input};

/// The most images that are on their way at a time, but for a batch.
const MOST: usize = 256;

/// The answers about many images, in their order, as they come: an image that has none gives its error, and the others
/// go on.
///
/// Images that are there together are shared out to the classifier's threads, each of which decodes its own and has them go
/// through the network as a batch: threads that do not wait for one another answer more images a second. A few images are
/// answered one batch at a time, by all threads.
///
/// Made by [`Classifier::classify_all`], [`Classifier::embed_all`] and [`Classifier::explain_all`].
pub struct Answers<'c, T> {
    classifier: &'c Classifier,
    task: Task<T>,
    /// `None` where the thread that reads the iterator could not be started.
    ahead: Option<Pipeline<Numbered>>,
    /// Answered, and not yet given.
    answered: VecDeque<Result<T, Error>>,
}

/// An image and its place.
pub(crate) type Numbered = (usize, Input<'static>);

impl<'c, T> Answers<'c, T> {
    pub(crate) fn new(
        classifier: &'c Classifier,
        task: Task<T>,
        ahead: Result<Pipeline<Numbered>, residual_data::Error>,
    ) -> Self {
        let mut answered = VecDeque::new();
        let ahead = ahead.map_err(|error| answered.push_back(Err(error.into()))).ok();
        Self { classifier, task, ahead, answered }
    }

    /// Images of a round: as many as all threads together take.
    pub(crate) fn round(classifier: &Classifier) -> usize {
        let batch = classifier.batch();
        (classifier.threads() * batch).min(MOST.max(batch))
    }

    /// Waits for the next image, and takes those behind it that are there already: a round at the most.
    fn take(&mut self) -> Vec<Result<Numbered, Error>> {
        let mut taken = Vec::new();
        let Some(ahead) = &mut self.ahead else { return taken };
        let round = Self::round(self.classifier);
        let mut next = ahead.next();
        while let Some(image) = next {
            taken.push(image.map_err(Error::from));
            next = if taken.len() < round { ahead.next_ready() } else { None };
        }
        taken
    }
}

impl<T: Send> Answers<'_, T> {
    fn answer(&self, mut images: Vec<Result<Numbered, Error>>) -> Vec<Result<T, Error>> {
        let (classifier, task, threads) = (self.classifier, self.task, self.classifier.threads());
        if images.len() < 2 * threads {
            return part(classifier, task, images);
        }
        let each = images.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let mut lanes = Vec::with_capacity(threads);
            while !images.is_empty() {
                let rest = images.split_off(each.min(images.len()));
                let own = std::mem::replace(&mut images, rest);
                lanes.push(scope.spawn(move || alone(|| part(classifier, task, own))));
            }
            let answers =
                lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            answers.flatten().collect()
        })
    }
}

/// Answers about some images, decoded here: neighbours of one size go through the network together.
fn part<T>(
    classifier: &Classifier,
    task: Task<T>,
    images: Vec<Result<Numbered, Error>>,
) -> Vec<Result<T, Error>> {
    let mut answers = Vec::with_capacity(images.len());
    let mut together: Vec<Ready> = Vec::new();
    let batch = classifier.batch();
    for image in images {
        let ready = image.and_then(|(number, image)| classifier.ready(image, &|| format!("image {number}")));
        let joins = ready.as_ref().is_ok_and(|ready| {
            together.len() < batch && together.first().is_none_or(|first| first.is_like(ready))
        });
        if !joins && !together.is_empty() {
            answers.extend(classifier.ask_each(task, &std::mem::take(&mut together), batch));
        }
        match ready {
            Ok(ready) => together.push(ready),
            Err(error) => answers.push(Err(error)),
        }
    }
    if !together.is_empty() {
        answers.extend(classifier.ask_each(task, &together, batch));
    }
    answers
}

impl<T: Send> Iterator for Answers<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.answered.is_empty() {
            let images = self.take();
            if images.is_empty() {
                return None;
            }
            let answers = self.answer(images);
            self.answered.extend(answers);
        }
        self.answered.pop_front()
    }
}

impl<T> fmt::Debug for Answers<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("answered", &self.answered.len()).finish_non_exhaustive()
    }
}
