//! The training loop.

use residual_data::{
    Batch, EvaluateOptions, Evaluation, Loader, LoaderOptions, ShardRange, TaskEvaluation, TaskScore,
};
use residual_nn::ResNet;
use residual_ranks::shards_of;

use crate::evaluation::evaluate::{evaluate_task_until, evaluate_until};
use crate::run::ended::Ended;
use crate::run::progress::{Pass, PassEnd, rate};
use crate::train_loop::prepare::Prepared;
use crate::train_loop::update::{Judged, Stepped};
use crate::{Best, Error, Metrics, Outcome, StepReport, Trainer};

/// Batch of a step, as far as this rank has it.
pub(crate) enum StepBatch {
    /// All of it.
    Whole(Batch),
    /// The rank's shards.
    Shards(Result<Vec<Batch>, Error>),
}

impl Trainer<'_> {
    /// Trains to the end, or until the stop flag is raised or the observer asks to stop: then the step that is under
    /// way is finished and everything saved, and [`Training::resume`](crate::Training::resume), or another `run`, goes
    /// on to the same bits.
    ///
    /// After each epoch the network is evaluated, two lines are added to `metrics.jsonl`, `best.safetensors`
    /// is replaced where the accuracy is the best so far, and `last.safetensors` is replaced.
    ///
    /// # Errors
    /// Those of [`step`](Self::step) and [`save`](Self::save); [`Error::BestGone`].
    pub fn run(&mut self) -> Result<Outcome, Error> {
        while self.step()?.is_some() {}
        if !self.is_over() || self.wants_first_evaluation() {
            self.save()?;
            return Ok(Outcome::Interrupted { epoch: self.progress.epoch + 1, step: self.progress.step });
        }
        if self.session.is_first_rank() {
            // What somebody has removed meanwhile is not announced.
            self.restore_best()?;
            self.report_end();
        }
        match self.progress.best {
            Some(best) => Ok(Outcome::Finished { best, early: self.progress.epoch < self.recipe.epochs }),
            None => Err(Error::NothingToEvaluate),
        }
    }

    /// Takes one step of the optimiser, after the evaluation of the epoch before where that is due; gives its report.
    /// `None` at the end of the training, with everything saved, and where it was stopped.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a loss and [`Error::GradientNotFinite`] for a gradient that is not finite, with the
    /// weights and the checkpoints from before it kept; [`Error::Data`] for an image that cannot be decoded, with
    /// everything up to it saved: it can be mended, or left out, and the step taken again; [`Error::Weights`] and
    /// [`Error::Io`] where a file cannot be written, with the earlier one kept.
    pub fn step(&mut self) -> Result<Option<StepReport>, Error> {
        self.session.start_clock();
        let result = self.next_step();
        if let (Err(error), true) = (&result, self.session.is_first_rank()) {
            Ended::write(self.folder.path(), error);
        }
        if let Err(error @ (Error::Data(_) | Error::OtherRank { is_data: true, .. })) = &result {
            self.loader = None;
            let said = match error {
                Error::OtherRank { message, .. } => message.clone(),
                own => own.to_string(),
            };
            if !self.progress.bad.contains(&said) {
                self.progress.bad.push(said);
            }
            self.save()?;
        }
        result
    }

    fn next_step(&mut self) -> Result<Option<StepReport>, Error> {
        if self.wants_first_evaluation() && !self.evaluate_beginning()? {
            return Ok(None);
        }
        while !self.is_over() && !self.session.stops() {
            if let Some(batch) = self.next_batch()? {
                return self.train_batch(batch).map(Some);
            }
            if !self.finish_epoch()? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// True after the last epoch, and where the training has ended early.
    pub fn is_over(&self) -> bool {
        let progress = &self.progress;
        let ended = || self.recipe.early_stop.is_some_and(|stop| stop.has_ended(&progress.history));
        progress.epoch >= self.recipe.epochs || (progress.batch == 0 && ended())
    }

    /// The next batch of this epoch, or this rank's shards of it; `None` where all are done.
    pub(crate) fn next_batch(&mut self) -> Result<Option<StepBatch>, Error> {
        if self.progress.batch >= self.steps_per_epoch {
            return Ok(None);
        }
        if self.recipe.shards > 1 {
            return Ok(Some(StepBatch::Shards(self.next_shards())));
        }
        Ok(self.next_from_loader()?.map(StepBatch::Whole))
    }

    /// This rank's shards of the next batch. An error is said to the other ranks before it ends the step.
    fn next_shards(&mut self) -> Result<Vec<Batch>, Error> {
        let count = shards_of(&**self.session.ranks(), self.recipe.shards).len();
        (0..count).filter_map(|_| self.next_from_loader().transpose()).collect()
    }

    fn next_from_loader(&mut self) -> Result<Option<Batch>, Error> {
        if self.loader.is_none() {
            self.loader = Some(Loader::new(self.images.train.clone(), self.training_options())?);
        }
        let loader = self.loader.as_mut();
        Ok(self.session.waiting(|| loader.and_then(Iterator::next)).transpose()?)
    }

    /// Options by which this rank reads the images of this epoch that it trains on.
    fn training_options(&self) -> LoaderOptions {
        let shards = self.recipe.shards;
        let own = shards_of(&**self.session.ranks(), shards);
        self.loader_options().with(|options| {
            options.shards = (shards > 1).then_some(ShardRange { shards, first: own.start, end: own.end });
        })
    }

    /// Evaluates after the last step of an epoch, and saves; false where it was stopped.
    fn finish_epoch(&mut self) -> Result<bool, Error> {
        self.loader = None;
        let whole = self.take_statistics()?;
        self.progress.seconds += self.session.tick();
        if !(whole && self.evaluate_epoch()?) {
            return Ok(false);
        }
        self.save()?;
        if self.session.is_first_rank() {
            self.report_epoch();
        }
        Ok(true)
    }

    /// Options by which the images of this epoch are read, from the next batch on.
    pub(crate) fn loader_options(&self) -> LoaderOptions {
        Prepared::loader_options(&self.recipe, self.network.spec()).with(|options| {
            options.workers = self.recipe.workers();
            options.epoch = self.progress.epoch as u64;
            options.resize = self.resized();
            options.first_batch = self.progress.batch;
            options.cache = self.cache.caches[0].clone();
        })
    }

    /// Size of the training images of this epoch, where it is not the network's.
    fn resized(&self) -> Option<[usize; 2]> {
        let [_, height, width] = self.network.spec().input;
        self.recipe.resize.as_ref()?.size(self.progress.epoch, [height, width])
    }

    /// Forward pass, loss, backward pass and update, the report of them, and a checkpoint where one is due.
    pub(crate) fn train_batch(&mut self, batch: StepBatch) -> Result<StepReport, Error> {
        let lr = self.rate.at(self.progress.step);
        let Stepped { judged, images, skipped } = match batch {
            StepBatch::Whole(batch) => self.update_whole(batch, lr)?,
            StepBatch::Shards(shards) => self.update_shards(shards, lr)?,
        };
        skipped.iter().for_each(|bad| self.session.skipped(bad));
        let Judged { loss, correct, sums } = judged;
        let progress = &mut self.progress;
        progress.pass.loss += loss * images as f64;
        progress.pass.correct += correct;
        progress.pass.sums.add(sums);
        progress.pass.images += images as u64;
        progress.step += 1;
        progress.batch += 1;
        let seconds = self.session.tick();
        progress.pass.seconds += seconds;
        progress.seconds += seconds;
        let waited = self.session.trained(seconds);
        let report = StepReport { waited, ..self.report(loss, lr) };
        self.session.step(&report);
        let every = self.recipe.checkpoint_every_steps;
        if every.is_some_and(|every| self.progress.step.is_multiple_of(every)) {
            self.save()?;
        }
        Ok(report)
    }

    /// True where the network is still to be evaluated before its first step.
    fn wants_first_evaluation(&self) -> bool {
        self.recipe.evaluate_first && self.progress.history.is_empty()
    }

    /// Evaluates the network before its first step, as epoch 0, and saves; false where it was stopped.
    fn evaluate_beginning(&mut self) -> Result<bool, Error> {
        if self.session.stops() {
            return Ok(false);
        }
        let Some((line, threshold)) = self.evaluate(self.images.split.to_string(), None)? else {
            return Ok(false);
        };
        let line = Metrics { epoch: 0, ..line };
        self.keep_if_best(Best::of(&line, threshold))?;
        self.record(line)?;
        self.save()?;
        Ok(true)
    }

    /// Evaluates the network and the average of its weights, writes the lines of the epoch, and keeps the network if it
    /// is the best; false where it was stopped.
    fn evaluate_epoch(&mut self) -> Result<bool, Error> {
        let epoch = self.progress.epoch + 1;
        let trained = self.progress.seconds;
        let (step, lr, task) = (self.progress.step, self.last_rate(), &self.loss.task);
        let end = PassEnd { epoch, step, lr, seconds: trained, task };
        let mut lines = vec![self.progress.pass.metrics(end)];
        let mut threshold = None;
        let averaged = self.average.as_ref().map(|average| average.network(&self.network)).transpose()?;
        let evaluated = [(self.images.split.to_string(), None)].into_iter();
        for (split, network) in evaluated.chain(averaged.map(|network| ("ema".to_owned(), Some(network)))) {
            let Some((line, chosen)) = self.evaluate(split, network.as_ref())? else { return Ok(false) };
            lines.push(line);
            threshold = chosen;
        }
        let best = lines.last().map(|judged| Best::of(judged, threshold));
        lines.into_iter().try_for_each(|line| self.record(line))?;
        self.close_epoch(best)?;
        Ok(true)
    }

    /// Line of an evaluation of the network, or of another in its place, and the best threshold of its labels; `None`
    /// where it was stopped.
    fn evaluate(
        &mut self,
        split: String,
        other: Option<&ResNet>,
    ) -> Result<Option<(Metrics, Option<f64>)>, Error> {
        let options = EvaluateOptions::default().with(|options| {
            options.batch_size = self.evaluation_batch();
            options.workers = self.recipe.workers();
            options.skip_bad = self.recipe.data.skip_bad;
            options.cache = self.cache.caches[1].clone();
        });
        let images = self.images.evaluation.clone();
        let network = other.unwrap_or(&self.network);
        let (session, mut layer) = (&mut self.session, None);
        let found = match self.loss.task.is_single_label() {
            true => evaluate_until(network, images, &options, session, &mut layer)?.map(Found::from),
            false => evaluate_task_until(network, images, &options, session, &mut layer)?.map(Found::from),
        };
        let seconds = self.session.tick();
        self.progress.seconds += seconds;
        let Some(found) = found else { return Ok(None) };
        if !found.loss.is_finite() {
            return Err(self.diverged(found.loss, self.last_rate(), layer));
        }
        let line = Metrics {
            epoch: self.progress.epoch + 1,
            step: self.progress.step,
            split,
            loss: found.loss,
            top1: found.top1,
            score: found.score,
            lr: self.last_rate(),
            images_per_s: rate(found.total, seconds),
            seconds: self.progress.seconds,
            gradient_norms: None,
        };
        Ok(Some((line, found.threshold)))
    }

    /// Writes the line of a pass, and tells of it.
    fn record(&mut self, line: Metrics) -> Result<(), Error> {
        self.metrics.append(&line)?;
        self.session.pass(&line);
        self.progress.history.push(line);
        Ok(())
    }

    fn keep_if_best(&mut self, now: Best) -> Result<(), Error> {
        if self.progress.best.is_none_or(|best| now.replaces(&best)) {
            self.progress.best = Some(now);
            if !self.session.is_first_rank() {
                return Ok(());
            }
            self.save_best()?;
            self.session.saved(&self.folder.best());
        }
        Ok(())
    }

    fn close_epoch(&mut self, now: Option<Best>) -> Result<(), Error> {
        now.map_or(Ok(()), |now| self.keep_if_best(now))?;
        self.progress.epoch += 1;
        self.recipe.freeze_for_epoch(&mut self.network, self.progress.epoch)?;
        self.progress.batch = 0;
        self.progress.pass = Pass::default();
        self.rate.follow(&self.progress.history);
        Ok(())
    }

    /// Learning rate of the step that was done last.
    fn last_rate(&self) -> f64 {
        self.rate.at(self.progress.step.saturating_sub(1))
    }

    /// Saves the training as it stands, to be resumed from here: replaces `last.safetensors`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a network that has diverged; [`Error::Weights`] where the file cannot be written. The
    /// earlier one is kept.
    pub fn save(&mut self) -> Result<(), Error> {
        if !self.session.is_first_rank() {
            return Ok(());
        }
        self.save_last()?;
        self.session.saved(&self.folder.last());
        Ok(())
    }

    fn report(&self, batch_loss: f64, lr: f64) -> StepReport {
        let (progress, pass) = (&self.progress, &self.progress.pass);
        let images = pass.images.max(1) as f64;
        let seconds_a_step = pass.seconds / progress.batch.max(1) as f64;
        let total_steps = self.rate.total_steps();
        StepReport {
            epoch: progress.epoch + 1,
            epochs: self.recipe.epochs,
            step: progress.step,
            total_steps,
            epoch_step: progress.batch as u64,
            epoch_steps: self.steps_per_epoch as u64,
            batch_loss,
            loss: pass.loss / images,
            top1: pass.correct as f64 / images,
            score: pass.sums.score(&self.loss.task, pass.images),
            lr,
            waited: 0.0,
            images_per_s: rate(pass.images, pass.seconds),
            seconds_left: (total_steps - progress.step) as f64 * seconds_a_step,
        }
    }
}

/// Findings of an evaluation, of whichever task.
struct Found {
    loss: f64,
    top1: f64,
    score: Option<TaskScore>,
    threshold: Option<f64>,
    total: u64,
}

impl From<Evaluation> for Found {
    fn from(found: Evaluation) -> Self {
        Self { loss: found.loss, top1: found.top1(), score: None, threshold: None, total: found.total }
    }
}

impl From<TaskEvaluation> for Found {
    fn from(found: TaskEvaluation) -> Self {
        let (score, threshold) = (Some(found.score()), found.best_threshold());
        Self { loss: found.loss, top1: 0.0, score, threshold, total: found.total }
    }
}
