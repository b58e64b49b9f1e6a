//! Histograms of the values of a map.

/// Bins of a histogram.
pub(crate) const BINS: usize = 2048;

/// Counts of values in bins of one width.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(crate) least: f32,
    pub(crate) most: f32,
    pub(crate) counts: Vec<u64>,
}

impl Histogram {
    pub(crate) fn new(least: f32, most: f32) -> Self {
        let (least, most) = (least.min(0.0), most.max(0.0));
        Self { least, most, counts: vec![0; BINS] }
    }

    /// Width of a bin.
    pub(crate) fn width(&self) -> f32 {
        ((self.most - self.least) / BINS as f32).max(f32::MIN_POSITIVE)
    }

    /// Counts `factor * value` for all values.
    pub(crate) fn add(&mut self, values: &[f32], factor: f32) {
        let (factor, offset) = (factor / self.width(), self.least / self.width());
        for value in values {
            // A float beyond the range saturates, NaN is 0.
            let bin = ((value * factor - offset) as usize).min(BINS - 1);
            self.counts[bin] += 1;
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Middle of a bin.
    pub(crate) fn middle(&self, bin: usize) -> f32 {
        self.least + (bin as f32 + 0.5) * self.width()
    }

    /// Upper edge of the bin under which `fraction` of all values lie.
    pub(crate) fn quantile(&self, fraction: f64) -> f32 {
        let wanted = (fraction * self.total() as f64) as u64;
        let mut below = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            below += count;
            if below > wanted {
                return self.least + (bin + 1) as f32 * self.width();
            }
        }
        self.most
    }
}
