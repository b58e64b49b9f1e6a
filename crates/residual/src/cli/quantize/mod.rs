//! `residual quantize`: a trained network in 8 bits.

mod images;
mod judge;

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use residual::quantize::{Options, Report, Settings, WeightBits, quantise};
use residual_files::escaped;
use serde::Serialize;

use self::images::Pool;
use self::judge::{Judgement, judge};
use super::failure::{Failure, Outcome};
use super::labelled::LabelledArguments;
use super::network::NetworkArguments;
use super::output::Output;
use super::progress::Bar;
use super::safetensors_name::check_extension;
use super::same_file::same_file;

const EXAMPLE: &str = "\
Examples:
  residual quantize --weights runs/first --data sample \\
                    --out first.int8.safetensors
  residual quantize --weights resnet20.th --data photos --images 500 --out q.safetensors
  residual predict --weights q.safetensors photo.jpg

The data need no labels. With labels, and a split that is not trained on, the
accuracy before and after is printed; else how many answers stay. Every command
that asks a network about images takes the new file as any other.";

/// Quantise a network: integer weights of 8 bits, from a few hundred images.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    labelled: LabelledArguments,
    /// Images to calibrate with, of the training split where there is one.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = count)]
    images: usize,
    /// Other images to compare both networks on.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    judge: usize,
    /// Bits of a weight. 7 are as exact for most networks, and faster on AVX2 without VNNI.
    #[arg(long, value_enum, default_value = "8")]
    weight_bits: Bits,
    /// Percent of the logits' variance that a layer alone may change; one that changes more stays in float32.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    most_error: f64,
    /// The .safetensors to write.
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// Print one JSON object: file, bytes, before and after, and every layer.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Bits {
    #[value(name = "7")]
    Seven,
    #[value(name = "8")]
    Eight,
}

impl From<Bits> for WeightBits {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::Seven => Self::Seven,
            Bits::Eight => Self::Eight,
        }
    }
}

/// JSON of a quantisation.
#[derive(Serialize)]
struct Printed<'a> {
    file: &'a str,
    /// Bytes of both files.
    bytes: [u64; 2],
    report: &'a Report,
    judged: Option<&'a Judgement>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let out = &arguments.out;
    check_extension(out)?;
    let (model, file) = arguments.network.open_with_file()?;
    if same_file(&file, out) {
        let out = escaped(out);
        let message = format_args!("{out}: is the file to read as well; help: give the output another name");
        return Err(Failure::new(message));
    }
    let options = Options::default().with(|options| {
        options.weight_bits = arguments.weight_bits.into();
        options.most_error = arguments.most_error / 100.0;
        options.batch = arguments.labelled.batch_size.max(1);
        options.threads = Some(arguments.network.threads());
    });
    let pool = Pool::open(arguments, &model)?;
    let chosen = pool.choose(arguments.images, arguments.judge);
    let images = pool.calibration(&chosen.calibration)?;
    let mut bar = None;
    let (quantised, report) = quantise(&model, &images, &options, &mut |progress| {
        bar.get_or_insert_with(|| Bar::new(progress.of)).set(progress.done);
    })?;
    drop(bar);
    quantised.save(out)?;
    let judged = judge(&pool, &chosen, [&model, &quantised], arguments.network.threads())?;
    let bytes = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let bytes = [bytes(&file), bytes(out)];
    if arguments.json {
        let file = &*out.to_string_lossy();
        return Output::new().json(&Printed { file, bytes, report: &report, judged: judged.as_ref() });
    }
    print(arguments, bytes, &report, judged.as_ref())
}

fn print(arguments: &Arguments, bytes: [u64; 2], report: &Report, judged: Option<&Judgement>) -> Outcome {
    let mut output = Output::new();
    let [before, after] = bytes.map(|bytes| bytes as f64 / 1e6);
    output.line(format_args!("{}: {after:.2} MB, was {before:.2} MB", escaped(&arguments.out)))?;
    let (all, left) = (report.layers.len(), report.in_float32().count());
    output.line(format_args!(
        "{} of {all} convolutions in 8 bits, weights of {}",
        all - left,
        report.weight_bits
    ))?;
    output.line(format_args!("calibrated with {} images, decided by {}", report.images, report.held_out))?;
    output.line(chosen(&report.settings))?;
    for layer in report.in_float32() {
        let reason = layer.reason.as_deref().unwrap_or_default();
        output.line(format_args!("  {} in float32: {reason}", layer.path))?;
    }
    let Some(judged) = judged else {
        let change = report.change;
        let line =
            format_args!("largest change of a logit {:.3}, on the images that decided", change.largest);
        return output.line(line);
    };
    let split = judged.split.as_deref().map_or(String::new(), |split| format!(" of the {split} split"));
    let images = judged.images;
    if let Some([before, after]) = judged.top1.map(|top1| top1.map(|share| 100.0 * share)) {
        output.line(format_args!(
            "top-1  {before:6.2}%  before, {after:6.2}%  after, {images} images{split}"
        ))?;
    }
    if let Some(agreement) = judged.change.agreement {
        output.line(format_args!(
            "{:.2}% of the answers about {images} images{split} stay",
            100.0 * agreement
        ))?;
    }
    output.line(format_args!("largest change of a logit {:.3}", judged.change.largest))
}

/// `ranges by mean squared error; fitted weights, corrected biases`
fn chosen(settings: &Settings) -> String {
    let choices = [
        (settings.fitted_weights, "fitted weights"),
        (settings.corrected_biases, "corrected biases"),
        (settings.equalised, "equalised channels"),
    ];
    let taken: Vec<&str> = choices.iter().filter(|(taken, _)| *taken).map(|(_, name)| *name).collect();
    let also = if taken.is_empty() { String::new() } else { format!("; {}", taken.join(", ")) };
    format!("ranges by {}{also}", settings.range)
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(images) if (1..=1_000_000).contains(&images) => Ok(images),
        _ => Err("expected a number from 1 to 1000000".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent >= 0.0 && percent.is_finite() => Ok(percent),
        _ => Err("expected a percentage of 0 or more".to_owned()),
    }
}
