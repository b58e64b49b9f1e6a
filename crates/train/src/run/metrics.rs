//! `metrics.jsonl`: one line for each pass over a split.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use residual_data::TaskScore;
use serde::{Deserialize, Serialize};

use crate::{Best, Error};

/// Metrics of a pass over a split: a line of `metrics.jsonl`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metrics {
    /// Epoch, counted from 1; 0 before the first step (`evaluate_first`).
    pub epoch: usize,
    /// Optimiser steps since the training began.
    pub step: u64,
    /// `train`; the split that was evaluated, `val` or `test`; or `ema`, that split with the average of the weights.
    pub split: String,
    /// Mean loss of an image. Of `train`: label smoothing included, each batch before its step. Of the
    /// others: cross-entropy; binary cross-entropy a label, or the squared error of a standardised number.
    pub loss: f64,
    /// Fraction of the images whose most probable class is the right one; 0, and not in the file, of another task than
    /// single label.
    #[serde(default)]
    pub top1: f64,
    /// Score of a task other than single label: of `train` the F1 score of its labels or the error of its numbers as they
    /// were met, of the others mean average precision or the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<TaskScore>,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Throughput of this pass, images a second.
    pub images_per_s: f64,
    /// Seconds since the training began, without the time in which it lay interrupted.
    pub seconds: f64,
    /// Mean over the steps of the Euclidean norm of the gradients of each part of the network, before clipping: `stem`,
    /// `stage1.block0`, ..., `head`; frozen parts have none. Of `train` alone; absent in files of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norms: Option<BTreeMap<String, f64>>,
}

impl Metrics {
    /// Merit of the pass: greater for a better one.
    pub fn merit(&self) -> f64 {
        self.score.map_or(self.top1, |score| score.merit())
    }

    /// Line of the best of some evaluations, in their order: that with the greatest accuracy or score; of equal ones that
    /// with the least loss, and of those the first.
    pub fn best<'m>(lines: impl IntoIterator<Item = &'m Self>) -> Option<&'m Self> {
        let replaces = |now: &Self, before: &Self| Best::of(now, None).replaces(&Best::of(before, None));
        lines.into_iter().reduce(|best, line| if replaces(line, best) { line } else { best })
    }

    /// Changes fields: for tests of an [`Observer`](crate::Observer).
    ///
    /// ```
    /// use residual_train::Metrics;
    /// let metrics = Metrics::default().with(|metrics| metrics.split = "val".into());
    /// assert_eq!(metrics.split, "val");
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

/// Limit on the `metrics.jsonl` that is read, in bytes: a million epochs.
const LONGEST: u64 = 1 << 30;

/// Reads a `metrics.jsonl`. A last line without its end, as a killed process may leave it, is passed over.
///
/// # Errors
/// [`Error::Io`]; [`Error::Metrics`] for a line that is not one, naming it.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<Metrics>, Error> {
    let path = path.as_ref();
    let read = residual_files::read(path, LONGEST);
    let bytes = read.map_err(|error| Error::io("read", path)(error.into()))?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|&byte| byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|reason| Error::Metrics {
                path: path.to_owned(),
                line: index + 1,
                reason,
            })
        })
        .collect()
}

/// The open `metrics.jsonl` of a run.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    /// None where another rank writes.
    file: Option<File>,
}

impl MetricsFile {
    /// Makes the file hold exactly `history`, whatever it held: what a killed process wrote after its last
    /// checkpoint will be written again.
    pub(crate) fn start(path: PathBuf, history: &[Metrics]) -> Result<Self, Error> {
        residual_weights::write_atomically(&path, |file| {
            history.iter().try_for_each(|metrics| file.write_all(line(metrics)?.as_bytes()))
        })?;
        let file = OpenOptions::new().append(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(Self { path, file: Some(file) })
    }

    /// The file of a run that another rank writes.
    pub(crate) fn of_other_rank(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Adds a line.
    pub(crate) fn append(&mut self, metrics: &Metrics) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let line = line(metrics).map_err(Error::io("write", &self.path))?;
        file.write_all(line.as_bytes()).map_err(Error::io("write", &self.path))
    }
}

fn line(metrics: &Metrics) -> io::Result<String> {
    let mut value = serde_json::to_value(metrics)?;
    if let (Some(_), Some(fields)) = (metrics.score, value.as_object_mut()) {
        fields.remove("top1");
    }
    Ok(match metrics.score {
        Some(_) => serde_json::to_string(&value)?,
        None => serde_json::to_string(metrics)?,
    } + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(epoch: usize) -> Metrics {
        Metrics {
            epoch,
            step: 7 * epoch as u64,
            split: "train".to_owned(),
            loss: 0.1 + 0.2,
            top1: 1.0 / 3.0,
            score: None,
            lr: 0.05,
            images_per_s: 40.0,
            seconds: 12.5,
            gradient_norms: (epoch == 2).then(|| [("head".to_owned(), 0.1 + 0.7)].into()),
        }
    }

    #[test]
    fn a_line_has_exactly_the_documented_fields() {
        let line: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line(&metrics(1)).unwrap()).unwrap();
        let mut names: Vec<_> = line.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["epoch", "images_per_s", "loss", "lr", "seconds", "split", "step", "top1"]);
    }

    #[test]
    fn starting_again_drops_what_the_checkpoint_does_not_cover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut file = MetricsFile::start(path.clone(), &[]).unwrap();
        for epoch in 1..=3 {
            file.append(&metrics(epoch)).unwrap();
        }
        let torn = br#"{"epoch": 4, "st"#;
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), [metrics(1), metrics(2), metrics(3)]);

        let history = [metrics(1), metrics(2)];
        let mut file = MetricsFile::start(path.clone(), &history).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), history);
        file.append(&metrics(3)).unwrap();
        assert_eq!(read_metrics(&path).unwrap(), [metrics(1), metrics(2), metrics(3)]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, line(&metrics(1)).unwrap() + "nonsense\n").unwrap();
        let error = read_metrics(&path).unwrap_err();
        assert!(matches!(error, Error::Metrics { line: 2, .. }), "{error}");
    }
}
