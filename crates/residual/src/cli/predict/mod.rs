//! `residual predict`: the classes of images.

mod ahead;
mod explain;
mod inputs;
mod list;
mod overlays;

use std::path::PathBuf;

use clap::Args;
use residual::arch::NetSpec;
use residual::engine::Error as EngineError;
use residual_files::escaped;
use serde::Serialize;

use self::ahead::{Ahead, Decoder, Ready};
use self::explain::drawn;
use self::overlays::Overlays;
use super::engine::{Network, NetworkArguments};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::shorten;
use super::threads;

/// The most images at a time: as many as run at once in networks for 224x224 images.
const MOST: usize = 16;

/// Bytes of the images that the network is given at a time. Twice as many are decoded ahead.
const TOGETHER: usize = 1 << 28;

const EXAMPLE: &str = "\
Examples:
  residual predict --weights runs/first/best.safetensors photo.jpg
  residual predict --weights runs/first/best.safetensors photos --top 1 --json
  residual predict --weights best.safetensors photo.jpg --explain where.png
  find . -name '*.jpg' | residual predict --weights best.safetensors -

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
    /// JPEG or PNG images, folders of them, or - for a list on standard input, a path a line.
    #[arg(value_name = "IMAGE|DIR|-", required = true)]
    images: Vec<PathBuf>,
    /// How many classes to print, the most probable first.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = parse_top)]
    top: usize,
    /// Write where in the image its most probable class is seen; for several images, a folder of PNGs.
    #[arg(long, value_name = "OUT.png|DIR")]
    explain: Option<PathBuf>,
    /// Print one JSON object a line: file, top[{class, probability}], explain (the overlay's path).
    #[arg(long)]
    json: bool,
}

fn parse_top(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&top| top > 0).ok_or_else(|| "expected a number, 1 or more".to_owned())
}

#[derive(Serialize)]
struct Prediction<'a> {
    file: &'a str,
    top: Vec<Guess<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<String>,
}

#[derive(Serialize)]
struct Guess<'a> {
    class: &'a str,
    probability: f64,
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
    let decoder = Decoder::new(model.spec())?;
    let most = if several { at_a_time(model.spec()) } else { 1 };
    let mut ahead = Ahead::start(files, decoder, threads::decoding(threads), 2 * most)?;
    let (spec, classes) = (model.spec().clone(), model.classes().map(<[String]>::to_vec));
    let numbers = || (0..spec.head.classes).map(|class| class.to_string()).collect();
    let mut predictor = Predictor {
        network: Network::new(model, threads, most),
        classes: classes.unwrap_or_else(numbers),
        output: Output::new(),
        overlays,
        top: arguments.top,
        json: arguments.json,
        verbose,
        failed: false,
    };
    // While the first image is decoded. What is wrong with its size is said of it, and what is wrong with the weights
    // at once.
    if let Err(error @ EngineError::Weights(_)) = predictor.network.of_size(usual_size(&spec)) {
        return Err(predictor.network.refused(error));
    }
    loop {
        let taken = ahead.take(most);
        if taken.is_empty() {
            return if predictor.failed { Err(Failure::Reported) } else { Ok(()) };
        }
        predictor.answer(taken)?;
    }
}

/// `[height, width]` of most images after the preprocessing.
fn usual_size(spec: &NetSpec) -> [usize; 2] {
    let [_, height, width] = spec.input;
    spec.preprocess.crop.unwrap_or([height, width])
}

/// Images at a time: fewer where they are so large that they alone would fill the memory.
fn at_a_time(spec: &NetSpec) -> usize {
    let [height, width] = usual_size(spec);
    let bytes = spec.input[0].saturating_mul(height).saturating_mul(width);
    (TOGETHER / bytes.max(1)).clamp(1, MOST)
}

struct Predictor {
    network: Network,
    classes: Vec<String>,
    output: Output,
    overlays: Option<Overlays>,
    top: usize,
    json: bool,
    verbose: bool,
    failed: bool,
}

