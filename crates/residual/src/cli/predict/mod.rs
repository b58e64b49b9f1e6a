//! `residual predict`: the classes of images.

pub(super) mod inputs;
mod list;
mod overlays;

use std::path::{Path, PathBuf};

use clap::Args;
use residual::predict::{
    AnswerLine, ClassScore, Classifier, Error, Explanation, Options, Prediction, TargetValue,
};
use residual_files::escaped;

use self::overlays::Overlays;
use super::failure::{Failure, Outcome};
use super::network::NetworkArguments;
use super::output::Output;
use super::own_png::OVERLAY;
use super::progress::note;
use super::table::shorten;

const EXAMPLE: &str = "\
Examples:
  residual predict --weights runs/first/best.safetensors photo.jpg
  residual predict --weights runs/first/best.safetensors photos --top 1 --json
  residual predict --weights best.safetensors photo.jpg --explain where.png
  find . -name '*.jpg' | residual predict --weights best.safetensors -
  residual predict --model resnet50.a1_in1k --weights auto photo.jpg

A trained .safetensors says how its images are to be prepared. Where a network
takes images as they are, one of another size than its input is resized (shorter
side) and its centre cut out. Results are printed as they come, in the order of
the images.

--explain never replaces a file that is no overlay of an earlier call. In a folder,
the overlay of a/b.jpg is a/b.jpg.png; the answer says where it lies.";

/// Tell the classes of images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,
    /// Images, folders of them, or - for a list on standard input, a path a line.
    #[arg(value_name = "IMAGE|DIR|-", required = true)]
    images: Vec<PathBuf>,
    /// Number of classes to print, the most probable first; of a multi-label network all that reach its threshold are.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = parse_top)]
    top: usize,
    /// Write where in the image its most probable class is seen; for several images, a folder of PNGs.
    #[arg(long, value_name = "OUT.png|DIR")]
    explain: Option<PathBuf>,
    /// Print one JSON object a line: file, top[{class, probability}], labels[{class, probability}] of a multi-label
    /// network, values[{target, value}] of a regression, logits (--logits), explain (the overlay's path).
    #[arg(long)]
    json: bool,
    /// With --json, give the logits of all classes as well, in the order of the network's outputs.
    #[arg(long, requires = "json")]
    logits: bool,
}

pub(super) fn parse_top(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&top| top > 0).ok_or_else(|| "expected a number, 1 or more".to_owned())
}

pub(crate) fn run(arguments: &Arguments, verbose: bool) -> Outcome {
    let threads = arguments.network.threads();
    let several = inputs::several(&arguments.images);
    let overlays = |path: &PathBuf| Overlays::new(path, &arguments.images, several);
    let overlays = arguments.explain.as_ref().map(overlays).transpose()?;
    let model = arguments.network.open()?;
    overlays.iter().try_for_each(Overlays::prepare)?;
    let left_out = overlays.clone();
    let is_overlay = move |file: &PathBuf| left_out.as_ref().is_some_and(|overlays| overlays.holds(file));
    let files = inputs::files(arguments.images.clone());
    let files = files.filter(move |file| !file.as_ref().is_ok_and(&is_overlay));
    let options = Options::new().threads(threads).lazy();
    // One image alone is not worth a plan for many.
    let options = if several { options } else { options.batch(1) };
    let classifier = Classifier::new(model, options)?;
    let mut printer = Printer {
        output: Output::new(),
        overlays,
        top: arguments.top,
        json: arguments.json,
        logits: arguments.logits,
        verbose,
        failed: false,
    };
    if printer.overlays.is_some() {
        let answers = classifier.explain_all(files.map(|file| file.map_err(Relayed)));
        compile(&classifier)?;
        answers.into_iter().try_for_each(|answer| printer.explanation(answer))?;
    } else {
        let answers = classifier.classify_all(files.map(|file| file.map_err(Relayed)));
        compile(&classifier)?;
        answers.into_iter().try_for_each(|answer| printer.answer(answer))?;
    }
    classifier.notes().iter().for_each(|noticed| note(&noticed.to_string()));
    if printer.failed { Err(Failure::Reported) } else { Ok(()) }
}

