//! A model compiled for this machine.

use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use residual::arch::Task;
use residual::engine::Images;
use residual::predict::{Answers, Classifier as Compiled, Error as PredictError, Options, Prediction};

use crate::arrays::{array, not_contiguous};
use crate::error::Error;
use crate::inspection::task_name;
use crate::items::Item;
use crate::json;
use crate::model::Model;
use crate::signals::Signals;

/// A model compiled for this machine.
#[pyclass(frozen, module = "residual_nets._native")]
pub(crate) struct Classifier {
    compiled: Compiled,
}

/// Answers about many images, one row each.
#[derive(Default)]
struct Rows {
    count: usize,
    logits: Vec<f32>,
    probabilities: Vec<f64>,
    values: Vec<f64>,
    /// Images without an answer, and why.
    errors: Vec<(usize, PyErr)>,
}

/// Logits, probabilities and numbers of a regression as arrays, and the errors of images without an answer.
type PyRows<'py> = (
    Bound<'py, PyArrayDyn<f32>>,
    Bound<'py, PyArrayDyn<f64>>,
    Bound<'py, PyArrayDyn<f64>>,
    Vec<(usize, PyErr)>,
);

/// Vectors as an array, and the errors of images without one.
type PyVectors<'py> = (Bound<'py, PyArrayDyn<f32>>, Vec<(usize, PyErr)>);

impl Rows {
    fn push(&mut self, answer: &Prediction) {
        self.count += 1;
        self.logits.extend_from_slice(answer.logits());
        self.probabilities.extend_from_slice(answer.probabilities());
        self.values.extend(answer.values().map(|found| found.value));
    }

    /// Row of an image that has no answer.
    fn fail(&mut self, shape: &Shape, error: PyErr) {
        self.errors.push((self.count, error));
        self.count += 1;
        self.logits.resize(self.count * shape.outputs, f32::NAN);
        self.probabilities.resize(self.count * shape.probabilities, f64::NAN);
        self.values.resize(self.count * shape.targets, f64::NAN);
    }

    fn into_python<'py>(self, py: Python<'py>, shape: &Shape) -> PyResult<PyRows<'py>> {
        let logits = array(py, self.logits, &[self.count, shape.outputs])?;
        let probabilities = array(py, self.probabilities, &[self.count, shape.probabilities])?;
        Ok((logits, probabilities, array(py, self.values, &[self.count, shape.targets])?, self.errors))
    }
}

/// Lengths of a row of answers.
struct Shape {
    outputs: usize,
    probabilities: usize,
    targets: usize,
}

