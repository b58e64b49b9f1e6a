//! Update of the weights by one batch.

use burn::tensor::Tensor;
use residual_data::{Batch, score};
use residual_nn::{Loss, Mode, Objective};

use crate::evaluation::evaluate::{check_batch, to_tensor, values};
use crate::losses::targets::{BatchTargets, TaskSums};
use crate::optimiser::Gathered;
use crate::optimiser::gradient_norms::GradientNorms;
use crate::{At, Error, Sam, Trainer};

/// Loss of a batch before its update, the number of images that were classified correctly, and the sums of another task.
#[derive(Clone, Copy, Default)]
pub(crate) struct Judged {
    pub(crate) loss: f64,
    pub(crate) correct: u64,
    pub(crate) sums: TaskSums,
}

/// Step that was taken.
pub(crate) struct Stepped {
    pub(crate) judged: Judged,
    /// Number of its images.
    pub(crate) images: usize,
    /// Images that were left out.
    pub(crate) skipped: Vec<String>,
}

/// Part of a step's batch.
pub(crate) struct Part {
    pub(crate) batch: Batch,
    /// Number of the step's images before it.
    pub(crate) first: usize,
    /// Share of the step's mean loss: of its images, or of their weights; of a shard its weight.
    pub(crate) share: f64,
}

/// Forward pass that a backward pass may follow.
pub(crate) struct Forward {
    /// Mean loss of the part's images.
    pub(crate) judged: Judged,
    /// Share of the step's mean loss that the part contributes.
    pub(crate) objective: Tensor<1>,
}

