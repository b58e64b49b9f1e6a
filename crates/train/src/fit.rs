//! The training loop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use residual_data::{Batch, Loader, LoaderOptions, score};
use residual_nn::{Mode, cross_entropy};

use crate::evaluate::{check_batch, evaluate_until, to_tensor, values};
use crate::plan::Plan;
use crate::progress::{Pass, rate};
use crate::{Best, Error, EvaluateOptions, Evaluation, Metrics, Observer, Outcome, StepReport, Trainer};

impl Trainer {
    /// Trains to the end, or until `stop` is raised: then the step that is under way is finished and
    /// everything saved, and [`Trainer::resume`] goes on to the same bits.
    ///
    /// After each epoch the network is evaluated, two lines are added to `metrics.jsonl`, `best.safetensors`
    /// is replaced where the accuracy is the best so far, and `last.safetensors` is replaced.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a loss that is not finite, with the checkpoints from before it kept;
    /// [`Error::Data`] for an image that cannot be decoded, with everything up to it saved;
    /// [`Error::Weights`] and [`Error::Io`] where a file cannot be written, with the earlier one kept.
    pub fn run(mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, Error> {
        let mut session = Session {
            observer,
            stop,
            clock: Instant::now(),
            waited: 0.0,
            trained: 0.0,
            skipped: BTreeSet::new(),
        };
        while self.progress.epoch < self.recipe.epochs {
            let whole = match self.epoch(&mut session) {
                // The image can be mended, or left out, and the training resumed from here.
                Err(error @ Error::Data(_)) => {
                    let said = error.to_string();
                    if !self.progress.bad.contains(&said) {
                        self.progress.bad.push(said);
                    }
                    self.save(&mut session)?;
                    return Err(error);
                }
                other => other?,
            };
            self.save(&mut session)?;
            if !whole {
                return Ok(Outcome::Interrupted { epoch: self.progress.epoch + 1, step: self.progress.step });
            }
        }
        // What somebody has removed meanwhile is not announced.
        self.restore_best()?;
        match self.progress.best {
            Some(best) => Ok(Outcome::Finished { best }),
            None => Err(Error::NothingToEvaluate),
        }
    }

    /// What is left of this epoch; false where `stop` came first.
    fn epoch(&mut self, session: &mut Session<'_>) -> Result<bool, Error> {
        if !self.train_epoch(session)? {
            return Ok(false);
        }
        let whole = self.take_statistics(session.stop)?;
        self.progress.seconds += session.tick();
        Ok(whole && self.evaluate_epoch(session)?)
    }

    /// The batches of this epoch that are not done yet; false where `stop` came first.
    fn train_epoch(&mut self, session: &mut Session<'_>) -> Result<bool, Error> {
        let stopped = |session: &Session<'_>| session.stop.load(Ordering::Relaxed);
        let mut loader = Loader::new(Arc::new(self.train.clone()), self.loader_options())?;
        while self.progress.batch < self.steps_per_epoch {
            if stopped(session) {
                return Ok(false);
            }
            let asked = Instant::now();
            let Some(batch) = loader.next() else { break };
            session.waited += asked.elapsed().as_secs_f64();
            self.train_batch(batch?, session)?;
            let every = self.recipe.checkpoint_every_steps;
            if every.is_some_and(|every| self.progress.step.is_multiple_of(every)) {
                self.save(session)?;
            }
        }
        Ok(!stopped(session))
    }

    fn loader_options(&self) -> LoaderOptions {
        LoaderOptions {
            workers: self.recipe.workers(),
            epoch: self.progress.epoch as u64,
            first_batch: self.progress.batch,
            ..Plan::loader_options(&self.recipe, self.network.spec())
        }
    }

    /// Forward, loss, backward, update; and what is told of it.
    fn train_batch(&mut self, batch: Batch, session: &mut Session<'_>) -> Result<(), Error> {
        session.report_skipped(&batch.skipped);
        let lr = self.rate.at(self.progress.step);
        let images = batch.labels.len();
        // Where every image was left out, the step still counts: the schedule is laid over all steps.
        let (loss, correct) = if images == 0 { (0.0, 0) } else { self.step(batch, lr)? };
        let progress = &mut self.progress;
        progress.pass.loss += loss * images as f64;
        progress.pass.correct += correct;
        progress.pass.images += images as u64;
        progress.step += 1;
        progress.batch += 1;
        let seconds = session.tick();
        progress.pass.seconds += seconds;
        progress.seconds += seconds;
        session.trained += seconds;
        let waited = session.waited / session.trained.max(f64::MIN_POSITIVE);
        session.observer.step(&StepReport { waited, ..self.report(loss, lr) });
        Ok(())
    }

    /// One step of the optimiser: the loss before it, and how many images were told right.
    fn step(&mut self, batch: Batch, lr: f64) -> Result<(f64, u64), Error> {
        let mode = Mode::train(self.recipe.seed, self.progress.step);
        check_batch(&self.network, &batch, mode)?;
        let (input, labels) = to_tensor(batch, &self.network.device());
        let logits = self.network.forward(input, mode);
        let rows = values(logits.clone().inner());
        let rows = rows.chunks(self.network.spec().head.classes).zip(&labels);
        let correct = rows.filter(|(row, label)| score(row, **label).1 == 0).count() as u64;
        let objective = cross_entropy(logits, &labels, self.recipe.label_smoothing)?;
        let loss = values(objective.clone().inner()).iter().map(|&loss| f64::from(loss)).sum::<f64>();
        if !loss.is_finite() {
            return Err(self.diverged(loss, lr));
        }
        self.sgd.step(&mut self.network, objective.backward(), lr);
        Ok((loss, correct))
    }

    fn diverged(&self, loss: f64, lr: f64) -> Error {
        Error::Diverged { step: self.progress.step, epoch: self.progress.epoch + 1, loss, lr }
    }

    /// Evaluates, writes the two lines of the epoch, and keeps the network if it is the best; false where
    /// `stop` came first.
    fn evaluate_epoch(&mut self, session: &mut Session<'_>) -> Result<bool, Error> {
        let options = EvaluateOptions {
            batch_size: self.recipe.eval_batch_size.unwrap_or(self.recipe.images_per_step()),
            workers: self.recipe.workers(),
            skip_bad: self.recipe.data.skip_bad,
        };
        let began = session.observed(|observer, stop| {
            evaluate_until(&self.network, &self.evaluation, &options, observer, stop)
        })?;
        let seconds = session.tick();
        self.progress.seconds += seconds;
        let Some(evaluation) = began else { return Ok(false) };
        if !evaluation.loss.is_finite() {
            return Err(self.diverged(evaluation.loss, self.last_rate()));
        }
        self.close_epoch(&evaluation, seconds, session)?;
        Ok(true)
    }

    fn close_epoch(
        &mut self,
        evaluation: &Evaluation,
        seconds: f64,
        session: &mut Session<'_>,
    ) -> Result<(), Error> {
        let epoch = self.progress.epoch + 1;
        let lr = self.last_rate();
        let lines = [
            self.progress.pass.metrics(epoch, self.progress.step, lr, self.progress.seconds - seconds),
            Metrics {
                epoch,
                step: self.progress.step,
                split: self.split.to_string(),
                loss: evaluation.loss,
                top1: evaluation.top1(),
                lr,
                images_per_s: rate(evaluation.total, seconds),
                seconds: self.progress.seconds,
            },
        ];
        for line in lines {
            self.metrics.append(&line)?;
            session.observer.pass(&line);
            self.progress.history.push(line);
        }
        if self.progress.best.is_none_or(|best| evaluation.top1() > best.top1) {
            self.progress.best = Some(Best { epoch, top1: evaluation.top1() });
            self.save_best()?;
            session.observer.saved(&self.folder.best());
        }
        self.progress.epoch += 1;
        self.progress.batch = 0;
        self.progress.pass = Pass::default();
        Ok(())
    }

    /// The rate of the step that was done last.
    fn last_rate(&self) -> f64 {
        self.rate.at(self.progress.step.saturating_sub(1))
    }

    fn save(&self, session: &mut Session<'_>) -> Result<(), Error> {
        self.save_last()?;
        session.observer.saved(&self.folder.last());
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
            lr,
            waited: 0.0,
            images_per_s: rate(pass.images, pass.seconds),
            seconds_left: (total_steps - progress.step) as f64 * seconds_a_step,
        }
    }
}