impl Predictor {
    /// Answers in order; neighbours of one size together.
    fn answer(&mut self, taken: Vec<Outcome<Ready>>) -> Outcome {
        let mut together: Vec<Ready> = Vec::new();
        for next in taken {
            let joins =
                matches!((together.last(), &next), (Some(last), Ok(next)) if last.size() == next.size());
            if !joins {
                self.predict(&std::mem::take(&mut together))?;
            }
            match next {
                Ok(ready) => together.push(ready),
                Err(failure) => self.report(&failure),
            }
        }
        self.predict(&together)
    }

    /// One bad image does not keep the others from their turn.
    fn report(&mut self, failure: &Failure) {
        failure.announce(self.verbose);
        self.failed = true;
    }

    fn predict(&mut self, images: &[Ready]) -> Outcome {
        let Some(first) = images.first() else { return Ok(()) };
        let compiled = match self.network.of_size(first.size()) {
            Ok(compiled) => compiled,
            Err(error) => {
                let failure = Failure::from(error).within(&first.name);
                self.report(&failure);
                return self.predict(&images[1..]);
            }
        };
        let pixels: Vec<u8> = images.iter().flat_map(|ready| ready.image.pixels()).copied().collect();
        let logits = match compiled.plan.run(&pixels, &mut compiled.scratch) {
            Ok(logits) => logits,
            Err(error @ EngineError::NotFinite { image }) => {
                self.predict(&images[..image])?;
                self.report(&Failure::from(error).within(&images[image].name));
                return self.predict(&images[image + 1..]);
            }
            Err(error) => return Err(error.into()),
        };
        let ranked: Vec<Vec<(usize, f64)>> = logits.chunks(logits.len() / images.len()).map(ranked).collect();
        let maps = match self.overlays {
            Some(_) => {
                let classes: Vec<usize> = ranked.iter().map(|ranked| ranked[0].0).collect();
                Some(compiled.plan.class_activation(&pixels, &classes, &mut compiled.scratch)?)
            }
            None => None,
        };
        for (number, (ready, ranked)) in images.iter().zip(&ranked).enumerate() {
            let explained = maps.as_ref().and_then(|maps| {
                let [_, _, height, width] = maps.shape;
                self.explain(
                    ready,
                    &maps.values[number * height * width..][..height * width],
                    [height, width],
                )
            });
            let guess =
                |&(class, probability): &(usize, f64)| Guess { class: &self.classes[class], probability };
            let top = ranked.iter().take(self.top).map(guess).collect();
            let prediction = Prediction { file: &ready.name, top, explain: explained };
            print(&mut self.output, &prediction, self.json)?;
        }
        Ok(())
    }

    /// Writes the overlay of an image and says where; an overlay that cannot be written does not keep the answer.
    fn explain(&mut self, ready: &Ready, map: &[f32], size: [usize; 2]) -> Option<String> {
        let overlays = self.overlays.as_ref()?;
        match drawn(&ready.image, map, size).and_then(|png| overlays.write(&ready.file, &png)) {
            Ok(path) => Some(ahead::named(&path)),
            Err(failure) => {
                self.report(&failure.within(format_args!("{}: no overlay", ready.name)));
                None
            }
        }
    }
}

/// Classes with their probabilities, the most probable first.
fn ranked(logits: &[f32]) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = softmax(logits).into_iter().enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    ranked
}

/// `exp(z_k) / sum exp(z)`, in f64 and without overflow.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |max, &z| max.max(f64::from(z)));
    let powers: Vec<f64> = logits.iter().map(|&z| (f64::from(z) - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn print(output: &mut Output, prediction: &Prediction<'_>, json: bool) -> Outcome {
    if json {
        return output.json(prediction);
    }
    output.line(prediction.file)?;
    for Guess { class, probability } in &prediction.top {
        let class = escaped(*class).to_string();
        output.line(format_args!("  {:6.2}%  {}", 100.0 * probability, shorten(&class, 68)))?;
    }
    match &prediction.explain {
        Some(path) => output.line(format_args!("  explained in {path}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_by_hand() {
        let found = softmax(&[0.0, 3f32.ln()]);
        assert!((found[0] - 0.25).abs() < 1e-7 && (found[1] - 0.75).abs() < 1e-7, "{found:?}");
        assert_eq!(softmax(&[3e38, -3e38]), [1.0, 0.0]);
    }
}
