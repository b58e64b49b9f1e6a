//! A network that predicts from pixels.

use std::ffi::{CStr, CString};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use residual_arch::{NetSpec, families::family};
use residual_data::{Fit, Image};
use residual_engine::{Error as EngineError, Images, Options, Plan, Scratch};
use residual_weights::{Error, StateDict, Weights, recognise, with_classes_of};

use crate::error::{Failure, Status};

/// A loaded network: `residual_network` of `residual.h`.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    fit: Fit,
    classes: Vec<CString>,
    /// Memory of callers that are through, for the next.
    scratches: Mutex<Vec<Scratch>>,
}

impl Network {
    pub(crate) fn load(path: &str, model: Option<&str>, threads: usize) -> Result<Self, Failure> {
        let (spec, classes, state) =
            match Weights::map(path).map_err(|error| Failure::new(Status::File, error))? {
                Weights::Trained(trained) => (trained.spec, trained.classes, trained.tensors),
                Weights::Plain(state) => (named(path, model, &state)?, Vec::new(), state),
            };
        let wrong = |error: &dyn Display| Failure::new(Status::Network, format_args!("{path}: {error}"));
        // C has no `None`: 0 stands for it.
        let threads = Some(threads).filter(|&threads| threads > 0);
        let options = Options { threads, ..Options::default() };
        let plan = Plan::compile(&spec, &state, &options).map_err(|error| wrong(&error))?;
        let fit = Fit::new(&spec).map_err(|error| wrong(&error))?;
        // A zero byte in a name would end it in C.
        let name = |name: String| CString::new(name.replace('\0', "?")).unwrap_or_default();
        let classes = classes.into_iter().map(name).collect();
        Ok(Self { plan, fit, classes, scratches: Mutex::default() })
    }

    pub(crate) fn classes(&self) -> usize {
        self.plan.classes()
    }

    pub(crate) fn class_name(&self, class: usize) -> Option<&CStr> {
        self.classes.get(class).map(CString::as_c_str)
    }

    /// The probabilities of an image of `[width, height, channels]`.
    pub(crate) fn predict(
        &self,
        pixels: &[u8],
        [width, height, channels]: [usize; 3],
    ) -> Result<Vec<f32>, Failure> {
        let wrong = |message: &dyn Display| Failure::new(Status::Image, message);
        let image = Image::new(width, height, channels, pixels.to_vec()).map_err(|error| wrong(&error))?;
        let image = self.fit.fit(image, "the image").map_err(|error| wrong(&error))?;
        let [_, rows, columns] = self.plan.image();
        let (width, height) = (image.width(), image.height());
        if [height, width] != [rows, columns] {
            return Err(wrong(&format!(
                "the image has {width}x{height} pixels and the network takes {columns}x{rows}; resize it first"
            )));
        }
        let mut scratch = self.lock().pop().unwrap_or_else(|| self.plan.scratch());
        let logits = self.plan.run(Images::Interleaved(image.pixels()), &mut scratch);
        let found = logits.map(softmax).map_err(|error| match error {
            EngineError::NotFinite { .. } => Failure::new(Status::Network, error),
            error => Failure::new(Status::Internal, error),
        });
        self.lock().push(scratch);
        found
    }

    /// Nothing panics while it holds the lock, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network that the caller names for bare weights, with as many classes as they have.
fn named(path: &str, model: Option<&str>, state: &StateDict) -> Result<NetSpec, Failure> {
    let Some(model) = model else {
        let unnamed = Error::NoSpec { model: recognise(state).map(|found| found.model) };
        return Err(Failure::new(Status::File, format_args!("{path}: {unnamed}")));
    };
    Ok(with_classes_of(family(model).map_err(Failure::argument)?, state))
}

/// `p[i] = exp(z[i] - max z) / sum over j of exp(z[j] - max z)`
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}
