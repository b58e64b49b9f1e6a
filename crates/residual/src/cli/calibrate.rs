//! `residual calibrate`: probabilities that can be taken at their word.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::TaskKind;
use residual::evaluation::{self, Calibrated, Views, calibrate, calibrate_labels};
use residual::weights::{Checkpoint, Model, Weights};
use residual_files::escaped;
use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::labelled::{Labelled, LabelledArguments, SplitName};
use super::network::{self, NetworkArguments};
use super::output::Output;
use super::safetensors_name::check_extension;

const EXAMPLE: &str = "\
Examples:
  residual calibrate --weights runs/first --data photos
  residual calibrate --weights resnet20.th --data cifar10-images.tar.gz \\
                     --split test --out calibrated.safetensors

The temperature is written into the checkpoint. Answers stay as they are, of
several labels too, whose threshold follows; so do the probabilities of predict,
eval, the library and the C interface.";

/// Fit a temperature on validation, so that a network is as sure as it is right.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    labelled: LabelledArguments,
    /// Split of the data. Where there is only one of val and test, it is taken for either.
    #[arg(long, value_enum, default_value = "val")]
    split: SplitName,
    /// The .safetensors to write. [default: the checkpoint itself]
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Print one JSON object: temperature, images, loss and ece before and after.
    #[arg(long)]
    json: bool,
}

/// JSON of a calibration.
#[derive(Serialize)]
struct Printed {
    temperature: f64,
    images: usize,
    loss: [f64; 2],
    ece: [f64; 2],
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    arguments.out.as_deref().map_or(Ok(()), check_extension)?;
    // What it was calibrated with before does not count.
    let model = arguments.network.open()?.with_temperature(None)?;
    let task = model.spec().task.kind();
    if task == TaskKind::Regression {
        return Err(evaluation::Error::NoProbabilities.into());
    }
    let place = place(arguments)?;
    let Labelled { split, images } =
        arguments.labelled.open(&model, &arguments.network, arguments.split.into())?;
    let asking = arguments.labelled.asking(model, &arguments.network, &images, Views::One)?;
    let (found, count) = match task {
        TaskKind::SingleLabel => {
            let answers = asking.answers()?;
            (calibrate(&answers)?, answers.list().len())
        }
        _ => {
            let answers = asking.task_answers()?;
            (calibrate_labels(&answers)?, answers.images())
        }
    };
    place.write(asking.classifier.model(), found.temperature)?;
    let mut output = Output::new();
    if arguments.json {
        let Calibrated { temperature, loss, ece, .. } = found;
        return output.json(&Printed { temperature, images: count, loss, ece });
    }
    output.line(format_args!(
        "{}: temperature {:.3}, fitted to the {count} images of the {split} split",
        escaped(place.path()),
        found.temperature
    ))?;
    let [[loss, cooled], [ece, better]] = [found.loss, found.ece.map(|share| 100.0 * share)];
    output.line(format_args!("loss {loss:8.4}  before, {cooled:8.4}  after"))?;
    output.line(format_args!("ECE  {ece:7.2}%  before, {better:7.2}%  after"))?;
    output.line("each half of the images judged with the temperature of the other half")
}

/// Place that the temperature is written to.
enum Place {
    /// A checkpoint, which keeps all that is in it.
    Checkpoint(PathBuf),
    /// A new file.
    New(PathBuf),
}

fn place(arguments: &Arguments) -> Outcome<Place> {
    if let Some(out) = &arguments.out {
        return Ok(Place::New(out.clone()));
    }
    let file = network::file_of(arguments.network.weights())?;
    match Weights::map(&file)? {
        Weights::Trained(_) => Ok(Place::Checkpoint(file)),
        Weights::Plain(_) => Err(Failure::new(format_args!(
            "{}: weights without a description have no place for a temperature; help: --out CALIBRATED.safetensors",
            escaped(&file)
        ))),
    }
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Checkpoint(path) | Self::New(path) => path,
        }
    }

    fn write(&self, model: &Model, temperature: f64) -> Outcome {
        match self {
            Self::Checkpoint(path) => {
                Checkpoint::read(path)?.with_temperature(Some(temperature))?.write(path)?
            }
            Self::New(path) => model.clone().with_temperature(Some(temperature))?.save(path)?,
        }
        Ok(())
    }
}
