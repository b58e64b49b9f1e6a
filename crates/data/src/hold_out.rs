//! The share of each class that is held out to evaluate on.

use crate::Error;
use crate::random::Use;

/// Share of each class that is held out to evaluate on, where nothing else is said.
pub const HELD_OUT: f64 = 0.1;

/// A checked share of each class to hold out, and the seed by which it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldOut {
    share: f64,
    seed: u64,
}

impl HoldOut {
    pub(crate) fn new(share: f64, seed: u64) -> Result<Self, Error> {
        if !(0.0..1.0).contains(&share) {
            let (found, expected) = (share.to_string(), "0 or more, and less than 1");
            return Err(Error::InvalidOption { option: "holdout", found, expected });
        }
        Ok(Self { share, seed })
    }

    /// Flags of the `count` images of a class, true where an image is held out: the nearest whole number to the
    /// share, but at least one, and one left to train on, as far as two images allow.
    pub(crate) fn of_class(&self, label: usize, count: usize) -> Vec<bool> {
        let wanted = (count as f64 * self.share).round() as usize;
        let least = usize::from(self.share > 0.0 && count >= 2);
        let wanted = wanted.clamp(least, count.saturating_sub(1).max(least));
        let mut order: Vec<usize> = (0..count).collect();
        Use::Split.key([self.seed, 0, label as u64]).stream().shuffle(&mut order);
        let mut held_out = vec![false; count];
        order[..wanted].iter().for_each(|&i| held_out[i] = true);
        held_out
    }
}

/// Two parts of labelled images, those to train on and those that are held out, each in its order.
pub(crate) fn divided<T>(images: Vec<T>, hold_out: HoldOut, label: impl Fn(&T) -> usize) -> (Vec<T>, Vec<T>) {
    let mut counts: Vec<usize> = Vec::new();
    for image in &images {
        let label = label(image);
        counts.resize(counts.len().max(label + 1), 0);
        counts[label] += 1;
    }
    let flags = |(label, &count): (usize, &usize)| hold_out.of_class(label, count).into_iter();
    let mut flags: Vec<_> = counts.iter().enumerate().map(flags).collect();
    let (held_out, train) = images.into_iter().partition(|image| flags[label(image)].next().unwrap_or(false));
    (train, held_out)
}
