//! A model compiled for this machine.

use std::path::Path;
use std::sync::Arc;

use residual_arch::{Field, HeadPart, LayerPath, published};
use residual_data::{Fit, Note, Pipeline, PipelineOptions};
use residual_engine::{Error as EngineError, Images, Plan, Scratch};
use residual_weights::{Architecture, Model};

use crate::input::{Pixels, Ready};
use crate::options::usual_size;
use crate::plans::{Plans, Served};
use crate::prediction::Asked;
use crate::{Answers, Error, Explanation, HeatMap, Input, Options, Prediction};

/// A model compiled for this machine, which answers about images.
///
/// ```no_run
/// use residual_predict::Classifier;
///
/// let classifier = Classifier::open("runs/first")?;
/// let answer = classifier.classify("photo.jpg")?;
/// for score in answer.top(5) {
///     println!("{score}");
/// }
/// # Ok::<(), residual_predict::Error>(())
/// ```
///
/// It may be used from several threads at once, also from those of rayon and of an async runtime: no lock is held while
/// it computes. All of its threads work on one answer, or on a batch each where there are many images; an answer that is
/// asked for meanwhile is computed by the thread that asks. The bits do not depend on it.
#[derive(Debug)]
pub struct Classifier {
    model: Model,
    fit: Fit,
    classes: Arc<[String]>,
    /// False where they are numbers.
    has_class_names: bool,
    pub(crate) options: Options,
    plans: Plans,
}

/// A vector that stands for an image: what the head's linear layer reads, the last maps averaged over their pixels.
pub type Embedding = Vec<f32>;

/// The feature maps of an image after a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// `[channels, height, width]`
    pub shape: [usize; 3],
    /// The values, row-major.
    pub values: Vec<f32>,
}

