//! What a study shows while it goes on.

use std::time::{Duration, Instant};

use residual::report::duration;
use residual::study::Watch;

use crate::cli::progress::{Bar, note};

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(10);
/// Steps of the bar.
const STEPS: usize = 1000;

/// A moving line on a terminal; elsewhere a plain line every ten seconds.
pub(super) struct Line {
    bar: Bar,
    begin: Instant,
    last: Instant,
}

impl Line {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { bar: Bar::new(STEPS), begin: now, last: now }
    }
}

impl Watch for Line {
    fn progress(&mut self, share: f64, doing: &str) {
        let left = self.begin.elapsed().as_secs_f64() * (1.0 - share) / share;
        let line = format!("{doing}, {} left", duration(left));
        if self.bar.is_drawn() {
            self.bar.say((share * STEPS as f64) as usize, &line);
        } else if self.last.elapsed() >= PAUSE {
            self.last = Instant::now();
            note(&format!("{:.0}% {line}", 100.0 * share));
        }
    }

    fn finished(&mut self, line: &str) {
        note(line);
    }
}
