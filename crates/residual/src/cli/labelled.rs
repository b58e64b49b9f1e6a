//! Labelled images that a network is asked about.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use residual::arch::published::class_names;
use residual::data::{DataSource, Dataset, HELD_OUT, ImageSet, OpenOptions, Split};
use residual::evaluation::{self, Answers, Options, TaskAnswers, Views, Watch, answer, answer_task};
use residual::predict::{self, Classifier};
use residual::weights::{Model, require_memory};

use super::failure::{Failure, Outcome};
use super::lists::ListArguments;
use super::network::NetworkArguments;
use super::progress::{Bar, note};
use super::threads;

/// Flags of every command that asks a network about labelled images.
#[derive(Debug, Args)]
pub(crate) struct LabelledArguments {
    /// `sample`, or a folder, archive, list, .parquet or shards ({000..010}.tar) of images.
    #[arg(long, value_name = "sample|PATH")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) list: ListArguments,
    /// Fraction held out of data without splits, as in training. [default: 0.1]
    #[arg(long, value_name = "FRACTION")]
    validation: Option<f64>,
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) batch_size: usize,
    /// Count and leave out images that cannot be decoded.
    #[arg(long)]
    pub(crate) skip_bad: bool,
}

/// Name of a split.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SplitName {
    Train,
    Val,
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Val => Self::Val,
            SplitName::Test => Self::Test,
        }
    }
}

/// Images of a split, with the labels that the network's outputs have.
pub(crate) struct Labelled {
    pub(crate) split: Split,
    pub(crate) images: Arc<ImageSet>,
}

/// Network that is asked about images.
pub(crate) struct Asking {
    pub(crate) classifier: Classifier,
    images: Arc<ImageSet>,
    options: Options,
}

impl Asking {
    /// Answers of a classifier of single labels, with its logits: one at least.
    pub(crate) fn answers(&self) -> Outcome<Answers> {
        self.ask(
            |options, watched| answer(&self.classifier, self.images.clone(), options, watched),
            |answers| answers.list().len(),
        )
    }

    /// Answers of a network of another task: one at least.
    pub(crate) fn task_answers(&self) -> Outcome<TaskAnswers> {
        self.ask(
            |options, watched| answer_task(&self.classifier, self.images.clone(), options, watched),
            TaskAnswers::images,
        )
    }

    fn ask<T>(
        &self,
        answers: impl FnOnce(&Options, &mut Watched) -> Result<Option<T>, evaluation::Error>,
        images: impl FnOnce(&T) -> usize,
    ) -> Outcome<T> {
        let mut watched = Watched { bar: Bar::new(self.images.len()), skipped: 0 };
        let found = answers(&self.options, &mut watched)?;
        let Watched { bar, skipped } = watched;
        drop(bar);
        let Some(found) = found.filter(|found| images(found) > 0) else {
            return Err(Failure::new("no images to evaluate on"));
        };
        self.images.notes().iter().for_each(|noticed| note(&noticed.to_string()));
        if skipped > 0 {
            note(&format!("left out {skipped} images that cannot be decoded"));
        }
        Ok(found)
    }
}

impl LabelledArguments {
    /// Opens the images of a split.
    pub(crate) fn open(&self, model: &Model, network: &NetworkArguments, split: Split) -> Outcome<Labelled> {
        let data = open(self, model, network)?;
        let split = data.resolve(split)?;
        Ok(Labelled { split, images: Arc::new(data.split(split)?) })
    }

    /// Compiles the network, to ask it about views of all images.
    pub(crate) fn asking(
        &self,
        model: Model,
        network: &NetworkArguments,
        images: &Arc<ImageSet>,
        views: Views,
    ) -> Outcome<Asking> {
        let threads = network.threads();
        let options = Options::default().with(|options| {
            (options.views, options.keep_logits) = (views, true);
            options.images.batch_size = self.batch_size;
            options.images.workers = threads::decoding(threads);
            options.images.skip_bad = self.skip_bad;
        });
        // Every decoding thread has a batch in hand, and so has the network.
        let at_once = self.batch_size.min(images.len()).saturating_mul(options.images.workers + 1);
        require_memory(model.network(), 1, at_once as u64)?;
        let compiled = predict::Options::new().threads(threads).batch(self.batch_size).lazy();
        let classifier = Classifier::new(model, compiled)?;
        Ok(Asking { classifier, images: images.clone(), options })
    }
}

/// Opens the data, with the labels that the network's outputs have.
pub(crate) fn open(
    arguments: &LabelledArguments,
    model: &Model,
    network: &NetworkArguments,
) -> Outcome<Dataset> {
    let (spec, classes) = (model.spec(), model.classes());
    let outputs = spec.head.classes;
    let path = &arguments.data;
    let source = path.to_str().map_or_else(|| DataSource::from(path.clone()), DataSource::from);
    let holdout = arguments.validation.unwrap_or(HELD_OUT);
    let options = OpenOptions::default().with(|options| {
        (options.holdout, options.skip_bad) = (holdout, arguments.skip_bad);
        arguments.list.put(options);
        options.task = spec.task.kind();
        // Those that it was trained on.
        if spec.task.targets().len() > 1
            && options.columns.label.is_none()
            && options.columns.labels.is_empty()
        {
            options.columns.labels = spec.task.targets().iter().map(|target| target.name.clone()).collect();
        }
    });
    let data = Dataset::open(&source, &options)?;
    data.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    if let Some(classes) = classes {
        return Ok(data.with_classes(classes)?);
    }
    // Without names of its own, a network may be one whose classes everybody knows.
    let published = class_names(spec).unwrap_or_default();
    let published: Vec<String> = published.iter().map(|&name| name.to_owned()).collect();
    match data.clone().with_classes(&published) {
        Ok(data) => Ok(data),
        // Its outputs are in the order of the data's classes.
        Err(_) if data.classes.len() == outputs => Ok(data),
        Err(error) if !published.is_empty() => Err(error.into()),
        Err(_) => Err(classes_differ(&arguments.data, data.classes.len(), network.weights(), outputs)),
    }
}

fn classes_differ(data: &Path, found: usize, weights: &Path, outputs: usize) -> Failure {
    let (data, weights) = (data.display(), weights.display());
    Failure::new(format_args!(
        "{data}: {found} classes, but {weights} is a network for {outputs}; help: evaluate it on data with the same classes"
    ))
}

/// Progress of an evaluation: a bar, and a line for each image that is left out.
struct Watched {
    bar: Bar,
    skipped: usize,
}

impl Watch for Watched {
    fn progress(&mut self, done: usize) {
        self.bar.set(done);
    }

    fn skipped(&mut self, reason: &str) {
        self.skipped += 1;
        note(&format!("left out: {reason}"));
    }
}
