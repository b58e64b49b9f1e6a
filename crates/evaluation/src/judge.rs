//! A classifier answers about labelled images.

use std::sync::Arc;

use residual_arch::{Preprocess, TaskKind};
use residual_data::{AnsweredBatch, Batch, EvaluateOptions, Judged, Source, TaskOutputs, Watch, evaluate};
use residual_engine::{Error as EngineError, Images};
use residual_predict::Classifier;

use crate::views::Viewed;
use crate::{Answers, Error, TaskAnswers, Views};

/// Options of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// Options by which the images are read.
    pub images: EvaluateOptions,
    /// Test-time augmentation.
    pub views: Views,
    /// True where the logits of all images are kept: 4 bytes an image and class.
    pub keep_logits: bool,
}

impl Options {
    /// Changes fields.
    ///
    /// ```
    /// use residual_evaluation::{Options, Views};
    /// let options = Options::default().with(|options| options.views = Views::Flip);
    /// assert_eq!(options.views.count(), 2);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Answers of a classifier of single labels about labelled images, calibrated where it is; `None` where it was stopped.
///
/// # Errors
/// [`Error::Data`] and [`Error::Predict`]; [`Error::LabelBeyond`], [`Error::ImageSize`] and [`Error::NotFinite`] for
/// images that do not fit the network; [`Error::Task`] for a network of another task.
pub fn answer(
    classifier: &Classifier,
    images: Arc<dyn Source>,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Option<Answers>, Error> {
    let task = classifier.model().spec().task.kind();
    if !task.is_single_label() {
        return Err(Error::Task { network: task, images: images.task() });
    }
    let answers = Answers::new(names(classifier, &*images), options.keep_logits);
    let (judge, preprocess) = Judge::new(classifier, &images, options.views);
    let mut listed = Listed { judge, answers };
    let evaluation = evaluate(&mut listed, images, preprocess, &options.images, watch)?;
    Ok(evaluation.map(|evaluation| Answers { evaluation, ..listed.answers }))
}

/// Answers of a network of several labels or of a regression about images with their targets; `None` where it was
/// stopped. All logits are kept.
///
/// # Errors
/// As for [`answer`]; [`Error::Task`] for images that are labelled for another task.
pub fn answer_task(
    classifier: &Classifier,
    images: Arc<dyn Source>,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Option<TaskAnswers>, Error> {
    let model = classifier.model();
    let task = model.spec().task.at_temperature(model.temperature());
    let outputs = classifier.classes().len();
    if task.is_single_label() || task.kind() != images.task() || outputs != images.classes().len() {
        return Err(Error::Task { network: task.kind(), images: images.task() });
    }
    let classes = names(classifier, &*images);
    let (mut judge, preprocess) = Judge::new(classifier, &images, options.views);
    let outputs = TaskOutputs::of(&mut judge, images, preprocess, &options.images, watch)?;
    Ok(outputs.map(|outputs| TaskAnswers::new(classes, task, outputs)))
}

/// Names of the outputs: those that have none are those of the images' classes.
fn names(classifier: &Classifier, images: &dyn Source) -> Arc<[String]> {
    let named = classifier.has_class_names() || images.classes().len() != classifier.classes().len();
    if named { classifier.classes().into() } else { images.classes().into() }
}

/// Classifier whose answers about views of an image are one.
struct Judge<'a> {
    classifier: &'a Classifier,
    images: Arc<dyn Source>,
    views: Views,
    /// `[height, width]` of a view that is a part of an image.
    view: Option<[usize; 2]>,
}

impl<'a> Judge<'a> {
    /// The judge, and the preprocessing of the images that its views are cut out of.
    fn new(classifier: &'a Classifier, images: &Arc<dyn Source>, views: Views) -> (Self, Preprocess) {
        let (preprocess, view) = views.preprocess(classifier.model().spec());
        (Self { classifier, images: images.clone(), views, view }, preprocess)
    }
}

impl Judged for Judge<'_> {
    type Error = Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Error> {
        let classes = self.classifier.classes().len();
        if let Some(&label) = batch.labels.iter().find(|&&label| label >= classes) {
            return Err(Error::LabelBeyond { label, classes });
        }
        let task = &self.classifier.model().spec().task;
        // Numbers have no probabilities that a temperature could change.
        let temperature =
            self.classifier.model().temperature().filter(|_| task.kind() != TaskKind::Regression);
        let viewed = Viewed { views: self.views, size: self.view, task };
        let logits = viewed.logits(&batch, |values, size| {
            let logits =
                self.classifier.logits(Images::Planar(values), size).map_err(|error| (error, size))?;
            Ok(match temperature {
                Some(value) => logits.into_iter().map(|logit| (f64::from(logit) / value) as f32).collect(),
                None => logits,
            })
        });
        logits.map_err(|(error, [height, width])| match error {
            residual_predict::Error::Engine(EngineError::Shape(cause)) => Error::ImageSize {
                size: [batch.shape[1], height, width],
                place: cause.place().to_string(),
                found: cause.found().to_string(),
            },
            residual_predict::Error::Engine(cause @ EngineError::NotFinite { image }) => {
                Error::NotFinite { file: self.images.file(batch.indices[image]), cause: Box::new(cause) }
            }
            error => error.into(),
        })
    }
}

/// Judge whose answers are written down.
struct Listed<'a> {
    judge: Judge<'a>,
    answers: Answers,
}

impl Judged for Listed<'_> {
    type Error = Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Error> {
        self.judge.logits(batch)
    }

    fn answered(&mut self, batch: &AnsweredBatch<'_>) {
        self.answers.add(batch.indices, batch.labels, batch.logits);
    }
}
