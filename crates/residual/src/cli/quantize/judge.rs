//! The network before and after, on images that had no part in it.

use residual::engine::Images;
use residual::predict::{Classifier, Options};
use residual::quantize::Change;
use residual::weights::Model;
use serde::Serialize;

use super::images::{Chosen, Pool};
use crate::cli::failure::Outcome;
use crate::cli::progress::Bar;

/// Answers before and after.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Judgement {
    pub(super) images: usize,
    pub(super) split: Option<String>,
    /// Fraction of the images that are classified correctly, before and after.
    pub(super) top1: Option<[f64; 2]>,
    #[serde(flatten)]
    pub(super) change: Change,
}

/// Answers of both networks about the images of these numbers; `None` where there is none.
pub(super) fn judge(
    pool: &Pool,
    chosen: &Chosen,
    models: [&Model; 2],
    threads: usize,
) -> Outcome<Option<Judgement>> {
    let (bar, spec) = (Bar::new(chosen.judged.len()), models[0].spec());
    let options = || Options::new().threads(threads).lazy();
    let networks = models.map(|model| Classifier::new(model.clone(), options()));
    let [before, after] = networks;
    let networks = [before?, after?];
    let (mut logits, mut labels) = ([Vec::new(), Vec::new()], Vec::new());
    for (done, &number) in chosen.judged.iter().enumerate() {
        let Some(image) = pool.read(number)? else { continue };
        let [_, height, width] = image.shape;
        for (network, logits) in networks.iter().zip(&mut logits) {
            logits.extend(network.logits(Images::Planar(&image.values), [height, width])?);
        }
        labels.push(pool.images.label(number).filter(|_| pool.is_labelled));
        bar.set(done + 1);
    }
    if labels.is_empty() {
        return Ok(None);
    }
    let classes = spec.head.classes;
    let change = Change::between(&logits[0], &logits[1], classes, spec.task.is_single_label());
    let top1 = labels
        .iter()
        .all(Option::is_some)
        .then(|| logits.each_ref().map(|logits| top1(logits, &labels, classes)));
    let split = chosen.split.map(|split| split.to_string());
    Ok(Some(Judgement { images: labels.len(), split, top1, change }))
}

fn top1(logits: &[f32], labels: &[Option<usize>], classes: usize) -> f64 {
    let is_right = |(row, label): (&[f32], &Option<usize>)| {
        label.is_some_and(|label| residual::data::score(row, label).1 == 0)
    };
    let right = logits.chunks_exact(classes).zip(labels).filter(|pair| is_right(*pair)).count();
    right as f64 / labels.len() as f64
}