impl Trainer<'_> {
    /// Step by a batch that is not divided into shards.
    pub(crate) fn update_whole(&mut self, batch: Batch, lr: f64) -> Result<Stepped, Error> {
        let (images, skipped) = (batch.labels.len(), batch.skipped.iter().map(ToString::to_string).collect());
        // Where every image was left out, the step still counts: the schedule is laid over all steps.
        let judged = if images == 0 { Judged::default() } else { self.update(batch, lr)? };
        Ok(Stepped { judged, images, skipped })
    }

    /// Forward pass, loss, backward pass and update.
    fn update(&mut self, batch: Batch, lr: f64) -> Result<Judged, Error> {
        let at = At { lr, step: self.progress.step + 1 };
        self.set_drop_block();
        let mut parts = self.parts(batch);
        let judged = match (&mut parts[..], self.recipe.sam) {
            ([_], None) => {
                let Forward { judged, objective } = self.forward(parts.remove(0), lr)?;
                let gradients = objective.backward();
                self.take_norms(GradientNorms::of_graph(&self.network, &gradients), lr)?;
                self.optimiser.step(&mut self.network, gradients, at);
                judged
            }
            (_, None) => {
                let (judged, gathered) = self.gather(parts, lr)?;
                self.take_norms(self.norms(&gathered), lr)?;
                self.optimiser.step_gathered(&mut self.network, gathered, at);
                judged
            }
            (_, Some(sam)) => self.update_sharpness_aware(sam, parts, at)?,
        };
        if let Some(average) = &mut self.average {
            average.update(&self.network, at.step);
        }
        Ok(judged)
    }

    /// Update by the gradient at the worst weights nearby.
    fn update_sharpness_aware(&mut self, sam: Sam, parts: Vec<Part>, at: At) -> Result<Judged, Error> {
        let again = parts.iter().map(|part| Part { batch: part.batch.clone(), ..*part }).collect();
        let (judged, gathered) = self.gather(parts, at.lr)?;
        self.take_norms(self.norms(&gathered), at.lr)?;
        let originals = sam.climb(&mut self.network, &gathered);
        let momenta = self.network.replace_norm_momenta(None);
        let worst = self.gather(again, at.lr);
        // Also where the second pass diverged: the weights stay those of the last good step.
        self.network.replace_norm_momenta(Some(momenta));
        originals.restore(&mut self.network);
        let (_, gathered) = worst?;
        self.norms(&gathered).not_finite().map_err(|path| self.gradient_not_finite(path, at.lr))?;
        self.optimiser.step_gathered(&mut self.network, gathered, at);
        Ok(judged)
    }

    /// Parts of a batch that go through the network one after the other.
    fn parts(&self, batch: Batch) -> Vec<Part> {
        let whole = self.loss.weight_of(&batch);
        let mut first = 0;
        let parts = batch.split(self.recipe.images_at_a_time()).into_iter().map(|batch| {
            let weight = self.loss.weight_of(&batch);
            let share = if weight == whole { 1.0 } else { weight / whole };
            let part = Part { first, share, batch };
            first += part.batch.labels.len();
            part
        });
        parts.collect()
    }

    /// Loss of all parts, and the gradients of their mean.
    fn gather(&mut self, parts: Vec<Part>, lr: f64) -> Result<(Judged, Gathered), Error> {
        let (mut all, mut gathered) = (Judged::default(), Gathered::default());
        for part in parts {
            let share = part.share;
            let Forward { judged, objective } = self.forward(part, lr)?;
            all.loss += judged.loss * share;
            all.correct += judged.correct;
            all.sums.add(judged.sums);
            gathered.add(&self.network, &objective.backward());
        }
        Ok((all, gathered))
    }

    pub(crate) fn forward(&mut self, part: Part, lr: f64) -> Result<Forward, Error> {
        let Part { batch, first, share } = part;
        let mode = Mode::train(self.recipe.seed, self.progress.step).from_sample(first as u64);
        check_batch(&self.network, &batch, mode)?;
        let classes = self.network.spec().head.classes;
        let taught = match &mut self.teacher {
            Some(teacher) => Some((teacher.probabilities(&batch)?, &teacher.recipe)),
            None => None,
        };
        let targets = BatchTargets::new(&batch, &self.loss);
        let (input, _) = to_tensor(batch, &self.network.device());
        let logits = self.network.forward(input.clone(), mode);
        let rows = values(logits.clone().inner());
        let sums = targets.sums(&rows);
        let rows = rows.chunks(classes).zip(targets.dominant());
        let correct = match self.loss.task.is_single_label() {
            true => rows.filter(|(row, label)| score(row, *label).1 == 0).count() as u64,
            false => 0,
        };
        let objective = match taught {
            None => targets.loss(logits)?,
            Some((probabilities, teacher)) => {
                let distillation = Objective::new(Loss::Distillation { temperature: teacher.temperature });
                let taught = residual_nn::objective(logits.clone(), &probabilities, &distillation)?;
                targets.loss(logits)? * (1.0 - teacher.alpha) + taught * teacher.alpha
            }
        };
        let loss = values(objective.clone().inner()).iter().map(|&loss| f64::from(loss)).sum::<f64>();
        if !loss.is_finite() {
            let layer = self.network.first_not_finite(input, mode);
            return Err(self.diverged(loss, lr, layer));
        }
        let objective = if share == 1.0 { objective } else { objective * share };
        Ok(Forward { judged: Judged { loss, correct, sums }, objective })
    }

    pub(crate) fn norms(&self, gathered: &Gathered) -> GradientNorms {
        let context = self.network.context();
        GradientNorms::of_gathered(context.cpu(), gathered, &self.network.parameters())
    }

    /// Adds the norms of a step's gradients to those of the epoch.
    pub(crate) fn take_norms(&mut self, norms: GradientNorms, lr: f64) -> Result<(), Error> {
        let norms = norms.not_finite().map_err(|path| self.gradient_not_finite(path, lr))?;
        self.progress.pass.norms.add(&norms);
        Ok(())
    }

    /// Error of a loss that is not finite; `layer` is the first whose output was not.
    pub(crate) fn diverged(&self, loss: f64, lr: f64, layer: Option<String>) -> Error {
        Error::Diverged { step: self.progress.step, epoch: self.progress.epoch + 1, loss, lr, layer }
    }

    pub(crate) fn gradient_not_finite(&self, parameter: String, lr: f64) -> Error {
        Error::GradientNotFinite { step: self.progress.step, epoch: self.progress.epoch + 1, parameter, lr }
    }
}
