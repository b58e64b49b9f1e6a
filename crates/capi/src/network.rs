//! A network that predicts from pixels.

use std::ffi::{CStr, CString};
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use residual_data::{Fit, Image};
use residual_engine::{Error as EngineError, Options, Plan, Scratch};
use residual_weights::{Error, Model};

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
        let model = open(path, model)?;
        let wrong = |error: &dyn Display| Failure::new(Status::Network, format_args!("{path}: {error}"));
        let options = Options { threads, ..Options::default() };
        let plan = Plan::compile(&model, &options).map_err(|error| wrong(&error))?;
        let fit = Fit::new(model.spec()).map_err(|error| wrong(&error))?;
        // A zero byte in a name would end it in C.
        let name = |name: String| CString::new(name.replace('\0', "?")).unwrap_or_default();
        let classes = model.classes().unwrap_or_default().iter().cloned().map(name).collect();
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
        let image = Image::new(width, height, channels, pixels.to_vec()).ok_or_else(|| {
            wrong(&format!(
                "no image has {width}x{height} pixels of {channels} channels; use 1 or 3 channels"
            ))
        })?;
        let image = self.fit.fit(image, "the image").map_err(|error| wrong(&error))?;
        let [_, rows, columns] = self.plan.image();
        let (width, height) = (image.width(), image.height());
        if [height, width] != [rows, columns] {
            return Err(wrong(&format!(
                "the image has {width}x{height} pixels and the network takes {columns}x{rows}; resize it first"
            )));
        }
        let mut scratch = self.lock().pop().unwrap_or_else(|| self.plan.scratch());
        let logits = self.plan.run(image.pixels(), &mut scratch);
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

/// Opens weights, as the network that the caller names for bare ones.
fn open(path: &str, network: Option<&str>) -> Result<Model, Failure> {
    let model = match network {
        Some(network) => Model::open_as(path, network),
        None => Model::open(path),
    };
    model.map_err(|error| {
        let status = match error.cause() {
            Error::UnknownModel(_) | Error::Specification(_) => Status::InvalidArgument,
            Error::Mismatch(_) | Error::Integers { .. } | Error::Shape(_) => Status::Network,
            _ => Status::File,
        };
        Failure::new(status, error)
    })
}

/// `p[i] = exp(z[i] - max z) / sum over j of exp(z[j] - max z)`
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}
