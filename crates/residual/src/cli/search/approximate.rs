//! Choice between comparing with every row and with those of the nearest lists.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use residual::kernels::Cpu;
use residual::search::{Clusters, ClustersOptions, Error, Hit, Index};
use residual_files::escaped;

use super::Arguments;
use crate::cli::embed;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::interrupt;
use crate::cli::progress::note;
use crate::cli::table::thousands;

/// The most rows that are all compared where nobody says.
const EXACT: u64 = 1_000_000;

/// Rows of the index that the recall is measured with, when an approximate index is made.
const MEASURED: u32 = 64;

/// Way of searching.
pub(super) enum Method {
    Exact,
    Approximate { clusters: Box<Clusters>, probes: usize },
}

impl Method {
    /// The way that is asked for, or is usual for so many rows.
    pub(super) fn choose(arguments: &Arguments, index: &Index, cpu: &Cpu) -> Outcome<Self> {
        let wanted = arguments.approximate || arguments.probes.is_some();
        if arguments.exact && arguments.probes.is_some() {
            return Err(Failure::new("--probes: of no use with --exact"));
        }
        if arguments.exact || (!wanted && index.len() <= EXACT) {
            return Ok(Self::Exact);
        }
        let (clusters, is_new) = match Clusters::open(index)? {
            Some(clusters) => (clusters, false),
            None => (build(index, cpu)?, true),
        };
        let probes = arguments.probes.unwrap_or_else(|| clusters.usual_probes()).clamp(1, clusters.lists());
        if is_new {
            say_recall(&clusters, index, cpu, probes)?;
        }
        Ok(Self::Approximate { clusters: Box::new(clusters), probes })
    }

    pub(super) fn search(
        &self,
        index: &Index,
        cpu: &Cpu,
        queries: &[f32],
        top: usize,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        match self {
            Self::Exact => index.search(cpu, queries, top),
            Self::Approximate { clusters, probes } => clusters.search(cpu, queries, top, *probes),
        }
    }
}

/// Makes the approximate index beside `index`.
fn build(index: &Index, cpu: &Cpu) -> Outcome<Clusters> {
    let path = Clusters::path(index);
    note(&format!(
        "{} rows: making the approximate index {}, once; --exact compares with every row",
        thousands(index.len()),
        escaped(&path)
    ));
    let stop = interrupt::listen_and_say("leaving without an approximate index")?;
    Clusters::build(cpu, index, &ClustersOptions::default(), |path, body| {
        embed::write(path, |file| match body(&mut Stoppable { file, stop: &stop }) {
            Err(_) if stop.load(Ordering::Relaxed) => Err(Failure::Interrupted),
            result => Ok(result?),
        })
    })?;
    Clusters::open(index)?.ok_or_else(|| Failure::new("the approximate index has gone"))
}

/// File that takes nothing any more once the user has pressed Ctrl-C.
struct Stoppable<'a> {
    file: &'a mut dyn Write,
    stop: &'a AtomicBool,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::Error::other("stopped")),
            false => self.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Says how many of the nearest rows are found, of rows at equal distances.
fn say_recall(clusters: &Clusters, index: &Index, cpu: &Cpu, probes: usize) -> Outcome {
    let step = (index.len() as u32 / MEASURED).max(1);
    let (mut queries, mut count) = (Vec::new(), 0);
    for row in (0..index.len() as u32).step_by(step as usize).take(MEASURED as usize) {
        queries.extend(index.vector(row)?);
        count += 1;
    }
    let recall = clusters.recall(cpu, index, &queries, 10, probes)?;
    note(&format!(
        "{} lists, of which {probes} are looked at: {:.1}% of the 10 nearest of {count} rows are found (--probes)",
        clusters.lists(),
        100.0 * recall
    ));
    Ok(())
}
