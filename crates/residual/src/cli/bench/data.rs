//! `residual bench data`: the speed from files to batches.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use residual::arch::{OrientationPolicy, Preprocess};
use residual::data::{
    Augment, CacheLimit, CachePlan, DataSource, Dataset, ImageSet, Loader, LoaderOptions, OpenOptions,
    Source, Split, StageTimes,
};
use residual::train::Recipe;
use serde::Serialize;

use super::memory::peak_mib;
use super::pace::Pace;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::lists::ListArguments;
use crate::cli::output::Output;
use crate::cli::progress::note;
use crate::cli::recipes;
use crate::cli::table::{Align, Table};
use crate::cli::threads;

const EXAMPLE: &str = "\
Examples:
  residual bench data photos
  residual bench data cifar10-images.tar.gz --epochs 3 --cache off
  residual bench data photos --recipe runs/first/recipe.toml --threads 1 --json
  residual bench data photos --augment random_resized_crop,aug_mix

Reads the training images as `residual train` does: in random order, decoded,
augmented and normalised into batches, which nobody uses. Small images keep
their size, others become 224 pixels wide, unless --size or --recipe says.";

/// Measure how fast images become batches, stage by stage.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// `sample`, or a folder, archive or list of images.
    #[arg(value_name = "sample|PATH")]
    data: PathBuf,
    #[command(flatten)]
    list: ListArguments,
    /// A recipe, whose preprocessing, augmentation, batches and seed are taken.
    #[arg(long, value_name = "NAME|FILE.toml", conflicts_with = "size")]
    recipe: Option<PathBuf>,
    /// Side of the images in a batch. [default: their own up to 64, else 224]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=2048))]
    size: Option<u16>,
    /// Images as they are: no crops, no flips.
    #[arg(long)]
    no_augment: bool,
    /// Augmentations in place of the recipe's, as of `train`: random_resized_crop,rand_augment:magnitude=12.
    #[arg(long, value_name = "NAME[:FIELD=VALUE]...,...", conflicts_with = "no_augment")]
    augment: Option<String>,
    /// Images in a batch. [default: 64]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the images.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    epochs: u32,
    /// Memory for decoded images: auto, off, or a size such as 2GB.
    #[arg(long, value_name = "auto|off|SIZE", default_value_t)]
    cache: CacheLimit,
    /// Threads that decode. [default: 1, then 2]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Count and leave out images that cannot be decoded.
    #[arg(long)]
    skip_bad: bool,
    /// Print one JSON object: images, shape, open_ms, peak_rss_mib, and runs, of
    /// which each has threads, images_per_s, first_thousand_per_s,
    /// last_thousand_per_s, first_batch_ms, cache and stages.
    #[arg(long)]
    json: bool,
}

/// Small images, of this side at most, are not resized.
const SMALL: usize = 64;
const LARGE: usize = 224;

#[derive(Serialize)]
struct Measured {
    data: String,
    split: String,
    /// Images of an epoch.
    images: usize,
    /// `[channels, height, width]` in a batch.
    shape: [usize; 3],
    batch_size: usize,
    epochs: u32,
    /// From the path to a list of images and labels.
    open_ms: f64,
    runs: Vec<Run>,
    peak_rss_mib: Option<f64>,
}

/// Measurement with one number of threads.
#[derive(Serialize)]
struct Run {
    threads: usize,
    images_per_s: f64,
    first_thousand_per_s: f64,
    last_thousand_per_s: f64,
    /// From the list of images to the first batch.
    first_batch_ms: f64,
    skipped: usize,
    cache: String,
    stages: Stages,
}

/// Milliseconds that a thread spends on an image.
#[derive(Serialize)]
struct Stages {
    read_ms: f64,
    decode_ms: f64,
    resize_ms: f64,
    augment_ms: f64,
    normalise_ms: f64,
    /// All else: the batch's memory, waiting for the reader and for each other.
    hand_over_ms: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let begin = Instant::now();
    let data = open(arguments)?;
    let split = if data.splits().contains(&Split::Train) { Split::Train } else { data.splits()[0] };
    let images = data.split(split)?;
    let open_ms = ms(begin.elapsed());
    data.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    let options = options(arguments, &data, &images)?;
    let counts = arguments.threads.map_or(vec![1, 2], |threads| vec![threads]);
    let mut shape = [0; 3];
    let mut runs = Vec::new();
    for threads in counts {
        let options = options.clone().with(|options| options.workers = threads);
        runs.push(measure(&images, options, arguments, &mut shape)?);
    }
    images.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    let measured = Measured {
        data: arguments.data.display().to_string(),
        split: split.to_string(),
        images: images.len(),
        shape,
        batch_size: options.batch_size,
        epochs: arguments.epochs,
        open_ms,
        runs,
        peak_rss_mib: peak_mib(),
    };
    print(&measured, arguments.json)
}

fn open(arguments: &Arguments) -> Outcome<Dataset> {
    let path = &arguments.data;
    let source = path.to_str().map_or_else(|| DataSource::from(path.clone()), DataSource::from);
    let options = OpenOptions::default().with(|options| {
        options.skip_bad = arguments.skip_bad;
        arguments.list.put(options);
    });
    Ok(Dataset::open(&source, &options)?)
}