/// What accompanies one call of [`Trainer::run`].
struct Session<'a> {
    observer: &'a mut dyn Observer,
    stop: &'a AtomicBool,
    /// When time was last accounted for.
    clock: Instant,
    /// Seconds of waiting for images, and of training in all.
    waited: f64,
    trained: f64,
    /// The bad images that the observer knows of.
    skipped: BTreeSet<String>,
}

impl Session<'_> {
    /// Seconds since the last call.
    fn tick(&mut self) -> f64 {
        let now = Instant::now();
        let seconds = now.duration_since(self.clock).as_secs_f64();
        self.clock = now;
        seconds
    }

    fn report_skipped(&mut self, reasons: &[String]) {
        for reason in reasons {
            if self.skipped.insert(reason.clone()) {
                self.observer.skipped(reason);
            }
        }
    }

    /// Runs `f`, whose skipped images are told once in a training, not once an epoch.
    fn observed<T>(&mut self, f: impl FnOnce(&mut dyn Observer, &AtomicBool) -> T) -> T {
        let stop = self.stop;
        f(&mut Once(self), stop)
    }
}

/// Passes on each skipped image once.
struct Once<'a, 'b>(&'a mut Session<'b>);

impl Observer for Once<'_, '_> {
    fn evaluating(&mut self, done: usize, total: usize) {
        self.0.observer.evaluating(done, total);
    }

    fn skipped(&mut self, reason: &str) {
        self.0.report_skipped(&[reason.to_owned()]);
    }
}
