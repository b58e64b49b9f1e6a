//! A classifier answers about labelled images.

use std::sync::Arc;

use residual_data::{Batch, EvaluateOptions, Judged, Source, evaluate};
use residual_engine::{Error as EngineError, Images};
use residual_predict::Classifier;

use crate::{Answers, Error, Views};

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

/// Answers of a classifier about labelled images, calibrated where it is; `None` where it was stopped.
///
/// # Errors
/// [`Error::Data`] and [`Error::Predict`]; [`Error::LabelBeyond`], [`Error::ImageSize`] and [`Error::NotFinite`] for
/// images that do not fit the network.
pub fn answer(
    classifier: &Classifier,
    images: Arc<dyn Source>,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Option<Answers>, Error> {
    let spec = classifier.model().spec();
    let (preprocess, view) = options.views.preprocess(spec);
    // Outputs that have no names are those of the images' classes.
    let named = classifier.has_class_names() || images.classes().len() != classifier.classes().len();
    let names = if named { classifier.classes() } else { images.classes() };
    let answers = Answers::new(names.into(), options.keep_logits);
    let views = options.views;
    let mut judge = Judge { classifier, images: images.clone(), views, view, answers, watch };
    let evaluation = evaluate(&mut judge, images, preprocess, &options.images)?;
    Ok(evaluation.map(|evaluation| Answers { evaluation, ..judge.answers }))
}

struct Judge<'a> {
    classifier: &'a Classifier,
    images: Arc<dyn Source>,
    views: Views,
    view: Option<[usize; 2]>,
    answers: Answers,
    watch: &'a mut dyn Watch,
}

impl Judged for Judge<'_> {
    type Error = Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Error> {
        let classes = self.classifier.classes().len();
        if let Some(&label) = batch.labels.iter().find(|&&label| label >= classes) {
            return Err(Error::LabelBeyond { label, classes });
        }
        let temperature = self.classifier.model().temperature();
        let logits = self.views.logits(&batch, self.view, |values, size| {
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

    fn answered(&mut self, indices: &[usize], labels: &[usize], logits: &[f32]) {
        self.answers.add(indices, labels, logits);
    }

    fn stopped(&mut self) -> bool {
        self.watch.stopped()
    }

    fn progress(&mut self, done: usize) {
        self.watch.progress(done);
    }

    fn skipped(&mut self, reason: &str) {
        self.watch.skipped(reason);
    }
}
