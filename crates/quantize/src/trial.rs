//! Trials: a network in 8 bits beside itself in float32.

use residual_engine::{Images, Options as PlanOptions, Plan};
use residual_weights::{Model, Quantised};
use serde::Serialize;

use crate::error::Error;
use crate::images::CalibrationImages;
use crate::options::Options;

/// Change of a network's answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Sum of the squared changes of the logits over the sum of their squared distances from their class's mean: the
    /// noise as a fraction of the signal.
    pub error: f64,
    /// Greatest change of a logit.
    pub largest: f32,
    /// Fraction of the images whose most probable class stays; `None` for a network that is not of single labels.
    pub agreement: Option<f64>,
}

impl Change {
    /// Change between two arrays of logits, `[images][classes]`.
    ///
    /// ```
    /// use residual_quantize::Change;
    /// let change = Change::between(&[1.0, 0.0, 0.0, 1.0], &[1.5, 0.0, 0.0, 1.0], 2, true);
    /// assert_eq!((change.largest, change.agreement, change.error), (0.5, Some(1.0), 0.25));
    /// ```
    pub fn between(before: &[f32], after: &[f32], classes: usize, is_single_label: bool) -> Self {
        let images = before.len() / classes.max(1);
        let mut means = vec![0.0_f64; classes];
        for row in before.chunks_exact(classes.max(1)) {
            means
                .iter_mut()
                .zip(row)
                .for_each(|(mean, logit)| *mean += f64::from(*logit) / images.max(1) as f64);
        }
        if images == 1 {
            means.fill(0.0);
        }
        let signal = before
            .iter()
            .enumerate()
            .map(|(at, &logit)| (f64::from(logit) - means[at % classes.max(1)]).powi(2));
        let changes = || before.iter().zip(after).map(|(before, after)| after - before);
        let noise: f64 = changes().map(|change| f64::from(change).powi(2)).sum();
        let rows = before.chunks_exact(classes.max(1)).zip(after.chunks_exact(classes.max(1)));
        let same = rows.filter(|(before, after)| greatest(before) == greatest(after)).count();
        Self {
            error: noise / signal.sum::<f64>().max(f64::MIN_POSITIVE),
            largest: changes().fold(0.0, |largest, change| change.abs().max(largest)),
            agreement: is_single_label.then(|| same as f64 / images.max(1) as f64),
        }
    }
}

/// Place of the greatest logit, of equals the first.
fn greatest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

/// A network in float32, and its logits of some images.
pub(crate) struct Judge<'a> {
    model: &'a Model,
    images: CalibrationImages,
    options: &'a Options,
    logits: Vec<f32>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        model: &'a Model,
        images: CalibrationImages,
        options: &'a Options,
    ) -> Result<Self, Error> {
        let logits = logits(model, &images, options)?;
        Ok(Self { model, images, options, logits })
    }

    /// The judge with the first of its images alone.
    pub(crate) fn with_first(&self, count: usize) -> Self {
        let classes = self.logits.len() / self.images.len().max(1);
        let images = self.images.part(|number| number < count);
        let logits = self.logits[..images.len() * classes].to_vec();
        Self { images, logits, ..*self }
    }

    /// True where the logits of no image differ from those of another.
    pub(crate) fn is_blind(&self) -> bool {
        let classes = self.logits.len() / self.images.len().max(1);
        let first = &self.logits[..classes];
        self.images.len() > 1 && self.logits.chunks_exact(classes.max(1)).all(|row| row == first)
    }

    /// Change of the logits in 8 bits.
    pub(crate) fn change(&self, quantised: Quantised) -> Result<Change, Error> {
        let model = self.model.clone().with_quantised(quantised)?;
        let logits = logits(&model, &self.images, self.options)?;
        let spec = self.model.spec();
        Ok(Change::between(&self.logits, &logits, spec.head.classes, spec.task.is_single_label()))
    }

    /// Number of images.
    pub(crate) fn images(&self) -> usize {
        self.images.len()
    }
}

/// Plan for images of that size.
pub(crate) fn compiled(model: &Model, size: [usize; 2], options: &Options) -> Result<Plan, Error> {
    let plan = PlanOptions::default().with(|plan| {
        (plan.threads, plan.max_batch, plan.size) = (options.threads, options.batch.max(1), Some(size));
    });
    Ok(Plan::compile(model, &plan)?)
}

fn logits(model: &Model, images: &CalibrationImages, options: &Options) -> Result<Vec<f32>, Error> {
    let plan = compiled(model, images.size(), options)?;
    let (mut scratch, mut logits) = (plan.scratch(), Vec::new());
    for batch in images.batches(options.batch) {
        logits.extend_from_slice(plan.run(Images::Planar(batch), &mut scratch)?);
    }
    Ok(logits)
}
