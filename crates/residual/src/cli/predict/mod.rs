//! `residual predict`: the classes of images.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use clap::Args;
use residual::arch::shape::flow;
use residual::arch::{NetSpec, Preprocess, Resize};
use residual::data::{MAX_FILE_BYTES, Preprocessor, decode};
use residual::nn::{Mode, NamedTensor, ResNet};
use serde::Serialize;

use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::shorten;
use super::{threads, weights};

const EXAMPLE: &str = "\
Examples:
  residual predict --weights runs/first/best.safetensors photo.jpg
  residual predict --weights runs/first/best.safetensors photos --top 1 --json

A trained .safetensors says how its images are to be prepared. Where a network
takes images as they are, one of another size than its input is resized (shorter
side) and its centre cut out.";

/// Tell the classes of images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A trained .safetensors, or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The network of bare weights: a family member or a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml")]
    model: Option<String>,
    /// JPEG or PNG images, or folders of them.
    #[arg(value_name = "IMAGE|DIR", required = true)]
    images: Vec<PathBuf>,
    /// How many classes to print, the most probable first.
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = parse_top)]
    top: usize,
    /// Threads for computing. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Print one JSON object a line: file, top[{class, probability}].
    #[arg(long)]
    json: bool,
}

fn parse_top(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&top| top > 0).ok_or_else(|| "expected a number, 1 or more".to_owned())
}

#[derive(Serialize)]
struct Prediction<'a> {
    file: String,
    top: Vec<Guess<'a>>,
}

#[derive(Serialize)]
struct Guess<'a> {
    class: &'a str,
    probability: f64,
}

pub(crate) fn run(arguments: &Arguments, verbose: bool) -> Outcome {
    threads::limit(arguments.threads)?;
    let loaded = weights::load(&arguments.weights, arguments.model.as_deref())?;
    let outputs = loaded.network.spec().head.classes;
    let classes = loaded.classes.unwrap_or_else(|| (0..outputs).map(|class| class.to_string()).collect());
    let predictor = Predictor::new(loaded.network, classes)?;
    let mut output = Output::new();
    let mut failed = false;
    for path in &arguments.images {
        let files = files(path).unwrap_or_else(|failure| {
            failure.announce(verbose);
            failed = true;
            Vec::new()
        });
        for file in files {
            match predictor.predict(&file, arguments.top) {
                Ok(prediction) => print(&mut output, &prediction, arguments.json)?,
                // One bad image does not keep the others from their turn.
                Err(failure) => {
                    failure.announce(verbose);
                    failed = true;
                }
            }
        }
    }
    if failed { Err(Failure::Reported) } else { Ok(()) }
}

struct Predictor {
    network: ResNet,
    classes: Vec<String>,
    preprocessor: Preprocessor,
    /// For images that the network does not take as they are.
    resizing: Preprocessor,
}

impl Predictor {
    fn new(network: ResNet, classes: Vec<String>) -> Outcome<Self> {
        let own = Preprocessor::new(&network.spec().preprocess)?;
        let resizing = Preprocessor::new(&brought_to_size(network.spec()))?;
        Ok(Self { network, classes, preprocessor: own, resizing })
    }

    fn predict(&self, file: &Path, top: usize) -> Outcome<Prediction<'_>> {
        let name = file.display().to_string();
        let image = decode(&read(file)?, &name)?;
        let [_, height, width] = self.network.spec().input;
        let fits = [image.height(), image.width()] == [height, width];
        let preprocessor = if fits { &self.preprocessor } else { &self.resizing };
        let (values, shape) = preprocessor.apply(image, &name)?;
        flow(self.network.spec(), shape).map_err(|error| Failure::from(error).within(&name))?;
        let [channels, height, width] = shape;
        let data = TensorData::new(values, [1, channels, height, width]);
        let logits = self.network.forward(Tensor::from_data(data, &self.network.device()), Mode::Eval);
        let probabilities = softmax(&NamedTensor::read("logits", logits).values);
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let guess = |&class: &usize| Guess { class: &self.classes[class], probability: probabilities[class] };
        Ok(Prediction { file: name, top: order.iter().take(top).map(guess).collect() })
    }
}

/// The network's preprocessing; where that takes images as they are, with a resize and a crop to the input.
fn brought_to_size(spec: &NetSpec) -> Preprocess {
    let own = spec.preprocess.clone();
    let [_, height, width] = spec.input;
    match own {
        Preprocess { resize: None, crop: None, .. } => Preprocess {
            resize: Some(match height == width {
                true => Resize::ShorterSide(height),
                false => Resize::Exact([height, width]),
            }),
            crop: Some([height, width]),
            ..own
        },
        own => own,
    }
}

/// `exp(z_k) / sum exp(z)`, in f64 and without overflow.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |max, &z| max.max(f64::from(z)));
    let powers: Vec<f64> = logits.iter().map(|&z| (f64::from(z) - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let cannot = |error| Failure::from(error).within(format_args!("{}: cannot read", file.display()));
    let metadata = std::fs::metadata(file).map_err(cannot)?;
    if metadata.len() > MAX_FILE_BYTES {
        let message = format_args!("{}: larger than any image ({} bytes)", file.display(), metadata.len());
        return Err(Failure::new(message));
    }
    std::fs::read(file).map_err(cannot)
}

/// The file itself, or the images in a folder and the folders below it, sorted by path.
fn files(path: &Path) -> Outcome<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    collect(path, &mut found)
        .map_err(|error| Failure::from(error).within(format_args!("{}: cannot read", path.display())))?;
    found.sort();
    match found.is_empty() {
        true => Err(Failure::new(format_args!("{}: no JPEG or PNG images there", path.display()))),
        false => Ok(found),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder is not followed: it may lead around in a circle.
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(is_image) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_image(extension: &OsStr) -> bool {
    ["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn print(output: &mut Output, prediction: &Prediction<'_>, json: bool) -> Outcome {
    if json {
        return output.json(prediction);
    }
    output.line(&prediction.file)?;
    for Guess { class, probability } in &prediction.top {
        output.line(format_args!("  {:6.2}%  {}", 100.0 * probability, shorten(class, 68)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use residual::arch::families::family;

    use super::*;

    #[test]
    fn probabilities_by_hand() {
        let found = softmax(&[0.0, 3f32.ln()]);
        assert!((found[0] - 0.25).abs() < 1e-7 && (found[1] - 0.75).abs() < 1e-7, "{found:?}");
        assert_eq!(softmax(&[3e38, -3e38]), [1.0, 0.0]);
    }

    #[test]
    fn only_networks_without_a_size_are_given_one() {
        let small = brought_to_size(&family("small").unwrap());
        assert_eq!((small.resize, small.crop), (Some(Resize::ShorterSide(32)), Some([32, 32])));
        let resnet = family("resnet18").unwrap();
        assert_eq!(brought_to_size(&resnet), resnet.preprocess);
        let wide = family("small").unwrap().with_input([3, 16, 24]);
        assert_eq!(brought_to_size(&wide).resize, Some(Resize::Exact([16, 24])));
    }
}
