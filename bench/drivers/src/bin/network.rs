//! Measures networks on request: the side of this project in `bench/peers/infer.py`.
//!
//! `network THREADS` reads lines and answers each with one line:
//!
//! ```text
//! network MODEL BATCH WEIGHTS INPUT    ready
//! run COUNT                            ms MEDIAN
//! logits                               logits VALUE VALUE ...
//! layers COUNT                         layers NAME KERNEL MEDIAN, ...
//! memory                               mib PEAK
//! anything else                        error REASON
//! ```
//!
//! INPUT is a file of normalised f32 in the machine's order of bytes, `[batch][channels][height][width]`.

use std::io::{BufRead, Write};
use std::time::Instant;

use residual_engine::{Images, LayerProfile, Options, Plan, Scratch};
use residual_weights::Model;

type Failure = Box<dyn std::error::Error>;

/// A network, ready to run.
struct Prepared {
    plan: Plan,
    scratch: Scratch,
    input: Vec<f32>,
}

fn prepare(threads: Option<usize>, words: &[&str]) -> Result<Prepared, Failure> {
    let [model, batch, weights, input] = words else { return Err("MODEL BATCH WEIGHTS INPUT".into()) };
    let max_batch = batch.parse()?;
    let options =
        Options::default().with(|options| (options.threads, options.max_batch) = (threads, max_batch));
    let plan = Plan::compile(&Model::open_as(weights, *model)?, &options)?;
    let value = |bytes: &[u8; 4]| f32::from_ne_bytes(*bytes);
    let input = std::fs::read(input)?.as_chunks().0.iter().map(value).collect();
    let scratch = plan.scratch();
    Ok(Prepared { plan, scratch, input })
}

/// The median time of `count` runs, in milliseconds.
fn measure(prepared: &mut Prepared, count: &str) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..count.parse::<usize>()?.max(1) {
        let start = Instant::now();
        prepared.plan.run(Images::Planar(&prepared.input), &mut prepared.scratch)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// The most memory that the process has held, in MiB.
fn memory() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.ok_or("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

fn answer(threads: Option<usize>, line: &str, prepared: &mut Option<Prepared>) -> Result<String, Failure> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if let ["network", rest @ ..] = words.as_slice() {
        *prepared = Some(prepare(threads, rest)?);
        return Ok("ready".into());
    }
    let prepared = prepared.as_mut().ok_or("no network yet")?;
    match words.as_slice() {
        ["run", count] => Ok(format!("ms {}", measure(prepared, count)?)),
        ["layers", count] => {
            let profile = prepared.plan.profile(
                Images::Planar(&prepared.input),
                count.parse()?,
                &mut prepared.scratch,
            )?;
            let line = |layer: &LayerProfile| format!("{} {} {:.4}", layer.name, layer.kernel, layer.ms);
            Ok(format!("layers {}", profile.layers.iter().map(line).collect::<Vec<_>>().join(", ")))
        }
        ["memory"] => Ok(format!("mib {}", memory()?)),
        ["logits"] => {
            let logits = prepared.plan.run(Images::Planar(&prepared.input), &mut prepared.scratch)?;
            let values: Vec<String> = logits.iter().map(ToString::to_string).collect();
            Ok(format!("logits {}", values.join(" ")))
        }
        _ => Err("network, run, logits, layers or memory".into()),
    }
}

fn main() -> Result<(), Failure> {
    let threads = std::env::args().nth(1).map(|text| text.parse()).transpose()?;
    let (mut prepared, mut out) = (None, std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let text = answer(threads, &line?, &mut prepared).unwrap_or_else(|error| format!("error {error}"));
        writeln!(out, "{text}")?;
        out.flush()?;
    }
    Ok(())
}
