//! `residual bench infer`: the speed of a network on the engine.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use residual::arch::NetSpec;
use residual::arch::shape::flow;
use residual::engine::{Error as EngineError, Images, LayerProfile, Options, Plan, Scratch, Tune};
use residual::weights::require_memory;
use residual_testkit::networks;
use serde::Serialize;

use super::memory;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::output::Output;
use crate::cli::table::{Align, Table};
use crate::cli::{network, threads};

const EXAMPLE: &str = "\
Examples:
  residual bench infer --model resnet18 --batch 16
  residual bench infer --model resnet50 --batch 1 --threads 1 --layers
  residual bench infer --model small --batch 64 --tune --json

Weights are random unless --weights has some: they do not change the speed.
--tune measures the ways to compute each convolution and keeps what it found in
the user's cache folder, so that the next time begins at once.";

/// Measure how fast a network answers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// A family member or a SPEC.toml. A trained .safetensors says it itself.
    #[arg(long, value_name = "MODEL|SPEC.toml", required_unless_present = "weights")]
    model: Option<String>,
    /// A trained .safetensors, or bare weights (.safetensors, .pth, .th).
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_batch)]
    batch: usize,
    /// Threads for computing. [default: one a core]
    #[arg(long, value_name = "N", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Choose how to compute each convolution by measuring.
    #[arg(long)]
    tune: bool,
    /// Measure every layer as well.
    #[arg(long)]
    layers: bool,
    /// Duration of the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Print one JSON object: median_ms, min_ms, images_per_s, gflops, ...
    #[arg(long)]
    json: bool,
}

/// Runs at least, however long they take.
const LEAST_RUNS: usize = 5;

/// Runs of which a layer's time is the median.
const LAYER_RUNS: usize = 15;

fn parse_batch(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&batch| batch > 0).ok_or_else(|| "expected a number, 1 or more".to_owned())
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "expected a number of seconds, up to 3600".to_owned())
}

#[derive(Serialize)]
struct Measured {
    model: String,
    batch: usize,
    threads: usize,
    isa: String,
    runs: usize,
    median_ms: f64,
    min_ms: f64,
    images_per_s: f64,
    /// Multiplications and additions of the direct computation over the median time, in 10^9 a second.
    gflops: f64,
    peak_rss_mib: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    kernel: String,
    ms: f64,
    gflops: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let (spec, plan) = compiled(arguments)?;
    let [channels, height, width] = spec.input;
    let pixels = noise(arguments.batch * channels * height * width);
    let mut scratch = plan.scratch();
    let mut times = times(&plan, &pixels, &mut scratch, Duration::from_secs_f64(arguments.seconds))?;
    times.sort_by(f64::total_cmp);
    let (median, runs) = (times[times.len() / 2], times.len());
    let images_per_s = arguments.batch as f64 / median;
    // Before the layers are measured: the clocks' memory is not the network's.
    let peak_rss_mib = memory::peak_mib();
    let layers = match arguments.layers {
        true => plan.profile(Images::Interleaved(&pixels), LAYER_RUNS, &mut scratch)?.layers,
        false => Vec::new(),
    };
    let measured = Measured {
        batch: arguments.batch,
        threads: plan.threads(),
        isa: plan.isa().to_string(),
        runs,
        median_ms: median * 1e3,
        min_ms: times[0] * 1e3,
        images_per_s,
        gflops: 2.0 * flow(&spec, spec.input)?.macs as f64 * images_per_s / 1e9,
        peak_rss_mib,
        layers: layers.into_iter().map(Layer::from).collect(),
        model: spec.name,
    };
    print(&measured, arguments.json)
}

/// The network and its plan. The weights are let go once they are packed.
fn compiled(arguments: &Arguments) -> Outcome<(NetSpec, Plan)> {
    let model = match (&arguments.weights, &arguments.model) {
        (Some(path), model) => network::open(path, model.as_deref(), None)?,
        (None, model) => {
            let spec = network::specification(model.as_deref().unwrap_or_default())?;
            // The weights, and the same packed.
            require_memory(&spec.check(spec.input)?, 2, arguments.batch as u64)?;
            networks::model(&spec, 0.7)?
        }
    };
    let tune = arguments.tune.then(cache).transpose()?;
    let threads = threads::count(arguments.threads);
    let options = Options::default().with(|options| {
        options.threads = Some(threads);
        options.max_batch = arguments.batch;
        options.tune = tune;
    });
    let plan = Plan::compile(&model, &options)?;
    Ok((model.spec().clone(), plan))
}

/// `residual/tuned.json` in the user's cache folder; where there is no such folder, nothing is kept.
fn cache() -> Outcome<Tune> {
    let variable = |name| std::env::var_os(name).filter(|value| Path::new(value).is_absolute());
    let folder = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    let Some(folder) = folder.map(|folder| folder.join("residual")) else { return Ok(Tune::default()) };
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::from(error).within(format_args!("{}: cannot make", folder.display())))?;
    Ok(Tune::default().with(|tune| tune.cache = Some(folder.join("tuned.json"))))
}

/// Bytes of every value.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Seconds of every run, after two that warm up.
fn times(
    plan: &Plan,
    pixels: &[u8],
    scratch: &mut Scratch,
    least: Duration,
) -> Result<Vec<f64>, EngineError> {
    for _ in 0..2 {
        plan.run(Images::Interleaved(pixels), scratch)?;
    }
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < LEAST_RUNS || begin.elapsed() < least {
        let start = Instant::now();
        plan.run(Images::Interleaved(pixels), scratch)?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(times)
}

impl From<LayerProfile> for Layer {
    fn from(LayerProfile { name, kernel, ms, gflops, .. }: LayerProfile) -> Self {
        Self { name, kernel, ms, gflops }
    }
}

fn print(measured: &Measured, json: bool) -> Outcome {
    let mut output = Output::new();
    if json {
        return output.json(measured);
    }
    let Measured { model, batch, threads, isa, runs, median_ms, min_ms, images_per_s, gflops, .. } = measured;
    output.line(format_args!("{model}, batch {batch}, {threads} threads, {isa}, {runs} runs"))?;
    output.line(format_args!("median {median_ms:.3} ms, minimum {min_ms:.3} ms"))?;
    output.line(format_args!("{images_per_s:.1} images/s, {gflops:.1} GFLOP/s"))?;
    if let Some(mib) = measured.peak_rss_mib {
        output.line(format_args!("peak memory {mib:.1} MiB"))?;
    }
    if measured.layers.is_empty() {
        return Ok(());
    }
    output.line("")?;
    table(&measured.layers).lines().iter().try_for_each(|line| output.line(line))
}

fn table(layers: &[Layer]) -> Table {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("kernel", Align::Left),
        ("ms", Align::Right),
        ("GFLOP/s", Align::Right),
    ]);
    for Layer { name, kernel, ms, gflops } in layers {
        let rate = if *gflops > 0.0 { format!("{gflops:.0}") } else { String::new() };
        table.row([name.clone(), kernel.clone(), format!("{ms:.3}"), rate]);
    }
    table
}
