//! A step whose batch is divided into shards.

use residual_data::Batch;
use residual_ranks::{ShardSum, shards_of, sum_over_shards};

use crate::optimiser::Gathered;
use crate::ranks::reports::{ShardReport, StepReports};
use crate::ranks::shard_gradients::ShardLayout;
use crate::train_loop::update::{Forward, Part, Stepped};
use crate::{At, Error, Sam, Trainer};

/// Sum over this rank's shards, and what is said of each.
type OwnShards = (ShardSum, Vec<ShardReport>);

impl Trainer<'_> {
    /// Forward and backward passes over this rank's shards, the sum over those of all ranks, and the update. The error
    /// of one rank is one of all.
    pub(crate) fn update_shards(
        &mut self,
        shards: Result<Vec<Batch>, Error>,
        lr: f64,
    ) -> Result<Stepped, Error> {
        let at = At { lr, step: self.progress.step + 1 };
        self.set_drop_block();
        let again = self.recipe.sam.and_then(|sam| Some((sam, shards.as_ref().ok()?.clone())));
        let (reports, gathered) = self.gather_shards(shards, lr)?;
        self.session.agree_to_stop(reports.stop);
        let stepped = Stepped {
            judged: reports.judged(),
            images: reports.images(),
            skipped: reports.skipped().map(str::to_owned).collect(),
        };
        // Where every image was left out, the step still counts.
        let Some(gathered) = gathered else { return Ok(stepped) };
        self.take_norms(self.norms(&gathered), lr)?;
        match again {
            None => self.optimiser.step_gathered(&mut self.network, gathered, at),
            Some((sam, shards)) => self.update_sharp_shards(sam, gathered, shards, at)?,
        }
        if let Some(average) = &mut self.average {
            average.update(&self.network, at.step);
        }
        Ok(stepped)
    }

    /// Update by the gradient at the worst weights nearby.
    fn update_sharp_shards(
        &mut self,
        sam: Sam,
        gathered: Gathered,
        shards: Vec<Batch>,
        at: At,
    ) -> Result<(), Error> {
        let originals = sam.climb(&mut self.network, &gathered);
        let momenta = self.network.replace_norm_momenta(None);
        let worst = self.gather_shards(Ok(shards), at.lr);
        self.network.replace_norm_momenta(Some(momenta));
        originals.restore(&mut self.network);
        let (_, Some(gathered)) = worst? else { return Ok(()) };
        self.norms(&gathered).not_finite().map_err(|path| self.gradient_not_finite(path, at.lr))?;
        self.optimiser.step_gathered(&mut self.network, gathered, at);
        Ok(())
    }

    /// Mean gradient over the shards of all ranks, `None` where they have no image; moves the running statistics.
    fn gather_shards(
        &mut self,
        shards: Result<Vec<Batch>, Error>,
        lr: f64,
    ) -> Result<(StepReports, Option<Gathered>), Error> {
        let before = self.network.moving_statistics();
        let layout = ShardLayout::new(&self.network, before.len());
        let own = match shards {
            Ok(shards) => self.own_shards(shards, &layout, &before, lr),
            Err(error) => Err(error),
        };
        let (sum, own) = match own {
            Ok((sum, reports)) => (Some(sum), Ok(reports)),
            Err(error) => (None, Err(error)),
        };
        let (stop, ranks) = (self.session.wants_to_stop(), self.session.ranks().clone());
        let reports = match own {
            Ok(own) => StepReports::exchange(&*ranks, stop, Ok(&own))?,
            Err(error) => StepReports::exchange(&*ranks, stop, Err(error))?,
        };
        let Some(sum) = sum.filter(|_| reports.images() > 0) else { return Ok((reports, None)) };
        let sum = sum_over_shards(&*ranks, sum, layout.len())?;
        let (gathered, statistics) = layout.means(sum, reports.weight(), reports.images());
        self.network.blend_moving_statistics(&before, &statistics);
        Ok((reports, Some(gathered)))
    }

    /// Gradients of this rank's shards. The running statistics are as they were behind it.
    fn own_shards(
        &mut self,
        shards: Vec<Batch>,
        layout: &ShardLayout,
        before: &[f32],
        lr: f64,
    ) -> Result<OwnShards, Error> {
        let momenta = self.network.replace_norm_momenta(None);
        // With a momentum of one, the running statistics become those of the shard.
        self.network.set_norm_momentum(1.0);
        let own = self.each_shard(shards, layout, lr);
        self.network.replace_norm_momenta(Some(momenta));
        self.network.set_moving_statistics(before);
        own
    }

    fn each_shard(&mut self, shards: Vec<Batch>, layout: &ShardLayout, lr: f64) -> Result<OwnShards, Error> {
        let (all, per_step) = (self.recipe.shards, self.recipe.images_per_step());
        let (mut sum, mut reports) = (ShardSum::new(all), Vec::new());
        for (shard, batch) in shards_of(&**self.session.ranks(), all).zip(shards) {
            let (images, weight) = (batch.labels.len(), self.loss.weight_of(&batch));
            let skipped = batch.skipped.iter().map(ToString::to_string).collect();
            let mut report = ShardReport { images, weight, skipped, ..ShardReport::default() };
            if images == 0 {
                sum.add(shard, layout.nothing());
            } else {
                let part = Part { batch, first: shard * per_step / all, share: weight };
                let Forward { judged, objective } = self.forward(part, lr)?;
                (report.loss, report.correct, report.sums) = (judged.loss, judged.correct, judged.sums);
                let gradients = objective.backward();
                sum.add(shard, layout.values(&self.network, &gradients, images));
            }
            reports.push(report);
        }
        Ok((sum, reports))
    }
}
