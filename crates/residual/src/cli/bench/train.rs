//! `residual bench train`: the time of a training step.

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use residual::arch::families::family;
use residual::nn::fused::{Memory, Path, timed};
use residual::nn::{Compute, Init, Mode, ResNet, ResNetConfig, cross_entropy};
use residual::train::{At, Optimiser, OptimiserConfig};
use residual::weights::require_memory;
use serde::Serialize;

use super::blocks::{self, Row, Step, ms};
use super::memory::peak_mib;
use crate::cli::compute;
use crate::cli::failure::Outcome;
use crate::cli::output::Output;
use crate::cli::{network, threads};

const EXAMPLE: &str = "\
Example:
  residual bench train --model small --batch 128 --json
  residual bench train --model cifar_resnet20 --batch 128 --blocks

A step is forward, loss, backward and SGD with momentum on a batch that is made
up once. The first steps warm up and are not counted.";

/// Time training steps on a made-up batch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member (see `residual models`), or a network written out in a SPEC.toml.
    #[arg(long, value_name = "MODEL|SPEC.toml", default_value = "small")]
    model: String,
    /// Images in a step.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Side of the images, where it is not the network's own.
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Steps that are counted.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    steps: u32,
    /// Through which operations.
    #[arg(long, value_parser = compute::path(), default_value = "fused")]
    path: Path,
    /// Maps that are kept between the forward and the backward pass.
    #[arg(long, value_parser = compute::memory(), default_value = "keep")]
    memory: Memory,
    /// Threads for computing. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// List how long each layer takes in either pass, in the median of the steps.
    #[arg(long)]
    blocks: bool,
    /// Print one JSON object: median_ms, min_ms, images_per_s, peak_rss_mib, stock (parts that
    /// run in stock operations), and blocks where they are asked for.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    batch: u32,
    threads: usize,
    median_ms: f64,
    min_ms: f64,
    images_per_s: f64,
    peak_rss_mib: Option<f64>,
    /// Parts that the kernels do not have: they run in stock operations.
    stock: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Row>,
}

/// Steps before the counted ones: memory is taken, threads wake up.
const WARM_UP: u32 = 2;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    threads::limit(arguments.threads)?;
    let mut spec = match network::written_out(&arguments.model)? {
        Some(spec) => spec,
        None => family(&arguments.model)?,
    };
    if let Some(size) = arguments.size {
        spec = spec.clone().with_input([spec.input[0], size, size]);
    }
    // Weights, gradients and velocities.
    require_memory(&spec.check(spec.input)?, 3, arguments.batch.into())?;
    let device = Device::flex().autodiff();
    let mut network = ResNetConfig::new(spec).init(Init::new(0, &device))?;
    network.set_compute(Compute { path: arguments.path, memory: arguments.memory });
    let shape = [&[arguments.batch as usize], &network.spec().input[..]].concat();
    network.check_input([shape[0], shape[1], shape[2], shape[3]], Mode::train(0, 0))?;
    let stock = network.stock_parts().map(|part| part.to_string()).collect();
    let steps = steps(network, &shape, WARM_UP + arguments.steps)?.split_off(WARM_UP as usize);
    let mut milliseconds: Vec<f64> = steps.iter().map(|step| step.ms).collect();
    milliseconds.sort_by(f64::total_cmp);
    let median_ms = milliseconds[milliseconds.len() / 2];
    let blocks = if arguments.blocks { blocks::rows(&steps) } else { Vec::new() };
    let report = Report {
        model: &arguments.model,
        batch: arguments.batch,
        threads: threads::count(arguments.threads),
        median_ms,
        min_ms: milliseconds[0],
        images_per_s: 1e3 * f64::from(arguments.batch) / median_ms,
        peak_rss_mib: peak_mib(),
        stock,
        blocks,
    };
    print(&report, arguments.json)
}

/// `count` steps.
fn steps(mut network: ResNet, shape: &[usize], count: u32) -> Outcome<Vec<Step>> {
    let device = network.device();
    let elements: usize = shape.iter().product();
    // Any values of unit size do: the time does not depend on them.
    let pixels: Vec<f32> = (0..elements).map(|i| (i * 7919 % 2017) as f32 / 1008.5 - 1.0).collect();
    let x = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    let labels: Vec<usize> = (0..shape[0]).map(|i| i % network.spec().head.classes).collect();
    let mut optimiser = Optimiser::new(OptimiserConfig::sgd());
    let mut steps = Vec::new();
    for step in 0..count {
        let start = Instant::now();
        let (gradients, operations) = timed(|| {
            let logits = network.forward(x.clone(), Mode::train(0, u64::from(step)));
            cross_entropy(logits, &labels, 0.0).map(|loss| loss.backward())
        });
        let (gradients, before) = (gradients?, start.elapsed());
        optimiser.step(&mut network, gradients, At { lr: 1e-3, step: u64::from(step) + 1 });
        let all = start.elapsed();
        steps.push(Step { ms: ms(all), optimiser_ms: ms(all - before), operations });
    }
    Ok(steps)
}

fn print(report: &Report<'_>, json: bool) -> Outcome {
    let mut output = Output::new();
    if json {
        return output.json(report);
    }
    let Report { model, batch, threads, median_ms, min_ms, images_per_s, peak_rss_mib, stock, blocks } =
        report;
    output.line(format_args!("{model}, {batch} images a step, {threads} threads"))?;
    output.line(format_args!("median  {median_ms:10.1} ms   {images_per_s:.1} images/s"))?;
    output.line(format_args!("least   {min_ms:10.1} ms"))?;
    if let Some(mib) = peak_rss_mib {
        output.line(format_args!("memory  {mib:10.0} MiB at most"))?;
    }
    if let Some(first) = stock.first() {
        output.line(format_args!(
            "stock   {:10} parts run in stock operations, {first} the first",
            stock.len()
        ))?;
    }
    blocks::print(&mut output, blocks)
}
