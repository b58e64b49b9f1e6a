//! Progress of a training, to the last bit.

use std::fmt;
use std::path::Path;

use residual_arch::{NetSpec, Task};
use residual_data::TaskScore;
use residual_weights::Checkpoint;
use serde::{Deserialize, Serialize};

use crate::losses::targets::TaskSums;
use crate::optimiser::gradient_norms::NormSums;
use crate::{Error, Metrics, Recipe, RunFolder, read_metrics};

/// Progress of a training. With the network's and the optimiser's tensors, all that an exact resume needs:
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
    /// Sums of the epoch that is going on.
    pub(crate) pass: Pass,
    /// Seconds since the training began, without interruptions.
    pub(crate) seconds: f64,
    /// The best evaluation so far.
    pub(crate) best: Option<Best>,
    /// The lines of `metrics.jsonl`.
    pub(crate) history: Vec<Metrics>,
    /// Fingerprint of the data that the training began with.
    pub(crate) data: Fingerprint,
    /// The settled recipe that it began with, and what was changed of it since; none in files of earlier releases.
    #[serde(default)]
    pub(crate) recipe: Option<Recipe>,
    /// Hash of the teacher; none without one, and in files of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) teacher: Option<String>,
    /// Errors of images at which the training stopped: they may be mended.
    #[serde(default)]
    pub(crate) bad: Vec<String>,
}

/// Sums over the images of a pass over the training split, in the order of the batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    pub(crate) loss: f64,
    pub(crate) correct: u64,
    pub(crate) images: u64,
    pub(crate) seconds: f64,
    /// None in files of earlier releases.
    #[serde(default, skip_serializing_if = "NormSums::is_empty")]
    pub(crate) norms: NormSums,
    #[serde(default, skip_serializing_if = "TaskSums::is_none")]
    pub(crate) sums: TaskSums,
}

/// The best evaluation so far: that with the greatest top-1 accuracy, or the best score of another task; of equal ones that
/// with the least loss, and of those the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Best {
    /// Epoch, counted from 1; 0 where it is what the training began with.
    pub epoch: usize,
    /// Fraction of the images that were classified correctly; 0 of a task other than single label.
    pub top1: f64,
    /// Score of a task other than single label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<TaskScore>,
    /// Threshold of a multi-label task with the greatest F1 score on these images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Loss; `None` in files of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

impl Best {
    /// The evaluation of a line of `metrics.jsonl`.
    pub(crate) fn of(line: &Metrics, threshold: Option<f64>) -> Self {
        Self { epoch: line.epoch, top1: line.top1, score: line.score, threshold, loss: Some(line.loss) }
    }

    /// Test for an evaluation that is kept in place of another, which came before it.
    pub(crate) fn replaces(&self, before: &Self) -> bool {
        let has_less_loss = self.loss.zip(before.loss).is_some_and(|(now, then)| now < then);
        self.merit() > before.merit() || self.merit() == before.merit() && has_less_loss
    }

    /// Merit of the evaluation: greater for a better one.
    pub fn merit(&self) -> f64 {
        self.score.map_or(self.top1, |score| score.merit())
    }
}

/// `71.20%`, or the score of another task: `mAP 71.2%`, `MAE 3.1400`.
impl fmt::Display for Best {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.score {
            Some(score) => score.fmt(f),
            None => write!(f, "{:.2}%", 100.0 * self.top1),
        }
    }
}

/// Fingerprint of the data: equal for two data sets if they are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    /// Training images.
    pub(crate) train: usize,
    /// Images for evaluation.
    pub(crate) evaluation: usize,
    /// Hash of the names and labels of all images, in order.
    pub(crate) files: String,
    /// Hash of the list `images.jsonl`; none for the embedded images, and in files of earlier releases.
    #[serde(default)]
    pub(crate) inventory: Option<String>,
}

impl Progress {
    /// Before the first step.
    pub(crate) fn new(data: Fingerprint, recipe: Recipe) -> Self {
        Self {
            epoch: 0,
            batch: 0,
            step: 0,
            pass: Pass::default(),
            seconds: 0.0,
            best: None,
            history: Vec::new(),
            data,
            recipe: Some(recipe),
            teacher: None,
            bad: Vec::new(),
        }
    }

    /// Takes the progress out of a run's `last.safetensors`, and checks that the checkpoint belongs to this
    /// network.
    pub(crate) fn read(folder: &RunFolder) -> Result<(Checkpoint, Self), Error> {
        let path = folder.last();
        let damaged = |reason: String| {
            let help = folder.help_without_last();
            Error::Checkpoint { path: path.clone(), reason, help }
        };
        let mut checkpoint = Checkpoint::read(&path).map_err(|error| damaged(error.cause().to_string()))?;
        let state = checkpoint.state.take().ok_or_else(|| {
            damaged("it holds a network for prediction, not the state of a training".to_owned())
        })?;
        let progress = serde_json::from_value(state)
            .map_err(|error| damaged(format!("the state of the training is damaged: {error}")))?;
        Ok((checkpoint, progress))
    }

