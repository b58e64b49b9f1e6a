//! Networks changed by hand, and judged on images that are held in memory.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use residual_arch::names::{TensorName, names};
use residual_arch::{NetSpec, families::family};
use residual_data::{Batch, Dataset, ImageSet, Loader, LoaderOptions, Split, score};
use residual_engine::{Images as Pixels, Options, Plan};
use residual_nn::NamedTensor;
use residual_train::{DataRecipe, from_state_dict};
use residual_weights::{
    Error as WeightsError, StateDict, Tensor, Weights, check_values, recognise, with_classes_of,
};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A network and its tensors by canonical path, to be changed.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) spec: NetSpec,
    pub(crate) tensors: Vec<NamedTensor>,
    /// The names of its classes, where the file has them.
    pub(crate) classes: Option<Vec<String>>,
}

impl Subject {
    /// A trained checkpoint, or bare weights of the family member `model`.
    pub(crate) fn read(path: &Path, model: Option<&str>) -> Result<Self, Error> {
        let (spec, classes, state) = match Weights::read(path)? {
            Weights::Trained(trained) => (trained.spec, Some(trained.classes), trained.tensors),
            Weights::Plain(state) => match model {
                Some(model) => (with_classes_of(family(model)?, &state), None, state),
                None => {
                    let model = recognise(&state).map(|found| found.model);
                    return Err(WeightsError::NoSpec { model }.into());
                }
            },
        };
        check_values(state.names(), &state)?;
        let network = from_state_dict(&spec, state, &burn::tensor::Device::flex())?;
        Ok(Self { tensors: network.state(), spec, classes })
    }

    /// Under the names of files.
    fn state_dict(&self) -> Result<StateDict, Error> {
        let mut state = StateDict::new();
        let by_path: HashMap<_, _> =
            self.tensors.iter().map(|tensor| (tensor.path.as_str(), tensor)).collect();
        for TensorName { path, name, shape } in names(&self.spec, self.spec.naming) {
            if let Some(tensor) = by_path.get(path.as_str()) {
                state.insert(name, Tensor::new(shape, tensor.values.clone())?)?;
            }
        }
        Ok(state)
    }

    /// Changes the tensor at a path.
    pub(crate) fn change(&mut self, path: &str, f: impl FnOnce(&mut NamedTensor)) {
        if let Some(tensor) = self.tensors.iter_mut().find(|tensor| tensor.path == path) {
            f(tensor);
        }
    }
}

/// How a network does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Mean cross-entropy; `None` where it is not finite.
    pub loss: Option<f64>,
    /// Fraction of the images told wrong.
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
        subject: &Subject,
        count: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let set: Dataset = data.open()?;
        let set = match &subject.classes {
            Some(classes) => set.with_classes(classes)?,
            None => set,
        };
        let images: ImageSet = set.split(split)?;
        let classes = subject.spec.head.classes;
        if let Some(label) = (0..images.len()).map(|i| images.label(i)).find(|&label| label >= classes) {
            return Err(residual_train::Error::LabelBeyond { label, classes }.into());
        }
        let options = LoaderOptions {
            shuffle: true,
            seed,
            skip_bad: data.skip_bad,
            ..LoaderOptions::evaluation(BATCH.min(count.max(1)), subject.spec.preprocess.clone())
        };
        let batches = Loader::new(Arc::new(images), options)?.take(count.div_ceil(BATCH).max(1));
        Ok(Self { batches: batches.collect::<Result<_, _>>()? })
    }

    /// How many images there are.
    pub(crate) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.labels.len()).sum()
    }

    /// The network's loss and error on all of them, batch norms with their running statistics.
    pub(crate) fn judge(&self, subject: &Subject) -> Result<Judgement, Error> {
        let (mut loss, mut wrong) = (0.0, 0);
        let state = subject.state_dict()?;
        let Some(first) = self.batches.first() else {
            return Err(residual_train::Error::NothingToEvaluate.into());
        };
        let [_, _, height, width] = first.shape;
        let options = Options {
            max_batch: BATCH,
            size: Some([height, width]),
            // Of a network that was changed by hand, that is an answer.
            allow_not_finite: true,
            ..Options::default()
        };
        let plan = Plan::compile(&subject.spec, &state, &options)?;
        let mut scratch = plan.scratch();
        for batch in self.batches.iter().filter(|batch| !batch.labels.is_empty()) {
            let logits = plan.run(Pixels::Planar(&batch.images), &mut scratch)?;
            for (row, &label) in logits.chunks_exact(subject.spec.head.classes).zip(&batch.labels) {
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
