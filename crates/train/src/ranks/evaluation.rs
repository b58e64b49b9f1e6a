//! Evaluation whose batches several ranks share.

use std::ops::Range;
use std::sync::Arc;

use residual_data::{EvaluateOptions, Source, TaskOutputs};
use residual_ranks::{Communicator, all_gather, shards_of};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Report of a rank on its part of an evaluation.
#[derive(Debug, Serialize, Deserialize)]
struct PartReport {
    /// Message of an error, and whether an image was the cause.
    error: Option<(String, bool)>,
    /// First layer whose output was not finite.
    layer: Option<String>,
    images: usize,
}

/// Batches of a rank, of an evaluation of so many images; `None` for one that evaluates alone.
pub(crate) fn own_batches(
    of: &dyn Communicator,
    images: &Arc<dyn Source>,
    options: &EvaluateOptions,
) -> Option<Range<usize>> {
    (of.ranks() > 1).then(|| shards_of(of, images.len().div_ceil(options.batch_size.max(1))))
}

/// Outputs of all ranks, in the order of the images. `layer` becomes the first layer whose output was not finite.
///
/// # Errors
/// This rank's own; [`Error::OtherRank`] for that of another; [`Error::Ranks`].
pub(crate) fn gather_outputs(
    of: &dyn Communicator,
    own: Result<TaskOutputs, Error>,
    layer: &mut Option<String>,
) -> Result<TaskOutputs, Error> {
    let is_data = |error: &Error| matches!(error, Error::Data(_));
    let report = PartReport {
        error: own.as_ref().err().map(|error| (error.to_string(), is_data(error))),
        layer: layer.clone(),
        images: own.as_ref().map_or(0, TaskOutputs::images),
    };
    let other = |rank: usize, message: String, is_data: bool| Error::OtherRank { rank, message, is_data };
    let damaged = |rank: usize| move |error: serde_json::Error| other(rank, error.to_string(), false);
    let sent = serde_json::to_vec(&report).map_err(damaged(of.rank()))?;
    let (mut images, mut first) = (Vec::new(), None);
    for (rank, bytes) in all_gather(of, &sent)?.into_iter().enumerate() {
        let report: PartReport = serde_json::from_slice(&bytes).map_err(damaged(rank))?;
        images.push(report.images);
        *layer = layer.take().or(report.layer);
        first = first.or(report.error.map(|(message, is_data)| other(rank, message, is_data)));
    }
    let own = own?;
    if let Some(error) = first {
        return Err(error);
    }
    let indices = all_gather(of, &bytes(own.indices.iter().map(|&index| (index as u64).to_le_bytes())))?;
    let outputs = all_gather(of, &bytes(own.outputs.iter().map(|output| output.to_le_bytes())))?;
    let targets = all_gather(of, &bytes(own.targets.iter().map(|target| target.to_le_bytes())))?;
    let mut all = TaskOutputs::default();
    all.indices.extend(numbers(&indices).map(|bytes| u64::from_le_bytes(bytes) as usize));
    all.outputs.extend(numbers(&outputs).map(f32::from_le_bytes));
    all.targets.extend(numbers(&targets).map(f64::from_le_bytes));
    Ok(all)
}

fn bytes<const N: usize>(of: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    of.flatten().collect()
}

fn numbers<const N: usize>(of: &[Vec<u8>]) -> impl Iterator<Item = [u8; N]> {
    of.iter().flat_map(|bytes| bytes.as_chunks::<N>().0.iter().copied())
}
