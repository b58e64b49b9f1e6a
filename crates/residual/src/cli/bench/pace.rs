//! Images over time.

use std::time::{Duration, Instant};

/// Count of images that came by, with the time of each batch of them.
pub(super) struct Pace {
    begin: Instant,
    /// Images so far, and the time since the beginning, after each batch.
    points: Vec<(usize, Duration)>,
}

impl Pace {
    /// Count that begins at a time.
    pub(super) fn new(begin: Instant) -> Self {
        Self { begin, points: Vec::new() }
    }

    /// Adds a batch that came just now.
    pub(super) fn add(&mut self, images: usize) {
        self.points.push((self.images() + images, self.begin.elapsed()));
    }

    pub(super) fn images(&self) -> usize {
        self.points.last().map_or(0, |point| point.0)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.points.last().map_or(Duration::ZERO, |point| point.1)
    }

    /// Time to the first batch.
    pub(super) fn to_first(&self) -> Duration {
        self.points.first().map_or(Duration::ZERO, |point| point.1)
    }

    /// Images a second, from the beginning to the end.
    pub(super) fn rate(&self) -> f64 {
        rate((0, Duration::ZERO), (self.images(), self.elapsed()))
    }

    /// Images a second of the first ones, at least so many, or all.
    pub(super) fn first(&self, images: usize) -> f64 {
        let enough = self.points.iter().find(|point| point.0 >= images);
        rate((0, Duration::ZERO), enough.or(self.points.last()).copied().unwrap_or_default())
    }

    /// Images a second of the last ones, at least so many, or all.
    pub(super) fn last(&self, images: usize) -> f64 {
        let end = (self.images(), self.elapsed());
        let before = self.points.iter().rev().find(|point| point.0 + images <= end.0);
        rate(before.copied().unwrap_or_default(), end)
    }
}

fn rate(from: (usize, Duration), to: (usize, Duration)) -> f64 {
    (to.0 - from.0) as f64 / (to.1 - from.1).as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_whole_batches() {
        let seconds = Duration::from_secs;
        // 600 images a batch: the first after 3 s, then one a second, and the last two in half the time.
        let points = vec![
            (600, seconds(3)),
            (1200, seconds(4)),
            (1800, seconds(5)),
            (2400, Duration::from_millis(5500)),
            (3000, seconds(6)),
        ];
        let pace = Pace { begin: Instant::now(), points };
        assert_eq!((pace.images(), pace.to_first()), (3000, seconds(3)));
        assert_eq!((pace.rate(), pace.first(1000), pace.last(1000)), (500.0, 300.0, 1200.0));
        assert_eq!((pace.first(9000), pace.last(9000)), (500.0, 500.0));
    }
}
