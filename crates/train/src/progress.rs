//! Where a training stands, to the last bit.

use std::path::Path;

use residual_arch::NetSpec;
use residual_weights::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::{Error, Metrics};

/// Where a training stands. With the network's and the optimiser's tensors, all that an exact resume needs:
/// randomness is keyed by seed, epoch, step and sample, so that it has no state of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Epochs that are done, their evaluation included.
    pub(crate) epoch: usize,
    /// Batches that are done of the epoch after those.
    pub(crate) batch: usize,
    /// Optimiser steps that are done.
    pub(crate) step: u64,
    /// What was gathered in the epoch that is going on.
    pub(crate) pass: Pass,
    /// Seconds since the training began, without interruptions.
    pub(crate) seconds: f64,
    /// The best evaluation so far.
    pub(crate) best: Option<Best>,
    /// The lines of `metrics.jsonl`.
    pub(crate) history: Vec<Metrics>,
    /// Of the data that the training began with.
    pub(crate) data: Fingerprint,
}

/// Sums over the images of a pass over the training split, in the order of the batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    pub(crate) loss: f64,
    pub(crate) correct: u64,
    pub(crate) images: u64,
    pub(crate) seconds: f64,
}

/// The best evaluation so far: the first of those with the greatest top-1 accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Fraction of the images that were told right.
    pub top1: f64,
}

/// What two data sets have alike if they are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    /// Training images.
    pub(crate) train: usize,
    /// Images for evaluation.
    pub(crate) evaluation: usize,
    /// Hash of the names and labels of all images, in order.
    pub(crate) files: String,
}

impl Progress {
    /// Before the first step.
    pub(crate) fn new(data: Fingerprint) -> Self {
        Self {
            epoch: 0,
            batch: 0,
            step: 0,
            pass: Pass::default(),
            seconds: 0.0,
            best: None,
            history: Vec::new(),
            data,
        }
    }

    /// Takes the progress out of a run's `last.safetensors`, and checks that the checkpoint belongs to this
    /// network and these data.
    pub(crate) fn read(path: &Path, spec: &NetSpec, data: &Fingerprint) -> Result<(Checkpoint, Self), Error> {
        let refuse = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let mut checkpoint = Checkpoint::read(path)?;
        let state = checkpoint.state.take().ok_or_else(|| {
            refuse("it holds a network for prediction, not the state of a training".to_owned())
        })?;
        let progress: Self = serde_json::from_value(state)
            .map_err(|error| refuse(format!("the state of the training is damaged: {error}")))?;
        if checkpoint.spec != *spec {
            return Err(refuse(format!(
                "it holds the network `{}`, which is not the one that the recipe describes (`{}`)",
                checkpoint.spec.name, spec.name
            )));
        }
        progress.data.compare(data)?;
        Ok((checkpoint, progress))
    }
}

impl Pass {
    /// The line of a whole pass.
    pub(crate) fn metrics(&self, epoch: usize, step: u64, lr: f64, seconds: f64) -> Metrics {
        let images = self.images.max(1) as f64;
        Metrics {
            epoch,
            step,
            split: "train".to_owned(),
            loss: self.loss / images,
            top1: self.correct as f64 / images,
            lr,
            images_per_s: rate(self.images, self.seconds),
            seconds,
        }
    }
}

/// Images a second; zero where no time has passed.
pub(crate) fn rate(images: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { images as f64 / seconds } else { 0.0 }
}

impl Fingerprint {
    fn compare(&self, now: &Self) -> Result<(), Error> {
        let differ = |what, found: &dyn ToString, expected: &dyn ToString| {
            Err(Error::DataChanged { what, found: found.to_string(), expected: expected.to_string() })
        };
        if self.train != now.train {
            return differ("training images", &now.train, &self.train);
        }
        if self.evaluation != now.evaluation {
            return differ("images for evaluation", &now.evaluation, &self.evaluation);
        }
        if self.files != now.files {
            return differ("hash of names and labels", &now.files, &self.files);
        }
        Ok(())
    }
}

/// FNV-1a, 64 bits: tells accidents apart, not attacks.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn finish(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_data_are_noticed() {
        let then = Fingerprint { train: 10, evaluation: 4, files: "a".into() };
        assert!(then.compare(&then.clone()).is_ok());
        for now in [
            Fingerprint { train: 9, ..then.clone() },
            Fingerprint { evaluation: 5, ..then.clone() },
            Fingerprint { files: "b".into(), ..then.clone() },
        ] {
            assert!(matches!(then.compare(&now), Err(Error::DataChanged { .. })));
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::new();
        assert_eq!(hash.finish(), "cbf29ce484222325");
        hash.write(b"a");
        assert_eq!(hash.finish(), "af63dc4c8601ec8c");
    }
}