/// Computation for images of one size.
pub(crate) type Task<T> =
    fn(&Classifier, &Plan, &mut Scratch, Images<'_>, &[Ready]) -> Result<Vec<T>, EngineError>;

impl Classifier {
    /// Opens a trained network, a checkpoint or the folder of a run, and compiles it with the default options.
    ///
    /// # Errors
    /// Those of [`Model::open`] and [`Classifier::new`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new(Model::open(path)?, Options::default())
    }

    /// Opens weights as those of a network that is named, and compiles it with the default options.
    ///
    /// # Errors
    /// Those of [`Model::open_as`] and [`Classifier::new`].
    pub fn open_as(path: impl AsRef<Path>, network: impl Into<Architecture>) -> Result<Self, Error> {
        Self::new(Model::open_as(path, network)?, Options::default())
    }

    /// Compiles a model.
    ///
    /// # Errors
    /// [`Error::Image`] for a preprocessing that no image can go through; [`Error::Model`] for weights that are not
    /// finite; [`Error::Engine`] for a network that the engine cannot run, or that does not fit into memory. With
    /// [`Options::lazy`] the last two are said of an image.
    pub fn new(model: Model, options: Options) -> Result<Self, Error> {
        let fit = Fit::new(model.spec())?;
        let names = class_names(&model);
        let has_class_names = names.is_some();
        let numbers = || (0..model.spec().head.classes).map(|class| class.to_string()).collect();
        let classes = names.unwrap_or_else(numbers).into();
        let plans = Plans::new(options.threads);
        let classifier = Self { model, fit, classes, has_class_names, options, plans };
        if !classifier.options.lazy {
            let batch = classifier.options.single();
            classifier.prepare(batch)?;
        }
        Ok(classifier)
    }

    /// Compiles the plan for many images of the usual size, for a classifier that is lazy: while the first images of
    /// [`Classifier::classify_all`] are decoded.
    ///
    /// # Errors
    /// Those of [`Classifier::new`].
    pub fn warm_up(&self) -> Result<(), Error> {
        self.prepare(self.options.many(self.model.spec()))
    }

    fn prepare(&self, batch: usize) -> Result<(), Error> {
        self.plans.prepare(&self.model, Served { size: usual_size(self.model.spec()), batch, until: None })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Names of the classes, in the order of the network's outputs. Where the model has none they are those that such
    /// networks are published with ([`class_names`](residual_arch::published::class_names)), ImageNet's or CIFAR's; for
    /// any other network their numbers.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// True where [`Classifier::classes`] are names, and not numbers.
    pub fn has_class_names(&self) -> bool {
        self.has_class_names
    }

    /// Notes of what was noticed in the images so far, such as animations of which the first frame was taken.
    pub fn notes(&self) -> Vec<Note> {
        self.fit.notes()
    }

    /// Length of an embedding: the channels of the last block.
    pub fn embedding_length(&self) -> usize {
        let weight = LayerPath::Head(HeadPart::Linear).tensor(Field::Weight);
        self.model.tensor(weight).and_then(|weight| weight.shape().last().copied()).unwrap_or(0)
    }

    /// Number of threads that work on one answer.
    pub fn threads(&self) -> usize {
        self.plans.threads()
    }

    /// Classifies an image: the probabilities of all classes, or the numbers of a regression.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Image`] for an image that cannot be read, decoded or brought to size;
    /// [`Error::Unanswered`] for one of a size that the network does not take, or whose answer is not finite, and for
    /// every image where the weights have no head ([`EngineError::NoHead`]).
    pub fn classify<'i>(&self, image: impl Into<Input<'i>>) -> Result<Prediction, Error> {
        self.one(image.into(), predictions)
    }

    /// Classifies many images, in batches, on all threads.
    ///
    /// # Errors
    /// Each image has its own, as for [`Classifier::classify`]; the others go on.
    pub fn classify_all<I>(&self, images: I) -> Answers<'_, Prediction>
    where
        I: IntoIterator<Item: Into<Input<'static>>, IntoIter: Send + 'static>,
    {
        self.all(images.into_iter(), predictions)
    }

    /// Embeds an image: the vector that the head's linear layer reads. Images that look alike to the network have
    /// vectors that lie close together.
    ///
    /// # Errors
    /// As for [`Classifier::classify`].
    pub fn embed<'i>(&self, image: impl Into<Input<'i>>) -> Result<Embedding, Error> {
        self.one(image.into(), embeddings)
    }

    /// Embeds many images, in batches, on all threads.
    ///
    /// # Errors
    /// Each image has its own, as for [`Classifier::classify`]; the others go on.
    pub fn embed_all<I>(&self, images: I) -> Answers<'_, Embedding>
    where
        I: IntoIterator<Item: Into<Input<'static>>, IntoIter: Send + 'static>,
    {
        self.all(images.into_iter(), embeddings)
    }

    /// Classifies and embeds many images at one go, in batches, on all threads: the answers of
    /// [`Classifier::classify_all`] and [`Classifier::embed_all`] for the price of one.
    ///
    /// # Errors
    /// Each image has its own, as for [`Classifier::classify`]; the others go on.
    pub fn classify_and_embed_all<I>(&self, images: I) -> Answers<'_, (Prediction, Embedding)>
    where
        I: IntoIterator<Item: Into<Input<'static>>, IntoIter: Send + 'static>,
    {
        self.all(images.into_iter(), predictions_and_embeddings)
    }

    /// Explains an answer: classifies an image, and maps where its most probable class is seen.
    ///
    /// # Errors
    /// As for [`Classifier::classify`].
    pub fn explain<'i>(&self, image: impl Into<Input<'i>>) -> Result<Explanation, Error> {
        self.one(image.into(), explanations)
    }

    /// Explains the answers about many images, in batches, on all threads.
    ///
    /// # Errors
    /// Each image has its own, as for [`Classifier::classify`]; the others go on.
    pub fn explain_all<I>(&self, images: I) -> Answers<'_, Explanation>
    where
        I: IntoIterator<Item: Into<Input<'static>>, IntoIter: Send + 'static>,
    {
        self.all(images.into_iter(), explanations)
    }

    /// Maps where in an image a class is seen, by its number.
    ///
    /// # Errors
    /// As for [`Classifier::classify`]; [`EngineError::Class`] for a class that the network does not have.
    pub fn heat_map<'i>(&self, image: impl Into<Input<'i>>, class: usize) -> Result<HeatMap, Error> {
        let ready = self.ready(image.into(), &the_image)?;
        let map = self.run(std::slice::from_ref(&ready), None, |plan, scratch, images| {
            self.require_head()?;
            plan.class_activation(images, &[class], scratch)
        });
        let map = map.map_err(|error| Error::unanswered(&ready.name, error))?;
        Ok(HeatMap { size: [map.shape[2], map.shape[3]], values: map.values })
    }

    /// Feature maps of an image after a layer, by its canonical path (`stage2.block0.conv1`, `head.act`), or after a
    /// part of the network: `stem`, `stage2` (its last block), `stage2.block1`. Layers behind it do not run. The maps
    /// after `head.pool` are the embedding, those after `head.linear` the logits, as maps of one pixel.
    ///
    /// A layer inside a part goes through a plan of its own, compiled when it is first asked for.
    ///
    /// # Errors
    /// As for [`Classifier::classify`]; [`EngineError::NoFeatures`] and [`EngineError::NoLayer`] for what the network
    /// does not have.
    pub fn features<'i>(&self, image: impl Into<Input<'i>>, layer: &str) -> Result<FeatureMap, Error> {
        let ready = self.ready(image.into(), &the_image)?;
        let maps = self.maps(std::slice::from_ref(&ready), layer);
        maps.map_err(|error| Error::unanswered(&ready.name, error))
    }

    fn maps(&self, image: &[Ready], layer: &str) -> Result<FeatureMap, Error> {
        let path = layer.parse::<LayerPath>().ok();
        let pixel = |values: Vec<f32>| FeatureMap { shape: [values.len(), 1, 1], values };
        match path {
            Some(LayerPath::Head(HeadPart::Pool | HeadPart::Dropout)) => {
                return Ok(pixel(
                    self.run(image, None, |plan, scratch, images| plan.embed(images, scratch))?,
                ));
            }
            Some(LayerPath::Head(HeadPart::Linear)) => {
                return Ok(pixel(
                    self.run(image, None, |plan, scratch, images| Ok(plan.run(images, scratch)?.to_vec()))?,
                ));
            }
            _ => {}
        }
        let maps = self.run(image, path, |plan, scratch, images| match path {
            Some(_) => plan.last(images, scratch),
            None => plan.features(images, layer, scratch),
        })?;
        let [_, channels, height, width] = maps.shape;
        Ok(FeatureMap { shape: [channels, height, width], values: maps.values })
    }

    /// Number of images that go through the network together where there are many.
    pub fn batch(&self) -> usize {
        self.options.many(self.model.spec())
    }

    /// Answers about a batch of images that are ready for the network, [`Classifier::batch`] of them at the most: for who
    /// has them in memory as the network takes them. `size` is `[height, width]` of an image.
    ///
    /// # Errors
    /// As for [`Classifier::logits`].
    pub fn classify_ready(&self, images: Images<'_>, size: [usize; 2]) -> Result<Vec<Prediction>, Error> {
        let logits = self.logits(images, size)?;
        let asked = self.asked();
        let rows = logits.chunks_exact(self.model.spec().head.classes);
        Ok(rows.map(|row| Prediction::new(row, &asked, None)).collect())
    }

    /// Embeddings of a batch of images that are ready for the network, one after another, [`Classifier::batch`] images at
    /// the most. `size` is `[height, width]` of an image.
    ///
    /// # Errors
    /// As for [`Classifier::logits`].
    pub fn embed_ready(&self, images: Images<'_>, size: [usize; 2]) -> Result<Vec<f32>, Error> {
        let served = Served { size, batch: self.batch(), until: None };
        self.plans.with(&self.model, served, |plan, scratch| Ok(plan.embed(images, scratch)?.to_vec()))
    }

    /// Logits of a batch of images that are ready for the network, `[batch][classes]`: for an evaluation that prepares
    /// its own. They are what the head gives, before the temperature of a calibrated network. `size` is `[height, width]` of an image.
    ///
    /// # Errors
    /// [`Error::Model`] and [`Error::Engine`]; the latter counts images in the batch.
    pub fn logits(&self, images: Images<'_>, size: [usize; 2]) -> Result<Vec<f32>, Error> {
        let served = Served { size, batch: self.batch(), until: None };
        self.plans.with(&self.model, served, |plan, scratch| {
            self.require_head()?;
            Ok(plan.run(images, scratch)?.to_vec())
        })
    }

    /// A backbone without a head has no classes.
    fn require_head(&self) -> Result<(), EngineError> {
        if self.model.has_head() { Ok(()) } else { Err(EngineError::NoHead) }
    }

    /// Meaning of the network's answers.
    fn asked(&self) -> Asked<'_> {
        let (task, temperature) = (&self.model.spec().task, self.model.temperature());
        Asked { classes: &self.classes, task, temperature }
    }

    fn channels(&self) -> usize {
        self.model.network().input()[0]
    }

    /// Decodes an image and brings it to what the network takes; `name` is that of images without a file.
    pub(crate) fn ready(&self, image: Input<'_>, name: &dyn Fn() -> String) -> Result<Ready, Error> {
        image.ready(&self.fit, self.channels(), name)
    }

    fn one<T>(&self, image: Input<'_>, task: Task<T>) -> Result<T, Error> {
        let ready = self.ready(image, &the_image)?;
        let answers = self.ask(task, std::slice::from_ref(&ready), self.options.single());
        let mut answers = answers.map_err(|error| Error::unanswered(&ready.name, error))?;
        // A task gives an answer for each image.
        Ok(answers.remove(0))
    }

    fn all<I, T>(&self, images: I, task: Task<T>) -> Answers<'_, T>
    where
        I: Iterator<Item: Into<Input<'static>>> + Send + 'static,
    {
        // One thread reads the iterator, which may wait for its next item.
        let options = PipelineOptions::new(1, 2 * Answers::<T>::round(self))
            .with(|options| options.waits_for_items = true);
        let images = images.map(Into::into).enumerate();
        Answers::new(self, task, Pipeline::start(images, options, |image, _stopped| image))
    }

    /// Asks about images of one size, `batch` of them at the most.
    pub(crate) fn ask<T>(&self, task: Task<T>, images: &[Ready], batch: usize) -> Result<Vec<T>, Error> {
        let served = Served { size: size(images), batch, until: None };
        self.run_as(images, served, |plan, scratch, values| task(self, plan, scratch, values, images))
    }

    /// Asks about images of one size, `batch` of them at the most; the error of one does not keep the others from their
    /// answers.
    pub(crate) fn ask_each<T>(
        &self,
        task: Task<T>,
        mut images: &[Ready],
        batch: usize,
    ) -> Vec<Result<T, Error>> {
        let mut answered = Vec::with_capacity(images.len());
        while let Some(first) = images.first() {
            match self.ask(task, images, batch) {
                Ok(answers) => {
                    answered.extend(answers.into_iter().map(Ok));
                    break;
                }
                Err(Error::Engine(EngineError::NotFinite { image })) if image < images.len() => {
                    answered.extend(self.ask_each(task, &images[..image], batch));
                    let error = Error::Engine(EngineError::NotFinite { image: 0 });
                    answered.push(Err(Error::unanswered(&images[image].name, error)));
                    images = &images[image + 1..];
                }
                Err(error) => {
                    answered.push(Err(Error::unanswered(&first.name, error)));
                    images = &images[1..];
                }
            }
        }
        answered
    }

    /// Runs a plan for single images, up to a layer or to the logits.
    fn run<R>(
        &self,
        image: &[Ready],
        until: Option<LayerPath>,
        body: impl FnOnce(&Plan, &mut Scratch, Images<'_>) -> Result<R, EngineError>,
    ) -> Result<R, Error> {
        self.run_as(image, Served { size: size(image), batch: self.options.single(), until }, body)
    }

    fn run_as<R>(
        &self,
        images: &[Ready],
        served: Served,
        body: impl FnOnce(&Plan, &mut Scratch, Images<'_>) -> Result<R, EngineError>,
    ) -> Result<R, Error> {
        let bytes = |ready: &Ready| match &ready.pixels {
            Pixels::Image(image) => image.pixels().to_vec(),
            Pixels::Tensor(..) => Vec::new(),
        };
        let values = |ready: &Ready| match &ready.pixels {
            Pixels::Image(_) => Vec::new(),
            Pixels::Tensor(tensor, _) => tensor.data().to_vec(),
        };
        let is_tensor = matches!(images.first(), Some(Ready { pixels: Pixels::Tensor(..), .. }));
        self.plans.with(&self.model, served, |plan, scratch| match images {
            [Ready { pixels: Pixels::Image(image), .. }] => {
                body(plan, scratch, Images::Interleaved(image.pixels()))
            }
            [Ready { pixels: Pixels::Tensor(tensor, _), .. }] => {
                body(plan, scratch, Images::Planar(tensor.data()))
            }
            _ if is_tensor => {
                let values: Vec<f32> = images.iter().flat_map(values).collect();
                body(plan, scratch, Images::Planar(&values))
            }
            _ => {
                let bytes: Vec<u8> = images.iter().flat_map(bytes).collect();
                body(plan, scratch, Images::Interleaved(&bytes))
            }
        })
    }
}

/// Name of an image that has none.
pub(crate) fn the_image() -> String {
    "the image".to_owned()
}

/// Names of a model's classes: its own, or those that such networks are published with.
fn class_names(model: &Model) -> Option<Vec<String>> {
    let task = &model.spec().task;
    // Those of published networks are single labels.
    let published = || published::class_names(model.spec()).filter(|_| task.is_single_label());
    let targets: Vec<String> = task.targets().iter().map(|target| target.name.clone()).collect();
    let own = model.classes().map(<[String]>::to_vec).or((!targets.is_empty()).then_some(targets));
    own.or_else(|| Some(published()?.iter().map(|&name| name.to_owned()).collect()))
}

/// `[height, width]` of images of one size.
fn size(images: &[Ready]) -> [usize; 2] {
    images.first().map(Ready::size).unwrap_or_default()
}

pub(crate) fn predictions(
    classifier: &Classifier,
    plan: &Plan,
    scratch: &mut Scratch,
    images: Images<'_>,
    ready: &[Ready],
) -> Result<Vec<Prediction>, EngineError> {
    classifier.require_head()?;
    let logits = plan.run(images, scratch)?;
    let rows = logits.chunks_exact(plan.classes()).zip(ready);
    let asked = classifier.asked();
    Ok(rows.map(|(row, ready)| Prediction::new(row, &asked, ready.file.clone())).collect())
}

pub(crate) fn embeddings(
    _: &Classifier,
    plan: &Plan,
    scratch: &mut Scratch,
    images: Images<'_>,
    ready: &[Ready],
) -> Result<Vec<Embedding>, EngineError> {
    let all = plan.embed(images, scratch)?;
    Ok(all.chunks_exact(all.len() / ready.len()).map(<[f32]>::to_vec).collect())
}

pub(crate) fn predictions_and_embeddings(
    classifier: &Classifier,
    plan: &Plan,
    scratch: &mut Scratch,
    images: Images<'_>,
    ready: &[Ready],
) -> Result<Vec<(Prediction, Embedding)>, EngineError> {
    classifier.require_head()?;
    let (embeddings, logits) = plan.embed_and_run(images, scratch)?;
    let asked = classifier.asked();
    let vectors = embeddings.chunks_exact(embeddings.len() / ready.len());
    let rows = logits.chunks_exact(plan.classes()).zip(vectors).zip(ready);
    let pair = |((row, vector), ready): ((&[f32], &[f32]), &Ready)| {
        (Prediction::new(row, &asked, ready.file.clone()), vector.to_vec())
    };
    Ok(rows.map(pair).collect())
}

pub(crate) fn explanations(
    classifier: &Classifier,
    plan: &Plan,
    scratch: &mut Scratch,
    images: Images<'_>,
    ready: &[Ready],
) -> Result<Vec<Explanation>, EngineError> {
    let predictions = predictions(classifier, plan, scratch, images, ready)?;
    let classes: Vec<usize> = predictions.iter().map(|prediction| prediction.best().index).collect();
    let maps = plan.class_activation(images, &classes, scratch)?;
    let size = [maps.shape[2], maps.shape[3]];
    let parts = maps.values.chunks_exact(size[0] * size[1]).zip(classes).zip(predictions).zip(ready);
    let explanation = |(((map, class), prediction), ready): (((&[f32], usize), Prediction), &Ready)| {
        let image = match &ready.pixels {
            Pixels::Image(image) => Some(image.clone()),
            Pixels::Tensor(_, image) => image.clone(),
        };
        Explanation { prediction, class, map: HeatMap { size, values: map.to_vec() }, image }
    };
    Ok(parts.map(explanation).collect())
}