/// A stack of images that go into the network as they lie in memory.
enum Stack<'a> {
    /// `[batch, height, width, channels]`
    Pixels(&'a [u8]),
    /// `[batch, channels, height, width]`
    Values(&'a [f32]),
}

impl<'a> Stack<'a> {
    /// Parts of so many images of `each` elements.
    fn parts(&self, images: usize, each: usize) -> Box<dyn Iterator<Item = Images<'a>> + 'a> {
        let most = images.max(1) * each.max(1);
        match self {
            Self::Pixels(pixels) => Box::new(pixels.chunks(most).map(Images::Interleaved)),
            Self::Values(values) => Box::new(values.chunks(most).map(Images::Planar)),
        }
    }
}

/// Goes through answers with an ear for Ctrl-C. With `keep` an image without an answer does not end them.
fn each<T: Send>(
    answers: Answers<'_, T>,
    keep: bool,
    mut take: impl FnMut(Result<T, PyErr>),
) -> PyResult<()> {
    let mut signals = Signals::new();
    for answer in answers {
        signals.check()?;
        match answer.map_err(|error| PyErr::from(Error::from(error))) {
            Err(error) if !keep => return Err(error),
            answer => take(answer),
        }
    }
    Ok(())
}

impl Classifier {
    fn shape(&self) -> Shape {
        let spec = self.compiled.model().spec();
        let (outputs, targets) = (spec.head.classes, spec.task.targets().len());
        Shape { outputs, probabilities: if targets == 0 { outputs } else { 0 }, targets }
    }

    /// Compiles the network while the first images are decoded. What is wrong with their size is said of them, and what
    /// is wrong with the weights at once.
    fn warm_up(&self) -> Result<(), Error> {
        match self.compiled.warm_up() {
            Err(error @ PredictError::Model(_)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn ready_in_parts<T>(
        &self,
        stack: &Stack<'_>,
        shape: [usize; 3],
        mut answer: impl FnMut(Images<'_>, [usize; 2]) -> Result<Vec<T>, PredictError>,
    ) -> PyResult<Vec<T>> {
        let [height, width, channels] = shape;
        let mut signals = Signals::new();
        let mut all = Vec::new();
        for part in stack.parts(self.compiled.batch(), height * width * channels) {
            signals.check()?;
            all.append(&mut answer(part, [height, width]).map_err(Error::from)?);
        }
        Ok(all)
    }

    fn rows_of<'py>(&self, py: Python<'py>, stack: &Stack<'_>, shape: [usize; 3]) -> PyResult<PyRows<'py>> {
        let rows = py.detach(|| -> PyResult<Rows> {
            let answers =
                self.ready_in_parts(stack, shape, |part, size| self.compiled.classify_ready(part, size))?;
            let mut rows = Rows::default();
            answers.iter().for_each(|answer| rows.push(answer));
            Ok(rows)
        })?;
        rows.into_python(py, &self.shape())
    }

    fn vectors_of<'py>(
        &self,
        py: Python<'py>,
        stack: &Stack<'_>,
        shape: [usize; 3],
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let vectors = py.detach(|| {
            self.ready_in_parts(stack, shape, |part, size| self.compiled.embed_ready(part, size))
        })?;
        let length = self.compiled.embedding_length();
        let count = vectors.len() / length.max(1);
        array(py, vectors, &[count, length])
    }
}

/// `[height, width, channels]` of the images of a stack of four dimensions, in the order of `at`.
fn sides(shape: &[usize], at: [usize; 3]) -> PyResult<[usize; 3]> {
    match shape.len() {
        4 => Ok(at.map(|axis| shape[axis])),
        _ => Err(Error::value("array", format_args!("shape {shape:?}; expected four dimensions")).into()),
    }
}

const CHANNELS_LAST: [usize; 3] = [1, 2, 3];
const CHANNELS_FIRST: [usize; 3] = [2, 3, 1];

#[pymethods]
impl Classifier {
    /// Compiles a model.
    #[new]
    #[pyo3(signature = (model, threads=None, batch=None))]
    fn new(
        py: Python<'_>,
        model: &Bound<'_, Model>,
        threads: Option<usize>,
        batch: Option<usize>,
    ) -> PyResult<Self> {
        for (what, number) in [("threads", threads), ("batch", batch)] {
            if number == Some(0) {
                return Err(Error::value(what, "0; help: give 1 or more").into());
            }
        }
        let model = model.get().model.clone();
        let mut options = Options::new().lazy();
        (options.threads, options.batch) = (threads, batch);
        let compiled = py.detach(|| Compiled::new(model, options)).map_err(Error::from)?;
        Ok(Self { compiled })
    }

    /// Answers about one image.
    fn classify<'py>(&self, py: Python<'py>, image: Item) -> PyResult<PyRows<'py>> {
        let answer = py.detach(|| self.compiled.classify(image.input())).map_err(Error::from)?;
        let mut rows = Rows::default();
        rows.push(&answer);
        rows.into_python(py, &self.shape())
    }

    /// Answers about many images, in batches and decoded ahead.
    fn classify_all<'py>(&self, py: Python<'py>, images: Vec<Item>, keep: bool) -> PyResult<PyRows<'py>> {
        let shape = self.shape();
        let rows = py.detach(|| -> PyResult<Rows> {
            let mut rows = Rows::default();
            let answers = self.compiled.classify_all(images.into_iter().map(Item::input));
            self.warm_up()?;
            each(answers, keep, |answer| match answer {
                Ok(answer) => rows.push(&answer),
                Err(error) => rows.fail(&shape, error),
            })?;
            Ok(rows)
        })?;
        rows.into_python(py, &shape)
    }

    /// Answers about a stack of pixels, which are resized as they need it.
    fn classify_stack<'py>(
        &self,
        py: Python<'py>,
        stack: PyReadonlyArrayDyn<'py, u8>,
        keep: bool,
    ) -> PyResult<PyRows<'py>> {
        let shape = sides(stack.shape(), CHANNELS_LAST)?;
        if self.takes_as_is(shape) {
            return self.rows_of(py, &Stack::Pixels(stack.as_slice().map_err(not_contiguous)?), shape);
        }
        let images = Item::of_stack(stack.as_any().cast()?);
        drop(stack);
        self.classify_all(py, images, keep)
    }

    /// Answers about a stack of normalised values, `[batch, channels, height, width]`.
    fn classify_tensor<'py>(
        &self,
        py: Python<'py>,
        stack: PyReadonlyArrayDyn<'py, f32>,
    ) -> PyResult<PyRows<'py>> {
        let shape = sides(stack.shape(), CHANNELS_FIRST)?;
        self.rows_of(py, &Stack::Values(stack.as_slice().map_err(not_contiguous)?), shape)
    }

    /// Logits of a stack of normalised values, `[batch, channels, height, width]`.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        stack: PyReadonlyArrayDyn<'py, f32>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let shape = sides(stack.shape(), CHANNELS_FIRST)?;
        let values = Stack::Values(stack.as_slice().map_err(not_contiguous)?);
        let logits =
            py.detach(|| self.ready_in_parts(&values, shape, |part, size| self.compiled.logits(part, size)))?;
        let classes = self.shape().outputs;
        let count = logits.len() / classes.max(1);
        array(py, logits, &[count, classes])
    }

    /// Answers about many images and their embeddings at one go.
    fn describe_all<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Item>,
        keep: bool,
    ) -> PyResult<(PyRows<'py>, Bound<'py, PyArrayDyn<f32>>)> {
        let (shape, length) = (self.shape(), self.compiled.embedding_length());
        let (mut rows, mut vectors) = (Rows::default(), Vec::new());
        py.detach(|| {
            let answers = self.compiled.classify_and_embed_all(images.into_iter().map(Item::input));
            self.warm_up()?;
            each(answers, keep, |answer| match answer {
                Ok((answer, vector)) => {
                    rows.push(&answer);
                    vectors.extend(vector);
                }
                Err(error) => {
                    rows.fail(&shape, error);
                    vectors.resize(rows.count * length, f32::NAN);
                }
            })
        })?;
        let vectors = array(py, vectors, &[rows.count, length])?;
        Ok((rows.into_python(py, &shape)?, vectors))
    }

    /// Embedding of one image.
    fn embed<'py>(&self, py: Python<'py>, image: Item) -> PyResult<PyVectors<'py>> {
        let vector = py.detach(|| self.compiled.embed(image.input())).map_err(Error::from)?;
        let length = vector.len();
        Ok((array(py, vector, &[1, length])?, Vec::new()))
    }

    /// Embeddings of many images, in batches and decoded ahead.
    fn embed_all<'py>(&self, py: Python<'py>, images: Vec<Item>, keep: bool) -> PyResult<PyVectors<'py>> {
        let length = self.compiled.embedding_length();
        let (mut vectors, mut errors, mut count) = (Vec::new(), Vec::new(), 0);
        py.detach(|| {
            let answers = self.compiled.embed_all(images.into_iter().map(Item::input));
            self.warm_up()?;
            each(answers, keep, |answer| {
                match answer {
                    Ok(vector) => vectors.extend(vector),
                    Err(error) => {
                        errors.push((count, error));
                        vectors.resize((count + 1) * length, f32::NAN);
                    }
                }
                count += 1;
            })
        })?;
        Ok((array(py, vectors, &[count, length])?, errors))
    }

    /// Embeddings of a stack of pixels.
    fn embed_stack<'py>(
        &self,
        py: Python<'py>,
        stack: PyReadonlyArrayDyn<'py, u8>,
        keep: bool,
    ) -> PyResult<PyVectors<'py>> {
        let shape = sides(stack.shape(), CHANNELS_LAST)?;
        if self.takes_as_is(shape) {
            let pixels = Stack::Pixels(stack.as_slice().map_err(not_contiguous)?);
            return Ok((self.vectors_of(py, &pixels, shape)?, Vec::new()));
        }
        let images = Item::of_stack(stack.as_any().cast()?);
        drop(stack);
        self.embed_all(py, images, keep)
    }

    /// Embeddings of a stack of normalised values.
    fn embed_tensor<'py>(
        &self,
        py: Python<'py>,
        stack: PyReadonlyArrayDyn<'py, f32>,
    ) -> PyResult<PyVectors<'py>> {
        let shape = sides(stack.shape(), CHANNELS_FIRST)?;
        let values = Stack::Values(stack.as_slice().map_err(not_contiguous)?);
        Ok((self.vectors_of(py, &values, shape)?, Vec::new()))
    }

    /// Feature maps of an image after a layer, `[channels, height, width]`.
    fn features<'py>(
        &self,
        py: Python<'py>,
        image: Item,
        layer: &str,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let maps = py.detach(|| self.compiled.features(image.input(), layer)).map_err(Error::from)?;
        array(py, maps.values, &maps.shape)
    }

    /// Heat map of a class in an image.
    fn heat_map<'py>(
        &self,
        py: Python<'py>,
        image: Item,
        class: usize,
    ) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let map = py.detach(|| self.compiled.heat_map(image.input(), class)).map_err(Error::from)?;
        array(py, map.values, &map.size)
    }

    /// Answer about an image with the heat map of its class, as a dict.
    fn explain<'py>(&self, py: Python<'py>, image: Item) -> PyResult<Bound<'py, PyDict>> {
        let (found, overlay) = py
            .detach(|| {
                let found = self.compiled.explain(image.input())?;
                let overlay = found.overlay();
                Ok((found, overlay))
            })
            .map_err(|error: PredictError| Error::from(error))?;
        let mut rows = Rows::default();
        rows.push(&found.prediction);
        let dict = PyDict::new(py);
        dict.set_item("rows", rows.into_python(py, &self.shape())?)?;
        dict.set_item("class", found.class)?;
        dict.set_item("heat_map", array(py, found.map.values, &found.map.size)?)?;
        let overlay = overlay.map(|image| {
            let shape = [image.height(), image.width(), image.channels()];
            array(py, image.into_pixels(), &shape)
        });
        dict.set_item("overlay", overlay.transpose()?)?;
        Ok(dict)
    }

    /// True where pixels of this shape, `[height, width, channels]`, go into the network as they lie in memory.
    fn takes_as_is(&self, shape: [usize; 3]) -> bool {
        let spec = self.compiled.model().spec();
        let [channels, height, width] = spec.input;
        let crops = spec.preprocess.crop.is_some_and(|crop| crop != [height, width]);
        shape == [height, width, channels] && spec.preprocess.resize.is_none() && !crops
    }

    /// Names of the classes; their numbers where none are known.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.compiled.classes().to_vec()
    }

    /// True where the classes have names.
    #[getter]
    fn has_class_names(&self) -> bool {
        self.compiled.has_class_names()
    }

    /// `single-label`, `multi-label` or `regression`.
    #[getter]
    fn task(&self) -> String {
        task_name(self.compiled.model().spec().task.kind())
    }

    /// Threshold of a multi-label task.
    #[getter]
    fn threshold(&self) -> Option<f64> {
        let model = self.compiled.model();
        match model.spec().task.at_temperature(model.temperature()) {
            Task::MultiLabel { threshold } => Some(threshold),
            _ => None,
        }
    }

    /// Length of an embedding.
    #[getter]
    fn embedding_length(&self) -> usize {
        self.compiled.embedding_length()
    }

    /// Number of threads that work on one answer.
    #[getter]
    fn threads(&self) -> usize {
        self.compiled.threads()
    }

    /// Number of images that go through the network together.
    #[getter]
    fn batch(&self) -> usize {
        self.compiled.batch()
    }

    /// Specification as a dict.
    #[getter]
    fn spec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, self.compiled.model().spec())
    }

    /// Notes of what was noticed in the images so far.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.compiled.notes().iter().map(ToString::to_string).collect()
    }
}