/// Options of an epoch, as a training by the recipe has them.
fn options(arguments: &Arguments, data: &Dataset, images: &ImageSet) -> Outcome<LoaderOptions> {
    let mut recipe = match &arguments.recipe {
        Some(given) => recipes::given(given)?,
        None => Recipe::default().with(|recipe| recipe.preprocess = Some(preprocess(arguments.size, images))),
    };
    recipe.batch_size = arguments.batch_size.or(recipe.batch_size).or(Some(64));
    if arguments.no_augment {
        recipe.augment = Some(Vec::new());
    }
    if let Some(text) = &arguments.augment {
        recipe.augment = Some(Augment::parse_list(text)?);
    }
    // Reading images needs no two classes.
    let classes = if data.classes.len() < 2 { vec![String::new(); 2] } else { data.classes.clone() };
    let (recipe, spec) = recipe.settle(&classes, images.len())?;
    Ok(LoaderOptions::evaluation(recipe.images_per_step(), spec.preprocess).with(|options| {
        options.shuffle = true;
        options.seed = recipe.seed;
        options.augment = recipe.augment.unwrap_or_default();
        options.skip_bad = arguments.skip_bad;
    }))
}

/// Preprocessing to a size; by default to that of the first image that can be decoded, where it is small.
fn preprocess(size: Option<u16>, images: &ImageSet) -> Preprocess {
    let first = || (0..images.len().min(8)).find_map(|index| images.read(index).ok());
    let small = || first().map(|image| image.width().min(image.height())).filter(|&side| side <= SMALL);
    let size = size.map(usize::from).or_else(small).unwrap_or(LARGE);
    // As published networks for larger images are evaluated: 256 for 224.
    let resized = if size <= SMALL { size } else { (size * 8).div_ceil(7) };
    Preprocess::imagenet(resized, size).with_orientation(OrientationPolicy::Apply)
}

/// Reads all epochs on as many threads as the options say.
fn measure(
    images: &ImageSet,
    mut options: LoaderOptions,
    arguments: &Arguments,
    shape: &mut [usize; 3],
) -> Outcome<Run> {
    let source: Arc<dyn Source> = Arc::new(images.clone());
    let begin = Instant::now();
    let plan = CachePlan::new(arguments.cache, &[(images, &options)])?;
    options.cache.clone_from(&plan.caches[0]);
    let mut pace = Pace::new(begin);
    let (mut stages, mut skipped) = (Vec::new(), 0);
    for epoch in 0..u64::from(arguments.epochs) {
        let mut loader = Loader::new(source.clone(), options.clone().with(|options| options.epoch = epoch))?;
        for batch in loader.by_ref() {
            let batch = batch?;
            pace.add(batch.labels.len());
            skipped += batch.skipped.len();
            if !batch.labels.is_empty() {
                shape.copy_from_slice(&batch.shape[1..]);
            }
        }
        stages.push(loader.stage_times());
    }
    if pace.images() == 0 {
        return Err(Failure::new("no image can be decoded"));
    }
    let threads = options.workers;
    Ok(Run {
        threads,
        images_per_s: pace.rate(),
        first_thousand_per_s: pace.first(THOUSAND),
        last_thousand_per_s: pace.last(THOUSAND),
        first_batch_ms: ms(pace.to_first()),
        skipped,
        cache: plan.to_string(),
        stages: Stages::of(&stages, &pace, threads),
    })
}

const THOUSAND: usize = 1000;

impl Stages {
    fn of(epochs: &[StageTimes], pace: &Pace, threads: usize) -> Self {
        let an_image = |time: Duration| ms(time) / pace.images() as f64;
        let sum = |of: fn(&StageTimes) -> Duration| an_image(epochs.iter().map(of).sum());
        let all = an_image(pace.elapsed()) * threads as f64;
        Self {
            read_ms: sum(|times| times.read),
            decode_ms: sum(|times| times.decode),
            resize_ms: sum(|times| times.resize),
            augment_ms: sum(|times| times.augment),
            normalise_ms: sum(|times| times.normalise),
            hand_over_ms: (all - sum(StageTimes::total)).max(0.0),
        }
    }

    fn rows(&self) -> [(&'static str, f64); 6] {
        [
            ("read", self.read_ms),
            ("decode", self.decode_ms),
            ("resize, crop", self.resize_ms),
            ("augment", self.augment_ms),
            ("normalise", self.normalise_ms),
            ("hand over", self.hand_over_ms),
        ]
    }
}

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn print(measured: &Measured, json: bool) -> Outcome {
    let mut output = Output::new();
    if json {
        return output.json(measured);
    }
    let Measured { data, split, images, shape: [channels, height, width], .. } = measured;
    let (batch, epochs) = (measured.batch_size, measured.epochs);
    output.line(format_args!("{data}: {images} images ({split}), opened in {:.1} ms", measured.open_ms))?;
    output.line(format_args!("{epochs} epochs of batches of {batch}x{channels}x{height}x{width}"))?;
    for run in &measured.runs {
        output.line("")?;
        output.line(&run.cache)?;
        if run.skipped > 0 {
            output.line(format_args!("left out {} images that cannot be decoded", run.skipped))?;
        }
        output.line(format_args!("first batch after {:.1} ms", run.first_batch_ms))?;
        table(run).lines().iter().try_for_each(|line| output.line(line))?;
    }
    if let Some(mib) = measured.peak_rss_mib {
        output.line("")?;
        output.line(format_args!("peak memory {mib:.1} MiB"))?;
    }
    Ok(())
}

fn table(run: &Run) -> Table {
    let title = if run.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", run.threads) };
    let mut table =
        Table::new(&[(&title, Align::Left), ("images/s", Align::Right), ("ms an image", Align::Right)]);
    let rates = [
        ("all", run.images_per_s),
        ("first thousand", run.first_thousand_per_s),
        ("last thousand", run.last_thousand_per_s),
    ];
    for (what, rate) in rates {
        table.row([what.into(), format!("{rate:.0}"), format!("{:.4}", 1e3 / rate)]);
    }
    for (what, ms) in run.stages.rows() {
        table.row([what.into(), String::new(), format!("{ms:.4}")]);
    }
    table
}
