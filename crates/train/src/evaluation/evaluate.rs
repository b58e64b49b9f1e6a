//! Evaluation of a network on images that it was not trained on.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::NetSpec;
use residual_data::{Batch, EvaluateOptions, Evaluation, Judged, Source, TaskEvaluation, TaskOutputs};
use residual_engine::Images;
use residual_nn::fused::Path;
use residual_nn::{Mode, ResNet};

use crate::Error;
use crate::evaluation::engine_plan::EnginePlan;
use crate::ranks::evaluation::{gather_outputs, own_batches};
use crate::train_loop::session::Session;
use crate::train_loop::transfer::to_model;

/// Evaluates a network on images: running statistics, no graph, the network's own preprocessing. On the engine, but for
/// a network whose [`Path`] is stock. The result does not depend on the number of threads.
///
/// # Errors
/// [`Error::NothingToEvaluate`] where there are no images, or all were left out; [`Error::Data`];
/// [`Error::ImageSize`] for images that the network does not take; [`Error::LabelBeyond`] for labels that it
/// does not know.
pub fn evaluate(
    network: &ResNet,
    images: Arc<dyn Source>,
    options: &EvaluateOptions,
) -> Result<Evaluation, Error> {
    let mut alone = Session::new(Box::new(()), Arc::new(AtomicBool::new(false)));
    evaluate_until(network, images, options, &mut alone, &mut None)?.ok_or(Error::NothingToEvaluate)
}

/// Evaluates a network for a task other than single label on images, as [`evaluate()`] does.
///
/// # Errors
/// Those of [`evaluate()`].
pub fn evaluate_task(
    network: &ResNet,
    images: Arc<dyn Source>,
    options: &EvaluateOptions,
) -> Result<TaskEvaluation, Error> {
    let mut alone = Session::new(Box::new(()), Arc::new(AtomicBool::new(false)));
    evaluate_task_until(network, images, options, &mut alone, &mut None)?.ok_or(Error::NothingToEvaluate)
}

/// [`evaluate_task`] while an observer looks on; `None` where it was stopped. `not_finite` becomes the first layer whose
/// output was not finite, where there is one.
pub(crate) fn evaluate_task_until(
    network: &ResNet,
    images: Arc<dyn Source>,
    options: &EvaluateOptions,
    session: &mut Session<'_>,
    not_finite: &mut Option<String>,
) -> Result<Option<TaskEvaluation>, Error> {
    if session.ranks().ranks() > 1 {
        let outputs = shared_outputs(network, images, options, session, not_finite)?;
        return Ok(Some(outputs.evaluate(&network.spec().task)));
    }
    let mut watched = session.watching(images.len());
    let (mut judged, options) = InEvaluation::of(network, images.len(), options, not_finite);
    let NetSpec { preprocess, task, .. } = network.spec().clone();
    match TaskOutputs::of(&mut judged, images, preprocess, &options, &mut watched)? {
        Some(outputs) if outputs.images() == 0 => Err(Error::NothingToEvaluate),
        outputs => Ok(outputs.map(|outputs| outputs.evaluate(&task))),
    }
}

/// Limit on the images that a plan of the engine takes at a time.
const MOST: usize = 65_536;

/// [`evaluate`] while an observer looks on; `None` where it was stopped. `not_finite` becomes the first layer whose
/// output was not finite, where there is one.
pub(crate) fn evaluate_until(
    network: &ResNet,
    images: Arc<dyn Source>,
    options: &EvaluateOptions,
    session: &mut Session<'_>,
    not_finite: &mut Option<String>,
) -> Result<Option<Evaluation>, Error> {
    if session.ranks().ranks() > 1 {
        let outputs = shared_outputs(network, images.clone(), options, session, not_finite)?;
        let labels: Vec<usize> = outputs.indices.iter().map(|&index| images.label(index)).collect();
        return Ok(Some(Evaluation::of(&outputs.outputs, &labels)));
    }
    let mut watched = session.watching(images.len());
    let (mut judged, options) = InEvaluation::of(network, images.len(), options, not_finite);
    let preprocess = network.spec().preprocess.clone();
    match residual_data::evaluate(&mut judged, images, preprocess, &options, &mut watched)? {
        Some(Evaluation { total: 0, .. }) => Err(Error::NothingToEvaluate),
        result => Ok(result),
    }
}

/// Outputs of all images, of whose batches each rank has evaluated a part. They are not stopped half-way, since the ranks
/// agree to stop after a step.
fn shared_outputs(
    network: &ResNet,
    images: Arc<dyn Source>,
    options: &EvaluateOptions,
    session: &mut Session<'_>,
    not_finite: &mut Option<String>,
) -> Result<TaskOutputs, Error> {
    let ranks = session.ranks().clone();
    let mut watched = session.watching(images.len());
    let (mut judged, mut options) = InEvaluation::of(network, images.len(), options, not_finite);
    options.batches = own_batches(&*ranks, &images, &options);
    let preprocess = network.spec().preprocess.clone();
    let own = TaskOutputs::of(&mut judged, images, preprocess, &options, &mut watched);
    let own = own.map(Option::unwrap_or_default);
    match gather_outputs(&*ranks, own, not_finite)? {
        outputs if outputs.images() == 0 => Err(Error::NothingToEvaluate),
        outputs => Ok(outputs),
    }
}

/// Network that is evaluated.
struct InEvaluation<'a> {
    network: &'a ResNet,
    plan: EnginePlan,
    /// First layer whose output was not finite, of the first batch of which there is one.
    not_finite: &'a mut Option<String>,
}

impl<'a> InEvaluation<'a> {
    /// Network for so many images, and the options with a batch that they fill.
    fn of(
        network: &'a ResNet,
        images: usize,
        options: &EvaluateOptions,
        not_finite: &'a mut Option<String>,
    ) -> (Self, EvaluateOptions) {
        let options = options.clone().with(|new| new.batch_size = new.batch_size.min(images).clamp(1, MOST));
        let plan = EnginePlan::new(options.workers, options.batch_size);
        (Self { network, plan, not_finite }, options)
    }

    /// Logits by the engine: the weights are packed once for all images.
    fn by_plan(&mut self, batch: &Batch) -> Result<Vec<f32>, Error> {
        let [_, channels, height, width] = batch.shape;
        let (plan, scratch) = self.plan.for_images([channels, height, width], || to_model(self.network))?;
        Ok(plan.run(Images::Planar(&batch.images), scratch)?.to_vec())
    }
}

impl Judged for InEvaluation<'_> {
    type Error = Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Error> {
        check_batch(self.network, &batch, Mode::Eval)?;
        let outputs = match self.network.compute().path {
            Path::Fused => self.by_plan(&batch)?,
            _ => {
                let (input, _) = to_tensor(batch.clone(), &self.network.device());
                values(self.network.forward(input.inner(), Mode::Eval))
            }
        };
        if self.not_finite.is_none() && !outputs.iter().all(|output| output.is_finite()) {
            let (input, _) = to_tensor(batch, &self.network.device());
            *self.not_finite = self.network.first_not_finite(input.inner(), Mode::Eval);
        }
        Ok(outputs)
    }
}

/// Checks that the network takes these images and knows these labels.
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

/// Images of a batch as a tensor, and their labels.
pub(crate) fn to_tensor(batch: Batch, device: &Device) -> (Tensor<4>, Vec<usize>) {
    (Tensor::from_data(TensorData::new(batch.images, batch.shape), device), batch.labels)
}

/// Values of a tensor, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // Every tensor of a network is f32.
    tensor.into_data().try_into_vec().expect("a network's tensors are f32")
}
