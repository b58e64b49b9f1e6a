//! Timing beside the peak: interleaved samples, without those that other processes disturbed.

use std::time::{Duration, Instant};

use residual_kernels::{Cpu, multiply_add_flat_out};

/// Samples are taken until this many are clean, or the time is up.
const SAMPLES: usize = 15;
const TIME: Duration = Duration::from_secs(1);
/// A sample is at least this long: a measurement is repeated within it.
const SAMPLE: Duration = Duration::from_millis(2);

/// Seconds that the threads of this process have run, and have waited for a processor, where the
/// system says.
fn scheduled() -> [f64; 2] {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return [0.0; 2] };
    let of = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        let mut numbers = text.split_whitespace().map_while(|number| number.parse::<u64>().ok());
        Some([numbers.next()?, numbers.next()?].map(|nanoseconds| nanoseconds as f64 * 1e-9))
    };
    let each = threads.flatten().filter_map(|thread| of(thread.path()));
    each.fold([0.0; 2], |[ran, waited], [r, w]| [ran + r, waited + w])
}

/// Times of one measurement.
#[derive(Default)]
struct Times {
    clean: Vec<f64>,
    dirty: Vec<f64>,
}

impl Times {
    /// Runs `work` `repeats` times and keeps the seconds of one. A sample is clean if no thread had to
    /// wait for a processor, and all `threads` had one nearly all the time.
    fn sample(&mut self, threads: usize, repeats: usize, work: &mut dyn FnMut()) {
        let before = scheduled();
        let start = Instant::now();
        for _ in 0..repeats {
            work();
        }
        let seconds = start.elapsed().as_secs_f64();
        let after = scheduled();
        let (ran, waited) = (after[0] - before[0], after[1] - before[1]);
        let clean = waited < 0.01 * seconds && ran > 0.9 * threads as f64 * seconds;
        let kept = if clean { &mut self.clean } else { &mut self.dirty };
        kept.push(seconds / repeats as f64);
    }

    fn enough(&self) -> bool {
        self.clean.len() >= SAMPLES
    }

    /// Median of the clean samples, or of all where there are too few; their spread, the distance of the
    /// quartiles over the median; how many were clean.
    fn summary(mut self) -> (f64, f64, usize) {
        let clean = self.clean.len();
        if clean < 3 {
            self.clean.append(&mut self.dirty);
        }
        self.clean.sort_by(f64::total_cmp);
        let at = |part: f64| self.clean[((self.clean.len() - 1) as f64 * part) as usize];
        (at(0.5), (at(0.75) - at(0.25)) / at(0.5), clean)
    }
}

/// What a measurement gave.
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) spread: f64,
    pub(crate) clean: usize,
    /// Operations a second of the peak, measured between the samples.
    pub(crate) peak: f64,
}

/// Measures `work` with the peak of `cpu` in turns.
pub(crate) fn measure(cpu: &Cpu, mut work: impl FnMut()) -> Outcome {
    const ROUNDS: usize = 1_000_000;
    let threads = cpu.pool().threads();
    work();
    let start = Instant::now();
    work();
    let repeats = (SAMPLE.as_secs_f64() / start.elapsed().as_secs_f64()).ceil().max(1.0) as usize;
    let (mut times, mut peak) = (Times::default(), Times::default());
    let mut operations = 0.0;
    let start = Instant::now();
    while !times.enough() && start.elapsed() < TIME {
        peak.sample(threads, 1, &mut || operations = multiply_add_flat_out(cpu, ROUNDS));
        times.sample(threads, repeats, &mut work);
    }
    let (seconds, spread, clean) = times.summary();
    Outcome { seconds, spread, clean, peak: operations / peak.summary().0 }
}
