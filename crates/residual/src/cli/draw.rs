//! `residual draw`: a network as a drawing.

use std::path::{Path, PathBuf};

use clap::Args;
use residual::report::NetworkDiagram;

use super::failure::Outcome;
use super::input_size::InputArgument;
use super::network;
use super::output::Output;
use super::own_text::DRAWING;

const EXAMPLE: &str = "\
Examples:
  residual draw resnet50 --out resnet50.svg
  residual draw my-network.toml --input 3x64x64 --out my-network.svg
  residual draw runs/first/best.safetensors --out - > first.svg

The drawing is 360 pixels wide, in light and dark. `residual summary MODEL
--html OUT.html` shows it beside the table.";

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Draw a network as SVG: stages, blocks, branches and shortcuts, shapes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), a SPEC.toml, or a trained .safetensors.
    #[arg(value_name = "MODEL|SPEC.toml")]
    model: String,
    /// The .svg to write; - for standard output. Replaces an earlier drawing, and nothing else.
    #[arg(long, value_name = "OUT.svg")]
    out: PathBuf,
    #[command(flatten)]
    input: InputArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let to_file = arguments.out != Path::new(STANDARD_OUTPUT);
    if to_file {
        DRAWING.check_free(&arguments.out)?;
    }
    let spec = network::specification(&arguments.model)?;
    let svg = NetworkDiagram::new(&spec.check(arguments.input.of(&spec))?).figure().svg();
    match to_file {
        true => DRAWING.write(&arguments.out, &svg),
        false => {
            let mut output = Output::new();
            svg.lines().try_for_each(|line| output.line(line))
        }
    }
}
