//! `residual page`: a page with networks in it, for any static server.

use std::path::PathBuf;

use clap::Args;
use residual::Model;
use residual::page::{PageModel, write_folder, write_playground};
use residual_files::escaped;

use super::failure::{Failure, Outcome};
use super::named::Named;
use super::network;
use super::output::Output;
use super::preprocessing::PreprocessArguments;
use super::progress::note;
use super::same_file::same_file;

const EXAMPLE: &str = "\
Examples:
  residual page --weights runs/photos --out page
  residual page --weights cats=runs/cats --weights resnet18.pth --out page
  residual page --playground --out playground
  python3 -m http.server --directory page

The page is that of `residual serve`, with the network in the browser: it runs
as WebAssembly, and no picture leaves the machine. docs/browser.md says more.";

/// Write a page that runs a network in the browser, for any static server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Trained .safetensors, folder of a run, or bare weights; auto for the published ones of --model. Repeat it for
    /// several networks. [default NAME: that of the file or run]
    #[arg(long, value_name = "[NAME[:VERSION]=]FILE|RUN|auto", required_unless_present = "playground")]
    weights: Vec<String>,
    /// The network of bare weights: a family member, with a tag (resnet50.a1_in1k) or without, or a SPEC.toml.
    /// [default: told by their tensors]
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    #[command(flatten)]
    set: network::SetArgument,
    /// Write the playground: a page where a network's text is edited, and its table, drawing and errors answer at once.
    #[arg(long, conflicts_with_all = ["weights", "model"])]
    playground: bool,
    /// The folder to write: new, empty, or with a page in it, which is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    preprocessing: PreprocessArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.playground {
        write_playground(&arguments.out)?;
        return written(arguments);
    }
    let models = arguments.models()?;
    let pages = models.iter().map(|(name, version, model)| PageModel {
        name: name.clone(),
        version: *version,
        save: Box::new(|path| Ok(model.save(path)?)),
    });
    write_folder(&arguments.out, pages.collect())?;
    written(arguments)
}

/// Says where the page is.
fn written(arguments: &Arguments) -> Outcome {
    let out = &arguments.out;
    note(&format!("serve it with any static server: python3 -m http.server --directory {}", escaped(out)));
    Output::new().line(format_args!("{}", escaped(&out.join("index.html"))))
}

impl Arguments {
    /// Networks by name and version; of one name, versions 1, 2, 3 in their order, where none is given.
    fn models(&self) -> Outcome<Vec<(String, u32, Model)>> {
        let mut models: Vec<(String, u32, Model)> = Vec::new();
        for text in &self.weights {
            let Named { name, version, path } = Named::parse(text, self.model.as_deref())?;
            if same_file(&path, &self.out) || self.out.canonicalize().is_ok_and(|out| inside(&path, &out)) {
                return Err(Failure::new(format_args!(
                    "{}: is in the folder to write; help: give the page another folder",
                    escaped(&path)
                )));
            }
            let model = network::open(&path, self.model.as_deref(), self.set.key())?;
            let model = self.preprocessing.clone().apply(model, self.model.as_deref())?;
            let same = models.iter().filter(|(other, ..)| *other == name).map(|(_, version, _)| *version);
            let version = version.unwrap_or(same.max().map_or(1, |latest| latest.saturating_add(1)));
            models.push((name, version, model));
        }
        Ok(models)
    }
}

/// True for a file somewhere in `folder`.
fn inside(file: &std::path::Path, folder: &std::path::Path) -> bool {
    file.canonicalize().is_ok_and(|file| file.starts_with(folder))
}