/// Compiles the network while the first images are decoded. What is wrong with their size is said of them, and what is
/// wrong with the weights at once.
fn compile(classifier: &Classifier) -> Outcome {
    match classifier.warm_up() {
        Err(error @ Error::Model(_)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// A failure on the way to an image, given back in its turn.
#[derive(Debug)]
pub(super) struct Relayed(pub(super) Failure);

impl std::fmt::Display for Relayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no image")
    }
}

impl std::error::Error for Relayed {}

/// The failure that an image has in place of an answer.
pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::Source(source) => match source.downcast::<Relayed>() {
            Ok(relayed) => relayed.0,
            Err(other) => Failure::new(other),
        },
        error => error.into(),
    }
}

/// The name of a file in answers. Bytes that are no text are escaped: two files are never called the same.
pub(super) fn named(file: &Path) -> String {
    file.to_str().map_or_else(|| escaped(file).to_string(), str::to_owned)
}

/// Prints answers as they come.
struct Printer {
    output: Output,
    overlays: Option<Overlays>,
    top: usize,
    json: bool,
    logits: bool,
    verbose: bool,
    failed: bool,
}

impl Printer {
    /// Reports a bad image, which does not keep the others from their turn.
    fn report(&mut self, failure: &Failure) {
        failure.announce(self.verbose);
        self.failed = true;
    }

    fn answer(&mut self, answer: Result<Prediction, Error>) -> Outcome {
        match answer {
            Ok(prediction) => self.print(&prediction, None),
            Err(error) => {
                self.report(&failure(error));
                Ok(())
            }
        }
    }

    fn explanation(&mut self, answer: Result<Explanation, Error>) -> Outcome {
        match answer {
            Ok(explanation) => {
                let overlay = self.overlay(&explanation);
                self.print(&explanation.prediction, overlay)
            }
            Err(error) => {
                self.report(&failure(error));
                Ok(())
            }
        }
    }

    /// Writes the overlay of an image and says where; an overlay that cannot be written does not keep the answer.
    fn overlay(&mut self, explanation: &Explanation) -> Option<String> {
        let (overlays, file) = (self.overlays.as_ref()?, explanation.prediction.file()?);
        let drawn = explanation.overlay()?;
        match OVERLAY
            .encoded([drawn.height(), drawn.width()], drawn.pixels())
            .and_then(|png| overlays.write(file, &png))
        {
            Ok(path) => Some(named(&path)),
            Err(failure) => {
                let failure = failure.within(format_args!("{}: no overlay", named(file)));
                self.report(&failure);
                None
            }
        }
    }

    fn print(&mut self, prediction: &Prediction, explain: Option<String>) -> Outcome {
        let file = &prediction.file().map(named).unwrap_or_default();
        let top: Vec<ClassScore<'_>> = prediction.top(self.top).collect();
        if self.json {
            let line = AnswerLine::new(file, prediction, self.top, self.logits);
            return self.output.json(&AnswerLine { explain, ..line });
        }
        self.output.line(file)?;
        for TargetValue { target, value } in prediction.values() {
            let target = shorten(&escaped(target).to_string(), 60);
            self.output.line(format_args!("  {target}  {value:.4}"))?;
        }
        let labels = match prediction.threshold() {
            Some(threshold) => {
                let labels: Vec<ClassScore<'_>> = prediction.labels().collect();
                if labels.is_empty() {
                    self.output.line(format_args!("  no class reaches {:.2}%", 100.0 * threshold))?;
                }
                labels
            }
            None => top,
        };
        for ClassScore { class, probability, .. } in labels {
            let class = escaped(class).to_string();
            self.output.line(format_args!("  {:6.2}%  {}", 100.0 * probability, shorten(&class, 68)))?;
        }
        match explain {
            Some(path) => self.output.line(format_args!("  explained in {path}")),
            None => Ok(()),
        }
    }
}
