//! `residual import`: a graph of another tool as a trained checkpoint.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residual::onnx::{ImportOptions, InputScale, import};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::preprocessing::PreprocessArguments;
use super::progress::note;
use super::safetensors_name::check_extension;
use super::same_file::same_file;
use super::table::thousands;

const EXAMPLE: &str = "\
Examples:
  residual import resnet50.onnx --out resnet50.safetensors
  residual import keras.onnx --out keras.safetensors --input caffe

What the file says of classes and images is kept. What is taken for granted is
said: --input, and --mean, --std, --resize and --crop say it.";

/// Read the ONNX graph of a residual network as a checkpoint.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// The graph. Weights in another file are looked for beside it.
    #[arg(value_name = "IN.onnx")]
    input: PathBuf,
    /// The .safetensors to write.
    #[arg(long, value_name = "OUT.safetensors")]
    out: PathBuf,
    /// Numbers that the graph takes for pixels, where the file does not say.
    #[arg(long = "input", value_enum, value_name = "SCALE", default_value_t = Scale::Imagenet)]
    scale: Scale,
    /// Height and width of images, where the graph leaves them free.
    #[arg(long, value_name = "N", default_value_t = 224, value_parser = clap::value_parser!(u16).range(1..))]
    size: u16,
    /// Name of the network. [default: that of a family member that computes the same, or the file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
}

/// Numbers that a graph takes for pixels.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scale {
    /// RGB, normalised by ImageNet's means and deviations: PyTorch, MXNet.
    Imagenet,
    /// RGB from 0 to 1.
    Unit,
    /// RGB from -1 to 1.
    Symmetric,
    /// RGB from 0 to 255.
    Bytes,
    /// BGR from 0 to 255 less Caffe's means: Keras.
    Caffe,
}

impl From<Scale> for InputScale {
    fn from(scale: Scale) -> Self {
        match scale {
            Scale::Imagenet => Self::Imagenet,
            Scale::Unit => Self::Unit,
            Scale::Symmetric => Self::Symmetric,
            Scale::Bytes => Self::Bytes,
            Scale::Caffe => Self::Caffe,
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { input, out, scale, size, name, preprocessing } = arguments;
    check_extension(out)?;
    if same_file(input, out) {
        let out = escaped(out);
        return Err(Failure::new(format_args!(
            "{out}: is the file to read as well; help: give the output another name"
        )));
    }
    let options = ImportOptions::default().with(|options| {
        options.input = (*scale).into();
        options.size = usize::from(*size);
        options.name.clone_from(name);
    });
    let imported = import(input, &options)?;
    imported.notes.iter().for_each(|line| note(&format!("import: {line}")));
    let model = preprocessing.apply(imported.model, None)?;
    model.save(out)?;
    let (spec, parameters) = (model.spec(), thousands(model.network().parameters()));
    Output::new().line(format_args!(
        "{}: {}, {parameters} parameters, {} classes",
        out.display(),
        spec.name,
        spec.head.classes
    ))
}
