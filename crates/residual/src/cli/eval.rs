//! `residual eval`: how well a network does on labelled images.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::data::{Dataset, Split};
use residual::train::{DataRecipe, EvaluateOptions, Evaluation, Observer, evaluate};

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::Bar;
use super::{threads, weights};

const EXAMPLE: &str = "\
Examples:
  residual eval --weights runs/first/best.safetensors --data sample
  residual eval --model cifar_resnet20 --weights resnet20.th \\
                --data cifar10-images.tar.gz --json

Weights without a description need --model; images are then prepared as that
family does it. Their tensors may be named as torchvision, timm or CIFAR
checkpoints name them.";

/// Evaluate a network on a folder or an archive of labelled images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A trained .safetensors, or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The network of bare weights: a family member or a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    /// `sample`, or a folder or archive of images.
    #[arg(long, value_name = "sample|PATH")]
    data: PathBuf,
    /// Which images. Data have a val or a test split; either answers for the other.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Where the data are one folder without splits: the fraction held out, as in training. [default: 0.1]
    #[arg(long, value_name = "FRACTION")]
    validation: Option<f64>,
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Count and leave out images that cannot be decoded.
    #[arg(long)]
    skip_bad: bool,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
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
    threads::limit(arguments.threads)?;
    let loaded = weights::load(&arguments.weights, arguments.model.as_deref())?;
    let spec = loaded.network.spec();
    let data = open(arguments, loaded.classes.as_deref(), spec.head.classes)?;
    let split = data.resolve(arguments.split.into())?;
    let images = data.split(split)?;
    let options = EvaluateOptions {
        batch_size: arguments.batch_size,
        workers: threads::count(arguments.threads),
        skip_bad: arguments.skip_bad,
    };
    let mut watch = Watch { bar: Bar::new(images.len()), skipped: 0 };
    let result = evaluate(&loaded.network, &images, &options, &mut watch)?;
    watch.bar.clear();
    if watch.skipped > 0 {
        eprintln!("left out {} images that cannot be decoded", watch.skipped);
    }
    let mut output = Output::new();
    if arguments.json {
        return output.json(&result);
    }
    let naming = weights::naming_text(loaded.naming);
    output.line(format_args!("{} ({naming} names), {split} split, {} images", spec.name, result.total))?;
    table(&result).iter().try_for_each(|line| output.line(line))
}

fn table(result: &Evaluation) -> [String; 3] {
    let percent = |correct: u64| 100.0 * correct as f64 / result.total.max(1) as f64;
    let top = |k, correct| format!("top-{k}  {:6.2}%  {correct} correct", percent(correct));
    [top(1, result.top1_correct), top(5, result.top5_correct), format!("loss   {:7.4}", result.loss)]
}

/// Opens the data, with the labels that the network's outputs have.
fn open(arguments: &Arguments, classes: Option<&[String]>, outputs: usize) -> Outcome<Dataset> {
    let defaults = DataRecipe::default();
    let validation = arguments.validation.unwrap_or(defaults.validation);
    let data = DataRecipe { path: arguments.data.clone(), validation, ..defaults }.open()?;
    match classes {
        Some(classes) => Ok(data.with_classes(classes)?),
        None if data.classes.len() == outputs => Ok(data),
        None => Err(classes_differ(&arguments.data, data.classes.len(), &arguments.weights, outputs)),
    }
}

fn classes_differ(data: &Path, found: usize, weights: &Path, outputs: usize) -> Failure {
    let (data, weights) = (data.display(), weights.display());
    Failure::new(format_args!(
        "{data}: {found} classes, but {weights} is a network for {outputs}; evaluate it on data with the same classes"
    ))
}

struct Watch {
    bar: Bar,
    skipped: usize,
}

impl Observer for Watch {
    fn evaluating(&mut self, done: usize, _total: usize) {
        self.bar.set(done);
    }

    fn skipped(&mut self, reason: &str) {
        self.skipped += 1;
        self.bar.line(&format!("left out: {reason}"));
    }
}
