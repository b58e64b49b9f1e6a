//! `residual doctor`: looks for the common errors and says how to mend them.

mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use residual::arch::NetSpec;
use residual::data::{DataSource, Dataset, OpenOptions};
use residual::doctor::{Finding, Patient, Report, Severity, Training, differences, examine, read_toml};
use residual::train::{Schedule, Warmup};
use residual::weights::{
    Error as WeightsError, StateDict, Weights, recognise, recognise_as, with_classes_of,
};

use super::failure::{Failure, Outcome};
use super::lists::ListArguments;
use super::output::Output;
use super::progress::note;
use super::{network, recipes, threads};

const EXAMPLE: &str = "\
Examples:
  residual doctor mine.toml
  residual doctor small --data sample
  residual doctor --weights runs/first/best.safetensors --data photos
  residual doctor cifar_resnet20 --weights resnet20.th --data cifar10.tar.gz

Exit code 0: no fault (there may be warnings); 1: a fault; 2: wrong input.";

/// Look for the common errors in a network, its weights, data and training.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A SPEC.toml, also one that cannot be built, or a family member.
    #[arg(value_name = "SPEC.toml|MODEL", required_unless_present = "weights")]
    network: Option<String>,
    /// A trained .safetensors, or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// `sample`, or a folder, archive, list, .parquet or shards ({000..010}.tar) of images.
    #[arg(long, value_name = "sample|PATH")]
    data: Option<PathBuf>,
    #[command(flatten)]
    list: ListArguments,
    /// The recipe of a training, whose rate and batch are looked at.
    #[arg(long, value_name = "NAME|FILE.toml")]
    recipe: Option<PathBuf>,
    /// Images in a step, in place of the recipe's.
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Learning rate, in place of the recipe's.
    #[arg(long, value_name = "RATE")]
    lr: Option<f64>,
    /// Threads for computing. Does not change the result. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Print one JSON object: network, faults, warnings, notes, findings, passed,
    /// checked, not_checked.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    threads::limit(arguments.threads)?;
    let (patient, before) = patient(arguments)?;
    let name = patient.spec.name.clone();
    let examined = examine(&patient)?;
    let report = Report { findings: [before, examined.findings].concat(), ..examined };
    let mut output = Output::new();
    if arguments.json {
        output.json(&report::Object::of(&name, &report))?;
    } else {
        report::lines(&name, &report).iter().try_for_each(|line| output.line(line))?;
    }
    if report.count(Severity::Fault) > 0 { Err(Failure::Check) } else { Ok(()) }
}

/// Patient that the arguments name, and what was found on the way to it.
fn patient(arguments: &Arguments) -> Outcome<(Patient, Vec<Finding>)> {
    let data = arguments.data.as_deref().map(|path| open(path, &arguments.list)).transpose()?;
    let training = training(arguments)?;
    let written = arguments.network.as_deref().map(written).transpose()?;
    let Some(path) = &arguments.weights else {
        let (network, findings) = written.ok_or_else(|| Failure::new("name a network, or --weights"))?;
        let spec = network.settled(data.as_ref());
        let (weights, classes) = (None, None);
        return Ok((Patient { spec, weights, classes, data, training }, findings));
    };
    let (spec, state, classes, findings) = loaded(path, written)?;
    Ok((Patient { spec, weights: Some(state), classes, data, training }, findings))
}

/// A network that was named.
enum Named {
    /// Written out: its number of classes is meant.
    Written(NetSpec),
    /// A family member: it takes the number of classes of the data.
    Member(NetSpec),
}

impl Named {
    fn settled(self, data: Option<&Dataset>) -> NetSpec {
        match (self, data) {
            (Self::Member(spec), Some(data)) => spec.with_classes(data.classes.len()),
            (Self::Member(spec) | Self::Written(spec), _) => spec,
        }
    }

    fn spec(self) -> NetSpec {
        self.settled(None)
    }
}

fn written(name: &str) -> Outcome<(Named, Vec<Finding>)> {
    let is =
        |extension| Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
    if !is("toml") {
        let spec = network::specification(name)?;
        let named = if is("json") || is("safetensors") { Named::Written(spec) } else { Named::Member(spec) };
        return Ok((named, vec![]));
    }
    let text = residual_files::read_text(name, residual_files::MAX_TEXT)
        .map_err(|error| Failure::from(error).within(format_args!("{name}: cannot read")))?;
    let (spec, findings) = read_toml(&text).map_err(|error| Failure::from(error).within(name))?;
    Ok((Named::Written(spec), findings))
}

type Loaded = (NetSpec, StateDict, Option<Vec<String>>, Vec<Finding>);

/// A checkpoint is examined as it describes itself, and held against what was named beside it.
fn loaded(path: &Path, written: Option<(Named, Vec<Finding>)>) -> Outcome<Loaded> {
    let path = &network::file_of(path)?;
    match Weights::read(path)? {
        Weights::Trained(trained) => {
            let mut findings = vec![];
            if let Some((network, biases)) = written {
                findings = biases;
                let asked = match network {
                    Named::Member(spec) => {
                        let preprocess = trained.spec.preprocess.clone();
                        spec.with_classes(trained.spec.head.classes).with(|net| net.preprocess = preprocess)
                    }
                    Named::Written(spec) => spec,
                };
                findings.extend(differences(&asked, &trained.spec));
            }
            Ok((trained.spec, trained.tensors, Some(trained.classes), findings))
        }
        Weights::Plain(state) => {
            let (found, findings) = match written {
                Some((network, findings)) => {
                    let spec = network.spec();
                    match recognise_as(&state, &spec) {
                        Ok(found) => (found, findings),
                        // What does not fit is a finding.
                        Err(WeightsError::NoSpec { .. }) => {
                            return Ok((with_classes_of(spec, &state), state, None, findings));
                        }
                        Err(error) => return Err(error.in_file(path).into()),
                    }
                }
                None => {
                    let found = recognise(&state).map_err(|error| error.in_file(path))?;
                    note(&format!("weights: {found}"));
                    (found, vec![])
                }
            };
            let state = found.rename(state).map_err(|error| error.in_file(path))?;
            Ok((found.spec, state, None, findings))
        }
    }
}

fn open(path: &Path, list: &ListArguments) -> Outcome<Dataset> {
    let source = path.to_str().map_or_else(|| DataSource::from(path.to_owned()), DataSource::from);
    let data = Dataset::open(&source, &OpenOptions::default().with(|options| list.put(options)))?;
    note(&format!("{}: {}", residual_files::escaped(path), data.classes_summary()));
    data.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    Ok(data)
}

/// Training as far as it is known: the recipe, and flags over it. `None` where neither is given.
fn training(arguments: &Arguments) -> Outcome<Option<Training>> {
    if arguments.recipe.is_none() && arguments.batch_size.is_none() && arguments.lr.is_none() {
        return Ok(None);
    }
    let recipe = arguments.recipe.as_deref().map(recipes::given).transpose()?.unwrap_or_default();
    let batch_size = arguments.batch_size.unwrap_or(recipe.images_at_a_time());
    let lr =
        arguments.lr.unwrap_or(recipe.clone().with(|recipe| recipe.batch_size = Some(batch_size)).rate());
    if batch_size == 0 || !(lr.is_finite() && lr > 0.0) {
        return Err(Failure::new("--batch-size and --lr must be above zero"));
    }
    let rises = matches!(recipe.schedule, Schedule::OneCycle { .. });
    let warms_up = rises || recipe.warmup != Warmup::Epochs(0.0);
    Ok(Some(Training { batch_size, lr, warms_up }))
}
