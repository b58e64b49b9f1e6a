//! Evaluation: how many labelled images are classified correctly, and the loss.

use std::ops::Range;
use std::sync::Arc;

use residual_arch::Preprocess;
use residual_measure::score;
use serde::{Deserialize, Serialize};

use crate::{Batch, Error, ImageCache, Loader, LoaderOptions, Source};

/// Options by which [`evaluate`] reads its images.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EvaluateOptions {
    /// Number of images at a time. The last batch has what is left.
    pub batch_size: usize,
    /// Number of decoding threads.
    pub workers: usize,
    /// Leniency: leave out images that cannot be decoded, in place of stopping at the first.
    pub skip_bad: bool,
    /// Cache of the images, of the same preprocessing.
    pub cache: Option<ImageCache>,
    /// Batches that are evaluated, by their numbers: for one of several processes that share them. Default: all.
    pub batches: Option<Range<usize>>,
}

impl EvaluateOptions {
    /// Changes fields.
    ///
    /// ```
    /// use residual_data::EvaluateOptions;
    /// let options = EvaluateOptions::default().with(|options| options.batch_size = 256);
    /// assert_eq!((options.batch_size, options.workers), (256, 1));
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Default for EvaluateOptions {
    /// 64 images at a time, one decoding thread, bad images are errors.
    fn default() -> Self {
        Self { batch_size: 64, workers: 1, skip_bad: false, cache: None, batches: None }
    }
}

/// Evaluation of a classifier: its top-1 and top-5 accuracy and its loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images whose class has the greatest logit.
    pub top1_correct: u64,
    /// Number of images whose class is among the five greatest logits.
    pub top5_correct: u64,
    /// Number of images.
    pub total: u64,
    /// Mean cross-entropy of an image, summed in f64 in the order of the images.
    pub loss: f64,
}

impl Evaluation {
    /// Fraction of the images whose class has the greatest logit.
    pub fn top1(&self) -> f64 {
        self.top1_correct as f64 / self.total.max(1) as f64
    }

    /// Evaluation of logits, `[images][classes]`, of images in their order.
    pub fn of(logits: &[f32], labels: &[usize]) -> Self {
        let mut result = Self::default();
        result.add(logits, labels);
        result.loss /= result.total.max(1) as f64;
        result
    }

    /// Adds a batch; `loss` is a sum still.
    fn add(&mut self, logits: &[f32], labels: &[usize]) {
        let classes = logits.len() / labels.len().max(1);
        for (row, &label) in logits.chunks_exact(classes.max(1)).zip(labels) {
            let (loss, place) = score(row, label);
            self.loss += loss;
            self.total += 1;
            self.top1_correct += u64::from(place == 0);
            self.top5_correct += u64::from(place < 5);
        }
    }
}

/// Network that [`evaluate`] judges.
pub trait Judged {
    /// Error of the network.
    type Error: From<Error>;

    /// Logits of a batch, `[batch][classes]`.
    ///
    /// # Errors
    /// For images that it does not take, and for labels that have no logit.
    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Self::Error>;

    /// Called with the answers about a batch.
    fn answered(&mut self, batch: &AnsweredBatch<'_>) {
        let _ = batch;
    }
}

/// Answers about the images of a batch, and what is right.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AnsweredBatch<'a> {
    /// Places of the images in their source.
    pub indices: &'a [usize],
    /// Labels.
    pub labels: &'a [usize],
    /// Targets, `[batch][outputs]`, where the task is not single label; else empty.
    pub targets: &'a [f64],
    /// Logits, `[batch][classes]`.
    pub logits: &'a [f32],
}

/// Watcher of an evaluation; `()` watches nothing.
pub trait Watch {
    /// True to stop before the next batch.
    fn stopped(&mut self) -> bool {
        false
    }

    /// Called after every batch, with the number of images done.
    fn progress(&mut self, done: usize) {
        let _ = done;
    }

    /// Called for an image that could not be decoded and was left out.
    fn skipped(&mut self, reason: &str) {
        let _ = reason;
    }
}

impl Watch for () {}

/// Evaluates a classifier on all images in their order, decoded ahead by the workers. The result does not depend on their
/// number; `None` where it was stopped. Where there are no images, or all were left out, `total` is 0.
///
/// # Errors
/// Those of [`Loader`] and of [`Judged::logits`].
pub fn evaluate<J: Judged>(
    judged: &mut J,
    images: Arc<dyn Source>,
    preprocess: Preprocess,
    options: &EvaluateOptions,
    watch: &mut dyn Watch,
) -> Result<Option<Evaluation>, J::Error> {
    let loader = LoaderOptions {
        workers: options.workers,
        skip_bad: options.skip_bad,
        cache: options.cache.clone(),
        ..LoaderOptions::evaluation(options.batch_size, preprocess)
    };
    let (mut result, mut done) = (Evaluation::default(), 0);
    let part = options.batches.clone().unwrap_or(0..usize::MAX);
    let loader = loader.with(|loader| loader.first_batch = part.start);
    for batch in Loader::new(images, loader)?.take(part.len()) {
        if watch.stopped() {
            return Ok(None);
        }
        let mut batch = batch?;
        batch.skipped.iter().for_each(|bad| watch.skipped(&bad.to_string()));
        done += batch.labels.len() + batch.skipped.len();
        if !batch.labels.is_empty() {
            let (indices, labels) = (batch.indices.clone(), batch.labels.clone());
            let targets = std::mem::take(&mut batch.targets);
            let logits = judged.logits(batch)?;
            result.add(&logits, &labels);
            let answered =
                AnsweredBatch { indices: &indices, labels: &labels, targets: &targets, logits: &logits };
            judged.answered(&answered);
        }
        watch.progress(done);
    }
    result.loss /= result.total.max(1) as f64;
    Ok(Some(result))
}
