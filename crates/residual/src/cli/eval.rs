//! `residual eval`: how well a network does on labelled images.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use residual::arch::NetSpec;
use residual::arch::published::class_names;
use residual::data::{DataSource, Dataset, HELD_OUT, OpenOptions, Split};
use residual::evaluation::{Measured, Options, Share, Views, Watch, answer, machine, pictures, sections};
use residual::predict::{self, Classifier};
use residual::report::Page;
use residual::weights::require_memory;
use serde::Serialize;

use super::command::own_command;
use super::failure::{Failure, Outcome};
use super::lists::ListArguments;
use super::network::NetworkArguments;
use super::output::Output;
use super::own_page;
use super::progress::{Bar, note};
use super::threads;

const EXAMPLE: &str = "\
Examples:
  residual eval --weights runs/first/best.safetensors --data sample
  residual eval --model cifar_resnet20 --weights resnet20.th \\
                --data cifar10-images.tar.gz --json
  residual eval --weights runs/first --data photos --tta flip --report eval.html

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
    /// Test-time augmentation: the mean probabilities of the image and its mirror image, or of ten crops.
    #[arg(long, value_name = "none|flip|flip+crops", default_value_t, hide_default_value = true)]
    tta: Views,
    /// Write a page: intervals, confusion, calibration, classes, worst and best images with their heat maps.
    #[arg(long, value_name = "PAGE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object: top1_correct, top5_correct, total, loss, and what the page shows.
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
    arguments.report.as_deref().map_or(Ok(()), own_page::check_free)?;
    let model = arguments.network.open()?;
    let (spec, naming) = (model.spec().clone(), model.naming());
    let data = open(arguments, model.classes(), &spec)?;
    let split = data.resolve(arguments.split.into())?;
    let images = data.split(split)?;
    let options = Options::default().with(|options| {
        options.views = arguments.tta;
        options.images.batch_size = arguments.batch_size;
        options.images.workers = threads::decoding(threads);
        options.images.skip_bad = arguments.skip_bad;
    });
    // Every decoding thread has a batch in hand, and so has the network.
    let at_once = arguments.batch_size.min(images.len()).saturating_mul(options.images.workers + 1);
    require_memory(model.network(), 1, at_once as u64)?;
    let compiled = predict::Options::new().threads(threads).batch(arguments.batch_size).lazy();
    let classifier = Classifier::new(model, compiled)?;
    let images = Arc::new(images);
    let mut watched = Watched { bar: Bar::new(images.len()), skipped: 0 };
    let answers = answer(&classifier, images.clone(), &options, &mut watched)?;
    watched.bar.clear();
    let Some(answers) = answers.filter(|answers| answers.evaluation().total > 0) else {
        return Err(Failure::new("no images to evaluate on"));
    };
    images.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    if watched.skipped > 0 {
        note(&format!("left out {} images that cannot be decoded", watched.skipped));
    }
    let measured = answers.measure();
    if let Some(path) = &arguments.report {
        let shown = pictures(&classifier, &*images, &answers);
        let words = format!("{} on the {split} split of {}", spec.name, arguments.data.display());
        write_report(path, &words, arguments.tta, sections(&answers, &measured, shown))?;
    }
    let mut output = Output::new();
    if arguments.json {
        return output.json(&Printed { measured: &measured, tta: arguments.tta.to_string() });
    }
    let total = measured.evaluation.total;
    output.line(format_args!("{} ({naming} names), {split} split, {total} images", spec.name))?;
    table(&measured, arguments.tta).iter().try_for_each(|line| output.line(line))
}

/// JSON of an evaluation.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    tta: String,
}

/// Lines of the result. Of fewer than six classes every answer is among the first five.
fn table(measured: &Measured, tta: Views) -> Vec<String> {
    let top = |k, share: &Share, correct| {
        let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
        format!("top-{k}  {value:6.2}%  {correct} correct  (95%: {low:.1}% to {high:.1}%)")
    };
    let evaluation = &measured.evaluation;
    let mut lines = vec![top(1, &measured.top1, evaluation.top1_correct)];
    if measured.classes.len() > 5 {
        lines.push(top(5, &measured.top5, evaluation.top5_correct));
    }
    lines.push(format!("loss   {:7.4}", evaluation.loss));
    lines.push(format!("F1     {:6.2}%  mean of the classes", 100.0 * measured.macro_f1.value));
    lines.push(format!("ECE    {:6.2}%  calibration error", 100.0 * measured.ece));
    if tta != Views::One {
        lines.push(format!("mean of {} views of each image ({tta})", tta.count()));
    }
    lines
}

/// Writes the page of `--report`.
fn write_report(path: &Path, words: &str, tta: Views, sections: Page) -> Outcome {
    let views = match tta {
        Views::One => String::new(),
        _ => format!(" The probabilities are the mean of {} views of each image ({tta}).", tta.count()),
    };
    let threads = residual::kernels::Pool::machine_threads();
    let page = Page::new("Evaluation")
        .text(&format!("{words}.{views}"))
        .with(sections)
        .heading("To repeat it")
        .verbatim(&own_command())
        .text(&machine(threads));
    own_page::write(path, &page)?;
    note(&format!("report: {}", path.display()));
    Ok(())
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

/// What is shown while images are evaluated.
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
        self.bar.line(&format!("left out: {reason}"));
    }
}
