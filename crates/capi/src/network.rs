//! A network that answers about images.

use std::ffi::{CStr, CString};

use residual_arch::{Task, TaskKind};
use residual_predict::{Classifier, Error, Input, Model, Options};

use crate::error::Failure;
use crate::image::Image;
use crate::maps::Maps;

/// A loaded network: `residual_network` of `residual.h`.
#[derive(Debug)]
pub struct Network {
    classifier: Classifier,
    classes: Vec<CString>,
}

impl Network {
    pub(crate) fn open(path: &str, model: Option<&str>, threads: usize) -> Result<Self, Failure> {
        let model = match model {
            Some(network) => Model::open_as(path, network),
            None => Model::open(path),
        };
        Self::new(model.map_err(Error::from)?, threads)
    }

    pub(crate) fn from_bytes(bytes: &[u8], model: Option<&str>, threads: usize) -> Result<Self, Failure> {
        let model = match model {
            Some(network) => Model::from_bytes_as(bytes, network),
            None => Model::from_bytes(bytes),
        };
        Self::new(model.map_err(Error::from)?, threads)
    }

    fn new(model: Model, threads: usize) -> Result<Self, Failure> {
        // A zero byte in a name would end it in C.
        let name = |name: &String| CString::new(name.replace('\0', "?")).unwrap_or_default();
        let options = if threads == 0 { Options::new() } else { Options::new().threads(threads) };
        let classifier = Classifier::new(model, options)?;
        let names = if classifier.has_class_names() { classifier.classes() } else { &[] };
        let classes = names.iter().map(name).collect();
        Ok(Self { classifier, classes })
    }

    pub(crate) fn classes(&self) -> usize {
        self.classifier.classes().len()
    }

    pub(crate) fn embedding_length(&self) -> usize {
        self.classifier.embedding_length()
    }

    pub(crate) fn class_name(&self, class: usize) -> Option<&CStr> {
        self.classes.get(class).map(CString::as_c_str)
    }

    /// Name of the task.
    pub(crate) fn task(&self) -> &'static CStr {
        match self.classifier.model().spec().task.kind() {
            TaskKind::MultiLabel => c"multi_label",
            TaskKind::Regression => c"regression",
            _ => c"single_label",
        }
    }

    /// Threshold of a multi-label task.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match self.classifier.model().spec().task {
            Task::MultiLabel { threshold } => Some(threshold),
            _ => None,
        }
    }

    /// Fills a row of probabilities, or of numbers, for each image.
    ///
    /// # Safety
    /// As for [`Image::input`], of every image.
    pub(crate) unsafe fn predict(&self, images: &[Image], rows: &mut [f32]) -> Result<(), Failure> {
        // SAFETY: as the caller promises.
        let inputs = unsafe { inputs(images) };
        let answers: Vec<_> = match one(inputs) {
            Ok(image) => vec![image.and_then(|image| Ok(self.classifier.classify(image)?))],
            Err(images) => self.classifier.classify_all(images).map(|answer| Ok(answer?)).collect(),
        };
        fill(rows, answers, |row, answer| {
            let values = answer.values().map(|value| value.value);
            let numbers = answer.probabilities().iter().copied().chain(values);
            row.iter_mut().zip(numbers).for_each(|(to, from)| *to = from as f32);
        })
    }

    /// Fills a row with the embedding of each image.
    ///
    /// # Safety
    /// As for [`Image::input`], of every image.
    pub(crate) unsafe fn embed(&self, images: &[Image], rows: &mut [f32]) -> Result<(), Failure> {
        // SAFETY: as the caller promises.
        let inputs = unsafe { inputs(images) };
        let answers: Vec<_> = match one(inputs) {
            Ok(image) => vec![image.and_then(|image| Ok(self.classifier.embed(image)?))],
            Err(images) => self.classifier.embed_all(images).map(|answer| Ok(answer?)).collect(),
        };
        fill(rows, answers, |row, answer| row.copy_from_slice(&answer))
    }

    /// # Safety
    /// As for [`Image::input`].
    pub(crate) unsafe fn features(&self, image: &Image, layer: &str) -> Result<Maps, Failure> {
        // SAFETY: as the caller promises.
        let image = unsafe { image.input() }?;
        let found = self.classifier.features(image, layer)?;
        Ok(Maps::new(found.shape, found.values))
    }

    /// # Safety
    /// As for [`Image::input`].
    pub(crate) unsafe fn heat_map(&self, image: &Image, class: usize) -> Result<Maps, Failure> {
        // SAFETY: as the caller promises.
        let image = unsafe { image.input() }?;
        let map = match class {
            usize::MAX => self.classifier.explain(image)?.map,
            class => self.classifier.heat_map(image, class)?,
        };
        Ok(Maps::new([1, map.size[0], map.size[1]], map.values))
    }
}

/// # Safety
/// As for [`Image::input`], of every image.
unsafe fn inputs(images: &[Image]) -> Vec<Result<Input<'static>, Failure>> {
    // SAFETY: as the caller promises.
    images.iter().map(|image| unsafe { image.input() }).collect()
}

/// The one image, or all.
fn one(
    mut images: Vec<Result<Input<'static>, Failure>>,
) -> Result<Result<Input<'static>, Failure>, Vec<Result<Input<'static>, Failure>>> {
    match (images.len(), images.pop()) {
        (1, Some(image)) => Ok(image),
        (_, last) => {
            images.extend(last);
            Err(images)
        }
    }
}

/// Fills a row for each answer; that of an image without an answer with NaN. The first such failure is the call's.
fn fill<T>(
    rows: &mut [f32],
    answers: Vec<Result<T, Failure>>,
    write: impl Fn(&mut [f32], T),
) -> Result<(), Failure> {
    let mut failure = None;
    let each = rows.len() / answers.len().max(1);
    for (row, answer) in rows.chunks_exact_mut(each.max(1)).zip(answers) {
        match answer {
            Ok(answer) => write(row, answer),
            Err(error) => {
                row.fill(f32::NAN);
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}
