//! Networks changed by hand, and judged on images that are held in memory.

use std::path::Path;
use std::sync::Arc;

use residual_data::{Batch, Dataset, ImageSet, Loader, LoaderOptions, Split, score};
use residual_engine::{Images as Pixels, Options, Plan};
use residual_train::DataRecipe;
use residual_weights::Model;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::subject::require_single_labels;

/// Opens a trained checkpoint, or bare weights of the family member `model`, to be changed by hand.
pub(crate) fn open(path: &Path, model: Option<&str>) -> Result<Model, Error> {
    let model = match model {
        Some(name) => Model::open_as(path, name)?,
        None => Model::open(path)?,
    };
    model.require_float32()?;
    model.check_values(|_| true)?;
    Ok(model)
}

/// Loss and error of a network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Mean cross-entropy; `None` where it is not finite.
    pub loss: Option<f64>,
    /// Fraction of the images classified wrongly.
    pub error: f64,
}

/// Images in memory, ready for a network.
pub(crate) struct Held {
    batches: Vec<Batch>,
}

/// Images at a time.
const BATCH: usize = 64;

impl Held {
    /// The first `count` of the split's images in a random order.
    pub(crate) fn of(
        data: &DataRecipe,
        split: Split,
        model: &Model,
        count: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        require_single_labels(model.spec())?;
        let set: Dataset = data.open()?;
        let set = match model.classes() {
            Some(classes) => set.with_classes(classes)?,
            None => set,
        };
        let images: ImageSet = set.split(split)?;
        let classes = model.spec().head.classes;
        if let Some(label) = (0..images.len()).map(|i| images.label(i)).find(|&label| label >= classes) {
            return Err(residual_train::Error::LabelBeyond { label, classes }.into());
        }
        let options =
            LoaderOptions::evaluation(BATCH.min(count.max(1)), model.preprocess().clone()).with(|options| {
                options.shuffle = true;
                options.seed = seed;
                options.skip_bad = data.skip_bad;
            });
        let batches = Loader::new(Arc::new(images), options)?.take(count.div_ceil(BATCH).max(1));
        Ok(Self { batches: batches.collect::<Result<_, _>>()? })
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.labels.len()).sum()
    }

    /// The network's loss and error on all of them, batch norms with their running statistics.
    pub(crate) fn judge(&self, model: &Model) -> Result<Judgement, Error> {
        let (mut loss, mut wrong) = (0.0, 0);
        let Some(first) = self.batches.first() else {
            return Err(residual_train::Error::NothingToEvaluate.into());
        };
        let [_, _, height, width] = first.shape;
        let options = Options::default().with(|options| {
            options.max_batch = BATCH;
            options.size = Some([height, width]);
            // Of a network that was changed by hand, that is an answer.
            options.allow_not_finite = true;
        });
        let plan = Plan::compile(model, &options)?;
        let mut scratch = plan.scratch();
        for batch in self.batches.iter().filter(|batch| !batch.labels.is_empty()) {
            let logits = plan.run(Pixels::Planar(&batch.images), &mut scratch)?;
            for (row, &label) in logits.chunks_exact(model.spec().head.classes).zip(&batch.labels) {
                let (cost, place) = score(row, label);
                loss += cost;
                wrong += usize::from(place > 0);
            }
        }
        let images = self.len().max(1) as f64;
        let loss = loss / images;
        Ok(Judgement { loss: loss.is_finite().then_some(loss), error: wrong as f64 / images })
    }
}
