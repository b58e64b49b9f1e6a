//! Arrays of labelled images to train on.

use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use residual::arch::TaskKind;
use residual::data::{Image, LabelledImages};

use crate::arrays::not_contiguous;
use crate::error::Error;

/// Images and their labels: pixels `[batch, height, width, channels]`, or floats on the scale 0 to 1.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Labelled<'py> {
    pixels: Option<Bound<'py, PyArrayDyn<u8>>>,
    floats: Option<Bound<'py, PyArrayDyn<f32>>>,
    labels: Vec<usize>,
    targets: Vec<Vec<f64>>,
    names: Vec<String>,
    task: String,
}

impl Labelled<'_> {
    /// The images with their labels, copied: they outlive the call.
    pub(crate) fn images(&self) -> PyResult<LabelledImages> {
        let images = match (&self.pixels, &self.floats) {
            (Some(pixels), _) => {
                cut(pixels, |[height, width, channels], values| Image::new(width, height, channels, values))?
            }
            (_, Some(floats)) => {
                cut(floats, |[height, width, channels], values| Image::deep(width, height, channels, values))?
            }
            _ => return Err(Error::value("images", "neither pixels nor floats").into()),
        };
        let task: TaskKind = self.task.parse().map_err(|error| Error::value("task", error))?;
        let labels = if task.is_single_label() { self.labels.len() } else { self.targets.len() };
        if labels != images.len() {
            let reason = format_args!("{labels} labels for {} images", images.len()).to_string();
            return Err(Error::value("labels", reason).into());
        }
        let labelled = if task.is_single_label() {
            LabelledImages::new(self.names.clone(), images.into_iter().zip(self.labels.clone()).collect())
        } else {
            let images = images.into_iter().zip(self.targets.clone()).collect();
            LabelledImages::with_targets(task, self.names.clone(), images)
        };
        Ok(labelled.map_err(Error::from)?)
    }
}

/// Images of a stack, each made of its `[height, width, channels]` and a copy of its elements.
fn cut<T: numpy::Element + Copy>(
    stack: &Bound<'_, PyArrayDyn<T>>,
    image: impl Fn([usize; 3], Vec<T>) -> Result<Image, residual::data::Error>,
) -> PyResult<Vec<Image>> {
    let shape = stack.shape().to_vec();
    let &[_, height, width, channels] = shape.as_slice() else {
        let reason = format_args!("shape {shape:?}; expected [images, height, width, channels]").to_string();
        return Err(Error::value("images", reason).into());
    };
    let stack = stack.try_readonly().map_err(|error| Error::value("images", error))?;
    let values = stack.as_slice().map_err(not_contiguous)?;
    let each = (height * width * channels).max(1);
    let images = values.chunks_exact(each).map(|values| image([height, width, channels], values.to_vec()));
    Ok(images.collect::<Result<_, _>>().map_err(Error::from)?)
}