    /// Checks that `metrics.jsonl` has no more than the epoch in which a killed process could not save any more: what
    /// was written since is lost when the training goes on from here.
    pub(crate) fn check_metrics(&self, folder: &RunFolder) -> Result<(), Error> {
        // Lines that cannot be read are none of this release's.
        let written = read_metrics(folder.metrics()).unwrap_or_default();
        let newest = written.iter().map(|line| line.epoch).max().unwrap_or(0);
        if newest <= self.epoch + 1 {
            return Ok(());
        }
        let reason = format!(
            "it stands at epoch {}, and metrics.jsonl at epoch {newest}: it is an older one",
            self.epoch
        );
        let help = format!(
            "put back the newer one, or move metrics.jsonl away to train from epoch {} again",
            self.epoch
        );
        Err(Error::Checkpoint { path: folder.last(), reason, help })
    }

    /// Checks that the network of the checkpoint is the recipe's.
    pub(crate) fn check_network(path: &Path, found: &NetSpec, wanted: &NetSpec) -> Result<(), Error> {
        if found == wanted {
            return Ok(());
        }
        let reason = format!(
            "it holds the network `{}`, which is not the one that the recipe describes (`{}`)",
            found.name, wanted.name
        );
        let help = "put the recipe.toml back as it was, or begin a new run with --recipe".to_owned();
        Err(Error::Checkpoint { path: path.to_owned(), reason, help })
    }
}

/// Place at which a pass ends, and its task.
pub(crate) struct PassEnd<'a> {
    pub(crate) epoch: usize,
    pub(crate) step: u64,
    pub(crate) lr: f64,
    pub(crate) seconds: f64,
    pub(crate) task: &'a Task,
}

impl Pass {
    /// The line of a whole pass.
    pub(crate) fn metrics(&self, at: PassEnd<'_>) -> Metrics {
        let PassEnd { epoch, step, lr, seconds, task } = at;
        let images = self.images.max(1) as f64;
        Metrics {
            epoch,
            step,
            split: "train".to_owned(),
            loss: self.loss / images,
            top1: self.correct as f64 / images,
            score: self.sums.score(task, self.images),
            lr,
            images_per_s: rate(self.images, self.seconds),
            seconds,
            gradient_norms: self.norms.means(),
        }
    }
}

/// Images a second; zero where no time has passed.
pub(crate) fn rate(images: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { images as f64 / seconds } else { 0.0 }
}

impl Fingerprint {
    /// Checks that the data have as many images of the same names and labels.
    pub(crate) fn compare(&self, now: &Self) -> Result<(), Error> {
        let counts = [
            ("training images", now.train, self.train),
            ("images for evaluation", now.evaluation, self.evaluation),
        ];
        if let Some((what, now, then)) = counts.into_iter().find(|(_, now, then)| now != then) {
            return Err(Error::DataChanged { found: format!("{now} {what}, and had {then}") });
        }
        match self.files == now.files {
            true => Ok(()),
            false => {
                Err(Error::DataChanged { found: "images of other names or labels than they had".into() })
            }
        }
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

    /// Hash over words of eight bytes, and the length: faster, and another one.
    pub(crate) fn write_words(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            // The high half is folded in, since a product moves nothing downwards.
            let mixed = (self.0 ^ u64::from_le_bytes(*word)).wrapping_mul(0x0100_0000_01b3);
            self.0 = mixed ^ (mixed >> 32);
        }
        self.write(rest);
        self.write(&(bytes.len() as u64).to_le_bytes());
    }

    pub(crate) fn value(&self) -> u64 {
        self.0
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
        let then = Fingerprint { train: 200, evaluation: 4, files: "a".into(), inventory: None };
        assert!(then.compare(&then.clone()).is_ok());
        for (now, words) in [
            (Fingerprint { train: 199, ..then.clone() }, "have 199 training images, and had 200 when"),
            (Fingerprint { evaluation: 5, ..then.clone() }, "have 5 images for evaluation, and had 4 when"),
            (Fingerprint { files: "b".into(), ..then.clone() }, "names or labels"),
        ] {
            let error = then.compare(&now).unwrap_err();
            assert!(
                matches!(error, Error::DataChanged { .. }) && error.to_string().contains(words),
                "{error}"
            );
        }
    }

    #[test]
    fn a_tie_is_decided_by_the_loss() {
        let best = |top1, loss| Best { epoch: 1, top1, score: None, threshold: None, loss };
        assert!(best(0.6, Some(9.0)).replaces(&best(0.5, Some(1.0))));
        assert!(best(0.5, Some(0.9)).replaces(&best(0.5, Some(1.0))));
        for (now, then) in [(Some(1.0), Some(1.0)), (Some(0.9), None), (Some(f64::NAN), Some(1.0))] {
            assert!(!best(0.5, now).replaces(&best(0.5, then)), "{now:?} {then:?}");
        }
        assert!(!best(0.4, Some(0.1)).replaces(&best(0.5, Some(1.0))));
        let old: Best = serde_json::from_str(r#"{"epoch":2,"top1":0.5}"#).unwrap();
        assert_eq!(old, Best { epoch: 2, ..best(0.5, None) });
    }

    #[test]
    fn every_byte_of_the_hash_of_words_counts() {
        let bytes: Vec<u8> = (0..29).collect();
        let of = |bytes: &[u8]| {
            let mut hash = Fnv::new();
            hash.write_words(bytes);
            hash.value()
        };
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[place] ^= 1 << bit;
                assert_ne!(of(&other), of(&bytes), "byte {place}, bit {bit}");
            }
        }
        assert_ne!(of(&[0; 8]), of(&[0; 16]));
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let mut hash = Fnv::new();
        assert_eq!(hash.finish(), "cbf29ce484222325");
        hash.write(b"a");
        assert_eq!(hash.finish(), "af63dc4c8601ec8c");
    }
}
