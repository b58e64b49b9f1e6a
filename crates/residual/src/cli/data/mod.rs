//! `residual data`: a look at labelled images before anything is trained on them.

mod classes;
mod duplicates;
mod eye;
mod json;
mod show;
mod text;
mod view;

use std::path::PathBuf;

use clap::Args;
use residual::arch::TaskKind;
use residual::data::{DataSource, Dataset, HELD_OUT, OpenOptions, Survey, SurveyOptions};
use residual::doctor::{Finding, examine_images};
use residual_files::escaped;

use self::show::Place;
use self::view::View;
use super::failure::Outcome;
use super::lists::ListArguments;
use super::output::Output;
use super::progress::Bar;
use super::threads;

const EXAMPLE: &str = "\
Examples:
  residual data photos
  residual data photos --model resnet18 --show sheet.png
  residual data labels.csv --columns path=photo,label=breed --json
  residual data faces.csv --task regression --label age
  residual data photos --duplicates --show twins.png
  residual data photos --duplicates --weights runs/first --similarity 0.98

Exit code 0 where the data can be opened, whatever is found in them (`residual
doctor` judges: its exit code is 1 for a fault); 2 where they cannot.";

/// Look at labelled images: counts, sizes, formats, broken and repeated ones, and
/// what is done to them before a network sees them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// `sample`, or a folder, archive or list of images.
    #[arg(value_name = "sample|PATH")]
    data: PathBuf,
    #[command(flatten)]
    list: ListArguments,
    /// Task that the images are labelled for: single-label, multi-label or regression. [default: the recipe's or the
    /// model's, else single-label]
    #[arg(long, value_name = "TASK")]
    task: Option<TaskKind>,
    /// Fraction held out of data without splits, as in training. [default: 0.1]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    validation: Option<f64>,
    /// The network that the images are for: a family member, a SPEC.toml, or weights, which have their own
    /// preprocessing. [default: the recipe's, else small]
    #[arg(long, value_name = "MODEL|SPEC.toml|WEIGHTS")]
    model: Option<String>,
    /// A recipe, for its network, preprocessing and augmentation.
    #[arg(long, value_name = "NAME|FILE.toml")]
    recipe: Option<PathBuf>,
    /// Look for repeated and nearly repeated images alone, in groups: by a perceptual hash, or with --weights by
    /// embedding. Images in a folder without classes are taken too.
    #[arg(long)]
    duplicates: bool,
    #[command(flatten)]
    near: duplicates::NearArguments,
    /// Write a contact sheet: images of each class as the network sees them, and under each augmentation; with
    /// --duplicates, the groups.
    #[arg(long, value_name = "FILE.png")]
    show: Option<PathBuf>,
    /// Seed of the images and the augmentation that --show draws. [default: 0]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    seed: u64,
    /// Count and leave out files that cannot be opened, as the flag does in training.
    #[arg(long)]
    skip_bad: bool,
    /// Threads for reading and decoding. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Print one JSON object: data, images, bytes, classes, splits, sizes, formats, channels, orientations, broken,
    /// duplicates, loader, findings, notes and more; with --duplicates images, near, groups, repeated, across, broken.
    #[arg(long)]
    json: bool,
}

/// Findings about data that are shown.
pub(super) struct Look {
    name: String,
    data: Dataset,
    survey: Survey,
    view: View,
    findings: Vec<Finding>,
    skip_bad: bool,
}

impl Look {
    /// Notes of opening the data and of reading the images.
    fn notes(&self) -> Vec<String> {
        self.data.notes().iter().map(ToString::to_string).collect()
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let place = arguments.show.as_deref().map(|path| Place::new(path, &arguments.data)).transpose()?;
    if arguments.duplicates {
        return duplicates::run(arguments, place.as_ref());
    }
    let view = View::of(arguments.recipe.as_deref(), arguments.model.as_deref())?;
    let data = open(arguments, arguments.task.unwrap_or(view.task))?;
    let survey = survey(&data, threads::count(arguments.threads))?;
    let findings = examine_images(&survey, &view.preprocess);
    let name = escaped(&arguments.data).to_string();
    let look = Look { name, data, survey, view, findings, skip_bad: arguments.skip_bad };
    if let Some(place) = &place {
        place.write(&look, arguments.seed)?;
    }
    let mut output = Output::new();
    match arguments.json {
        true => output.json(&json::Object::of(&look)),
        false => text::lines(&look).iter().try_for_each(|line| output.line(line)),
    }
}

fn open(arguments: &Arguments, task: TaskKind) -> Outcome<Dataset> {
    let path = &arguments.data;
    let source = path.to_str().map_or_else(|| DataSource::from(path.clone()), DataSource::from);
    let options = OpenOptions::default().with(|options| {
        options.holdout = arguments.validation.unwrap_or(HELD_OUT);
        (options.skip_bad, options.task) = (arguments.skip_bad, task);
        arguments.list.put(options);
    });
    Ok(Dataset::open(&source, &options)?)
}

fn survey(data: &Dataset, threads: usize) -> Outcome<Survey> {
    let images = data.splits().into_iter().map(|split| data.split(split).map(|set| set.len()));
    let bar = Bar::new(images.sum::<Result<usize, _>>()?);
    let survey = Survey::take(data, &SurveyOptions::new(threads), |done| bar.set(done));
    Ok(survey?)
}
