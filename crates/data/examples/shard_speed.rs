//! A shuffled epoch over a large set, for `bench/peers/shards.py --large`: time to open it and to the first batch,
//! images a second of each tenth, and the most memory so far. Images are decoded, or with `--bytes` only read.
//!
//! ```sh
//! cargo run --release -p residual-data --example shard_speed -- DATA [--workers 2] [--bytes]
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use residual_arch::Preprocess;
use residual_data::{
    DataSource, Dataset, ImageSet, Loader, LoaderOptions, OpenOptions, Pipeline, PipelineOptions, Source,
    Split,
};

/// Images of a batch.
const BATCH: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let workers =
        arguments.iter().position(|argument| argument == "--workers").map(|at| arguments[at + 1].parse());
    let workers = workers.transpose()?.unwrap_or(2);
    let data = arguments.first().ok_or("usage: shard_speed DATA [--workers N] [--bytes]")?;
    let start = Instant::now();
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let set = Arc::new(Dataset::open(&DataSource::Path(PathBuf::from(data)), &options)?.split(Split::Train)?);
    println!("{} images, opened in {:.2} s, {} MB", set.len(), start.elapsed().as_secs_f64(), peak());
    let batches = match arguments.iter().any(|argument| argument == "--bytes") {
        true => bytes(set.clone(), workers)?,
        false => decoded(set.clone(), workers)?,
    };
    let start = Instant::now();
    let tenth = set.len().div_ceil(BATCH).div_ceil(10).max(1);
    let (mut images, mut since) = (0, Instant::now());
    for (number, batch) in batches.enumerate() {
        images += batch?;
        if number == 0 {
            println!("first batch after {:.2} s", start.elapsed().as_secs_f64());
        }
        if (number + 1) % tenth == 0 {
            let seconds = since.elapsed().as_secs_f64();
            println!("{images:>8} images: {:.0} a second, {} MB", (tenth * BATCH) as f64 / seconds, peak());
            since = Instant::now();
        }
    }
    println!("{images} images in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Number of images of each batch.
type Batches = Box<dyn Iterator<Item = Result<usize, Box<dyn std::error::Error>>>>;

fn decoded(set: Arc<ImageSet>, workers: usize) -> Result<Batches, Box<dyn std::error::Error>> {
    let options = LoaderOptions::evaluation(BATCH, Preprocess::imagenet(256, 224));
    let options = options.with(|options| (options.workers, options.shuffle) = (workers, true));
    Ok(Box::new(Loader::new(set, options)?.map(|batch| Ok(batch?.labels.len()))))
}

fn bytes(set: Arc<ImageSet>, workers: usize) -> Result<Batches, Box<dyn std::error::Error>> {
    let order = Source::order(&*set, 0, 0);
    let batches: Vec<Vec<usize>> = order.chunks(BATCH).map(<[usize]>::to_vec).collect();
    let options = PipelineOptions::new(workers, 2 * workers);
    let read = move |batch: Vec<usize>, _: &_| {
        batch
            .iter()
            .try_fold(0, |read, &index| set.bytes(index).map(|bytes| read + usize::from(!bytes.is_empty())))
    };
    Ok(Box::new(Pipeline::start(batches.into_iter(), options, read)?.map(|read| Ok(read??))))
}

/// The most memory that the process has had, in MB; 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or_default() / 1000
}
