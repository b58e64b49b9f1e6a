//! How well a network does on images that it was not trained on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use residual_data::{Batch, ImageSet, Loader, LoaderOptions};
use residual_nn::{Mode, ResNet};
use serde::{Deserialize, Serialize};

use crate::scores::score;
use crate::{Error, Observer};

/// How [`evaluate`] reads its images.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluateOptions {
    /// Images at a time. The last batch has what is left.
    pub batch_size: usize,
    /// Decoding threads.
    pub workers: usize,
    /// Leave out images that cannot be decoded, in place of stopping at the first.
    pub skip_bad: bool,
}

impl Default for EvaluateOptions {
    /// 64 images at a time, one decoding thread, bad images are errors.
    fn default() -> Self {
        Self { batch_size: 64, workers: 1, skip_bad: false }
    }
}

/// The result of [`evaluate`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Images whose class has the greatest logit.
    pub top1_correct: u64,
    /// Images whose class is among the five greatest logits.
    pub top5_correct: u64,
    /// Images.
    pub total: u64,
    /// Mean cross-entropy of an image, summed in f64 in the order of the images.
    pub loss: f64,
}

impl Evaluation {
    /// Fraction of the images whose class has the greatest logit.
    pub fn top1(&self) -> f64 {
        self.top1_correct as f64 / self.total.max(1) as f64
    }
}

/// Runs a network over images in evaluation mode: running statistics, no graph, the network's own
/// preprocessing. The result does not depend on the number of threads.
///
/// # Errors
/// [`Error::NothingToEvaluate`] where there are no images, or all were left out; [`Error::Data`];
/// [`Error::ImageSize`] for images that the network does not take; [`Error::LabelBeyond`] for labels that it
/// does not know.
pub fn evaluate(
    network: &ResNet,
    images: &ImageSet,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
) -> Result<Evaluation, Error> {
    let never = AtomicBool::new(false);
    evaluate_until(network, images, options, observer, &never)?.ok_or(Error::NothingToEvaluate)
}

/// [`evaluate`], unless `stop` is raised meanwhile: then `None`.
pub(crate) fn evaluate_until(
    network: &ResNet,
    images: &ImageSet,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Option<Evaluation>, Error> {
    let loader = LoaderOptions {
        workers: options.workers,
        skip_bad: options.skip_bad,
        ..LoaderOptions::evaluation(options.batch_size, network.spec().preprocess.clone())
    };
    let device = network.device();
    let (mut result, mut done) = (Evaluation::default(), 0);
    for batch in Loader::new(Arc::new(images.clone()), loader)? {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        batch.skipped.iter().for_each(|reason| observer.skipped(reason));
        done += batch.labels.len() + batch.skipped.len();
        if !batch.labels.is_empty() {
            add(&mut result, network, batch, &device)?;
        }
        observer.evaluating(done, images.len());
    }
    if result.total == 0 {
        return Err(Error::NothingToEvaluate);
    }
    result.loss /= result.total as f64;
    Ok(Some(result))
}

/// Adds a batch; `loss` is a sum still.
fn add(result: &mut Evaluation, network: &ResNet, batch: Batch, device: &Device) -> Result<(), Error> {
    check_batch(network, &batch, Mode::Eval)?;
    let (input, labels) = to_tensor(batch, device);
    let logits = values(network.forward(input.inner(), Mode::Eval));
    for (row, &label) in logits.chunks(network.spec().head.classes).zip(&labels) {
        let (loss, place) = score(row, label);
        result.loss += loss;
        result.total += 1;
        result.top1_correct += u64::from(place == 0);
        result.top5_correct += u64::from(place < 5);
    }
    Ok(())
}

/// Whether the network takes these images and knows these labels.
pub(crate) fn check_batch(network: &ResNet, batch: &Batch, mode: Mode) -> Result<(), Error> {
    let classes = network.spec().head.classes;
    if let Some(&label) = batch.labels.iter().find(|&&label| label >= classes) {
        return Err(Error::LabelBeyond { label, classes });
    }
    let [_, channels, height, width] = batch.shape;
    network.check_input(batch.shape, mode).map_err(|error| match error {
        residual_nn::Error::Shape(cause) => {
            Error::ImageSize { input: [channels, height, width], cause: Box::new(cause) }
        }
        other => other.into(),
    })
}

/// The images as a tensor, and the labels.
pub(crate) fn to_tensor(batch: Batch, device: &Device) -> (Tensor<4>, Vec<usize>) {
    (Tensor::from_data(TensorData::new(batch.images, batch.shape), device), batch.labels)
}

/// A tensor's values, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // Every tensor of a network is f32.
    tensor.into_data().try_into_vec().expect("a network's tensors are f32")
}
