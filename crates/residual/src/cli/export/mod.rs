//! `residual export`: a trained network for other programs.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use residual::Model;
use residual::arch::published;
use residual::data::Fit;
use residual::onnx::{Answers, ExportOptions, export};
use residual::weights::export as weights;
use residual_files::escaped;

use super::convert::Scheme;
use super::failure::{Failure, Outcome};
use super::network;
use super::output::Output;
use super::preprocessing::PreprocessArguments;
use super::progress::note;
use super::same_file::same_file;

const EXAMPLE: &str = "\
Examples:
  residual export --weights runs/first --out cats.onnx
  residual export --weights runs/first --out cats.onnx --preprocess --softmax
  residual export --weights runs/first --format timm --out cats-timm

docs/interop.md says how each is loaded.";

/// Write a trained network for other programs: ONNX, PyTorch, timm, transformers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A trained .safetensors, the folder of a run (its best), or bare weights (.safetensors, .pth, .th); auto for the
    /// published ones of --model.
    #[arg(long, value_name = "FILE|RUN|auto")]
    weights: PathBuf,
    /// The network of bare weights: a family member, with a tag or without, or a SPEC.toml. [default: told by their
    /// tensors]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    #[command(flatten)]
    set: network::SetArgument,
    /// The file to write, for timm and transformers the folder.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Format of the output.
    #[arg(long, value_enum, default_value_t = Format::Onnx)]
    format: Format,
    /// Tensor names of safetensors and torch. [default: the network's own]
    #[arg(long, value_enum, value_name = "SCHEME")]
    names: Option<Scheme>,
    #[command(flatten)]
    onnx: OnnxArguments,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A graph of opset 18.
    Onnx,
    /// A state dict as safetensors.
    Safetensors,
    /// A state dict as torch.save writes it (.pth).
    Torch,
    /// A folder for timm.create_model("local-dir:...").
    Timm,
    /// A folder for AutoModelForImageClassification.from_pretrained.
    Transformers,
}

/// Flags of ONNX alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "ONNX")]
struct OnnxArguments {
    /// Keep batch norms as nodes, for training further. [default: folded into the convolutions]
    #[arg(long)]
    training: bool,
    /// Give probabilities in place of logits: a softmax, of several labels sigmoids; of a regression its numbers.
    #[arg(long)]
    softmax: bool,
    /// Take pixels, uint8 [batch, height, width, channels] of any size: the preprocessing is in the graph.
    #[arg(long)]
    preprocess: bool,
    /// Take images of the network's height and width alone.
    #[arg(long)]
    fixed_size: bool,
    /// Source of the weights, for the metadata. [default: that of a published checkpoint named by --model]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Licence of the weights, likewise.
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
}

impl OnnxArguments {
    fn any(&self) -> bool {
        let Self { training, softmax, preprocess, fixed_size, source, licence } = self;
        *training || *softmax || *preprocess || *fixed_size || source.is_some() || licence.is_some()
    }

    fn options(&self, model: &Model, name: Option<&str>) -> ExportOptions {
        let published =
            name.filter(|name| name.contains(['.', ':'])).and_then(|name| published::find(name).ok());
        let of = |given: &Option<String>, known: Option<String>| given.clone().or(known);
        let source =
            of(&self.source, published.map(|found| found.url.map_or_else(|| found.name(), str::to_owned)));
        let licence = of(&self.licence, published.and_then(|found| found.licence.map(str::to_owned)));
        let said = [("source", source), ("licence", licence)];
        ExportOptions::default().with(|options| {
            options.keep_norms = self.training;
            options.answers = if self.softmax { Answers::Probabilities } else { Answers::Logits };
            options.preprocess = self.preprocess.then(|| Fit::preprocess(model.spec()));
            options.fixed_size = self.fixed_size;
            options.metadata =
                said.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?))).collect();
        })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { weights, out, format, names, onnx, .. } = arguments;
    check(arguments)?;
    if same_file(weights, out) {
        let out = escaped(out);
        return Err(Failure::new(format_args!(
            "{out}: is the file to read as well; help: give the output another name"
        )));
    }
    let name = arguments.model.as_deref();
    let model = network::open(weights, name, arguments.set.key())?;
    let model = arguments.preprocessing.apply(model, name)?;
    let naming = names.map_or(model.spec().naming, Into::into);
    let written = match format {
        Format::Onnx => {
            export(&model, out, &onnx.options(&model, name))?;
            format!("opset 18, {}", if onnx.training { "batch norms kept" } else { "batch norms folded" })
        }
        Format::Safetensors => {
            weights::safetensors(&model, out, naming)?;
            format!("{naming} names")
        }
        Format::Torch => {
            weights::torch(&model, out, naming)?;
            format!("{naming} names")
        }
        Format::Timm => format!("timm's {}", weights::timm(&model, out)?),
        Format::Transformers => {
            if !weights::transformers(&model, out)? {
                note("export: no preprocessor_config.json, which cannot say this preprocessing");
            }
            "transformers' ResNetForImageClassification".to_owned()
        }
    };
    Output::new().line(format_args!("{}: {written}", out.display()))
}

/// Refuses flags that the format has no use for, and names that would be puzzling.
fn check(arguments: &Arguments) -> Outcome {
    let Arguments { format, names, onnx, out, .. } = arguments;
    if onnx.any() && *format != Format::Onnx {
        return Err(Failure::new("a flag of ONNX with another format; help: --format onnx"));
    }
    if names.is_some() && !matches!(format, Format::Safetensors | Format::Torch) {
        return Err(Failure::new("--names: for --format safetensors and torch; the others have their own"));
    }
    let named = |endings: &[&str]| endings.iter().any(|ending| has_ending(out, ending));
    let expected = match format {
        Format::Onnx if !named(&["onnx"]) => "onnx",
        Format::Safetensors if !named(&["safetensors"]) => "safetensors",
        Format::Torch if !named(&["pth", "pt", "bin"]) => "pth",
        _ => return Ok(()),
    };
    let (name, out) = (out.with_extension(expected), escaped(out));
    Err(Failure::new(format_args!(
        "{out}: the output is of another format; help: call it {}",
        escaped(&name)
    )))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
