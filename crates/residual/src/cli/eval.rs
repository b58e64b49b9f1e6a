//! `residual eval`: how well a network does on labelled images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use residual::arch::NetSpec;
use residual::arch::published::class_names;
use residual::data::{
    Batch, DataSource, Dataset, EvaluateOptions, Evaluation, HELD_OUT, ImageSet, Judged, OpenOptions, Source,
    Split, evaluate, evaluate_task,
};
use residual::engine::{Error as EngineError, Images};
use residual::predict::{Classifier, Error, Options};
use residual::weights::require_memory;

use super::eval_task;
use super::failure::{Failure, Outcome};
use super::lists::ListArguments;
use super::network::NetworkArguments;
use super::output::Output;
use super::progress::{Bar, note};
use super::threads;

const EXAMPLE: &str = "\
Examples:
  residual eval --weights runs/first/best.safetensors --data sample
  residual eval --model cifar_resnet20 --weights resnet20.th \\
                --data cifar10-images.tar.gz --json

Weights without a description are told by their tensors; --model names another
network. Images are then prepared as for the published checkpoint that it names:
resnet50.a1_in1k, resnet50:IMAGENET1K_V1, or the default one of a bare resnet50.";

/// Evaluate a network on a folder or an archive of labelled images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,
    /// `sample`, or a folder, archive, list, .parquet or shards ({000..010}.tar) of images.
    #[arg(long, value_name = "sample|PATH")]
    data: PathBuf,
    #[command(flatten)]
    list: ListArguments,
    /// Split of the data. Where there is only one of val and test, it is taken for either.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Fraction held out of data without splits, as in training. [default: 0.1]
    #[arg(long, value_name = "FRACTION")]
    validation: Option<f64>,
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Count and leave out images that cannot be decoded.
    #[arg(long)]
    skip_bad: bool,
    /// Print one JSON object: top1_correct, top5_correct, total, loss.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
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

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let threads = arguments.network.threads();
    let model = arguments.network.open()?;
    let (spec, naming) = (model.spec().clone(), model.naming());
    let data = open(arguments, model.classes(), &spec)?;
    let split = data.resolve(arguments.split.into())?;
    let images = data.split(split)?;
    let options = EvaluateOptions::default().with(|options| {
        options.batch_size = arguments.batch_size;
        options.workers = threads::decoding(threads);
        options.skip_bad = arguments.skip_bad;
    });
    // Every decoding thread has a batch in hand, and so has the network.
    let at_once = arguments.batch_size.min(images.len()).saturating_mul(options.workers + 1);
    require_memory(model.network(), 1, at_once as u64)?;
    let compiled = Options::new().threads(threads).batch(arguments.batch_size).lazy();
    let classifier = Classifier::new(model, compiled)?;
    let mut judge = Judge { classifier, images: images.clone(), bar: Bar::new(images.len()), skipped: 0 };
    let task = spec.task.clone();
    if !task.is_single_label() {
        let names = images.classes().to_vec();
        let found = evaluate_task(&mut judge, Arc::new(images), spec.preprocess.clone(), &options, &task)?;
        let found = judge.finished(found.filter(|found| found.total > 0))?;
        let mut output = Output::new();
        if arguments.json {
            return eval_task::json(&mut output, &found, &names);
        }
        output.line(format_args!("{} ({naming} names), {task}", spec.name))?;
        output.line(format_args!("{split} split, {} images", found.total))?;
        return eval_task::lines(&mut output, &found, &names);
    }
    let result = evaluate(&mut judge, Arc::new(images), spec.preprocess, &options)?;
    let result = judge.finished(result.filter(|result| result.total > 0))?;
    let mut output = Output::new();
    if arguments.json {
        return output.json(&result);
    }
    output.line(format_args!("{} ({naming} names), {split} split, {} images", spec.name, result.total))?;
    table(&result, spec.head.classes).iter().try_for_each(|line| output.line(line))
}

/// Lines of the result. Of fewer than six classes every answer is among the first five.
fn table(result: &Evaluation, classes: usize) -> Vec<String> {
    let percent = |correct: u64| 100.0 * correct as f64 / result.total.max(1) as f64;
    let top = |k, correct| format!("top-{k}  {:6.2}%  {correct} correct", percent(correct));
    let mut lines = vec![top(1, result.top1_correct)];
    if classes > 5 {
        lines.push(top(5, result.top5_correct));
    }
    lines.push(format!("loss   {:7.4}", result.loss));
    lines
}

/// Opens the data, with the labels that the network's outputs have.
fn open(arguments: &Arguments, classes: Option<&[String]>, spec: &NetSpec) -> Outcome<Dataset> {
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
        Err(_) => {
            Err(classes_differ(&arguments.data, data.classes.len(), arguments.network.weights(), outputs))
        }
    }
}

fn classes_differ(data: &Path, found: usize, weights: &Path, outputs: usize) -> Failure {
    let (data, weights) = (data.display(), weights.display());
    Failure::new(format_args!(
        "{data}: {found} classes, but {weights} is a network for {outputs}; help: evaluate it on data with the same classes"
    ))
}

/// The network that is judged, and what is shown meanwhile.
struct Judge {
    classifier: Classifier,
    images: ImageSet,
    bar: Bar,
    skipped: usize,
}

impl Judge {
    /// The result, after what was noticed on the way.
    fn finished<R>(&self, result: Option<R>) -> Outcome<R> {
        self.bar.clear();
        let result = result.ok_or_else(|| Failure::new("no images to evaluate on"))?;
        self.images.notes().iter().for_each(|noticed| note(&noticed.to_string()));
        if self.skipped > 0 {
            note(&format!("left out {} images that cannot be decoded", self.skipped));
        }
        Ok(result)
    }
}

impl Judged for Judge {
    type Error = Failure;

    fn logits(&mut self, batch: Batch) -> Outcome<Vec<f32>> {
        let classes = self.classifier.classes().len();
        if let Some(label) = batch.labels.iter().find(|&&label| label >= classes) {
            return Err(Failure::new(format_args!(
                "label {label} is beyond the network's {classes} classes; help: give the data that it was trained on"
            )));
        }
        let [_, channels, height, width] = batch.shape;
        let logits = self.classifier.logits(Images::Planar(&batch.images), [height, width]);
        logits.map_err(|error| match error {
            Error::Engine(EngineError::Shape(cause)) => Failure::new(format_args!(
                "images of {:?} do not fit the network: {}: {}; help: give the preprocessing a resize or a crop",
                [channels, height, width],
                cause.place(),
                cause.found()
            )),
            Error::Engine(error @ EngineError::NotFinite { image }) => {
                Failure::from(error).within(self.images.file(batch.indices[image]))
            }
            error => error.into(),
        })
    }

    fn progress(&mut self, done: usize) {
        self.bar.set(done);
    }

    fn skipped(&mut self, reason: &str) {
        self.skipped += 1;
        self.bar.line(&format!("left out: {reason}"));
    }
}
