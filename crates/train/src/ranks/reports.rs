//! Reports of a step that the ranks give each other.

use residual_ranks::{Communicator, all_gather};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::losses::targets::TaskSums;
use crate::train_loop::update::Judged;

/// Report on a shard of a step's batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardReport {
    /// Mean loss of its images.
    pub(crate) loss: f64,
    pub(crate) correct: u64,
    pub(crate) sums: TaskSums,
    /// Weight of its loss: its images, or the sum of their weights.
    pub(crate) weight: f64,
    pub(crate) images: usize,
    /// Images that were left out.
    pub(crate) skipped: Vec<String>,
}

/// Report of a rank on its part of a step.
#[derive(Debug, Serialize, Deserialize)]
struct RankReport {
    /// True where it was asked to stop.
    stop: bool,
    error: Option<RankError>,
    shards: Vec<ShardReport>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RankError {
    message: String,
    is_data: bool,
}

/// Reports on all shards of a step, in their order.
#[derive(Debug)]
pub(crate) struct StepReports {
    shards: Vec<ShardReport>,
    /// True where a rank was asked to stop.
    pub(crate) stop: bool,
}

impl StepReports {
    /// Exchange of the reports of all ranks.
    ///
    /// # Errors
    /// This rank's own; [`Error::OtherRank`] for that of another; [`Error::Ranks`].
    pub(crate) fn exchange(
        of: &dyn Communicator,
        stop: bool,
        own: Result<&[ShardReport], Error>,
    ) -> Result<Self, Error> {
        let is_data =
            |error: &Error| matches!(error, Error::Data(_) | Error::OtherRank { is_data: true, .. });
        let report = RankReport {
            stop,
            error: own
                .as_ref()
                .err()
                .map(|error| RankError { message: error.to_string(), is_data: is_data(error) }),
            shards: own.as_ref().map(|shards| shards.to_vec()).unwrap_or_default(),
        };
        let sent = serde_json::to_vec(&report).map_err(damaged(of.rank()))?;
        let (mut all, mut first) = (Self { shards: Vec::new(), stop: false }, None);
        for (rank, bytes) in all_gather(of, &sent)?.into_iter().enumerate() {
            let RankReport { stop, error, shards } = serde_json::from_slice(&bytes).map_err(damaged(rank))?;
            all.shards.extend(shards);
            all.stop |= stop;
            let other = |RankError { message, is_data }| Error::OtherRank { rank, message, is_data };
            first = first.or(error.map(other));
        }
        own?;
        first.map_or(Ok(all), Err)
    }

    /// Weight of all shards.
    pub(crate) fn weight(&self) -> f64 {
        self.shards.iter().map(|shard| shard.weight).sum()
    }

    /// Number of images of all shards.
    pub(crate) fn images(&self) -> usize {
        self.shards.iter().map(|shard| shard.images).sum()
    }

    /// Loss and scores of all shards together, added in their order.
    pub(crate) fn judged(&self) -> Judged {
        let mut all = Judged::default();
        for shard in &self.shards {
            all.loss += shard.loss * shard.weight;
            all.correct += shard.correct;
            all.sums.add(shard.sums);
        }
        all.loss /= self.weight().max(f64::MIN_POSITIVE);
        all
    }

    /// Images that were left out.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &str> {
        self.shards.iter().flat_map(|shard| &shard.skipped).map(String::as_str)
    }
}

fn damaged(rank: usize) -> impl Fn(serde_json::Error) -> Error {
    move |error| Error::OtherRank { rank, message: format!("its report is damaged: {error}"), is_data: false }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use residual_ranks::{Alone, ThreadRank};

    use super::*;

    fn shard(loss: f64, images: usize) -> ShardReport {
        ShardReport { loss, images, weight: images as f64, correct: 1, ..ShardReport::default() }
    }

    #[test]
    fn a_loss_is_the_mean_of_the_images() {
        let all =
            StepReports::exchange(&Alone, false, Ok(&[shard(1.0, 3), shard(0.1, 0), shard(3.0, 1)])).unwrap();
        assert_eq!((all.judged().loss, all.judged().correct, all.images(), all.stop), (1.5, 3, 4, false));
        let none = StepReports::exchange(&Alone, true, Ok(&[shard(0.0, 0)])).unwrap();
        assert_eq!((none.judged().loss, none.images(), none.stop), (0.0, 0, true));
    }

    #[test]
    fn an_error_of_one_rank_is_one_of_all() {
        let ranks = ThreadRank::group(2, Duration::from_secs(20));
        let errors: Vec<Error> = std::thread::scope(|scope| {
            let threads = ranks.into_iter().map(|rank| {
                scope.spawn(move || {
                    let own = match rank.rank() {
                        0 => Ok(&[][..]),
                        _ => Err(Error::NothingToEvaluate),
                    };
                    StepReports::exchange(&rank, false, own).unwrap_err()
                })
            });
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(errors[0].to_string(), "rank 1: no images to evaluate on");
        assert!(matches!(errors[1], Error::NothingToEvaluate), "{:?}", errors[1]);
    }
}
