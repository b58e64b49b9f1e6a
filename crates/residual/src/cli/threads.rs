//! How many threads compute.

#[cfg(feature = "train")]
use super::failure::Outcome;

/// Parser of a number of threads, at least one, for clap.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 threads compute nothing; help: give 1 or more".to_owned()),
        Ok(threads) if threads <= MOST => Ok(threads),
        _ => Err(format!("expected a number from 1 to {MOST}")),
    }
}

/// More threads than this are a slip of the finger.
#[cfg(feature = "train")]
const MOST: usize = residual::train::Recipe::MOST_THREADS;
#[cfg(not(feature = "train"))]
const MOST: usize = 1024;

/// Starts the threads of the framework, `None` for one a core. To be called once, before anything is computed. Networks
/// compute on as many, where nobody gives them another number.
///
/// Also without a number: where the system refuses a thread, the framework would panic at its first operation.
#[cfg(feature = "train")]
pub(crate) fn limit(threads: Option<usize>) -> Outcome {
    let threads = count(threads);
    residual::kernels::Cpu::new(threads)?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    Ok(())
}

/// Number of threads that there will be: no more than help.
pub(crate) fn count(threads: Option<usize>) -> usize {
    residual::kernels::Pool::helpful_threads(threads.unwrap_or(usize::MAX))
}

/// Number of `threads` that decode ahead of a network that works on all of them: half, since decoding is the lesser
/// part of the work, and what they do not use is the network's. On two cores, evaluating cifar_resnet20 on 10,000
/// JPEGs takes 1.16 s with one, 1.19 with two and 1.20 with three.
pub(crate) fn decoding(threads: usize) -> usize {
    threads.div_ceil(2)
}
