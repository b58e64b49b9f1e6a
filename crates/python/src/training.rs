//! Trainings: begun, resumed, or of a model that others have trained.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use residual::data::LabelledImages;
use residual::train::{Changes, FineTuning, HeadReport, Outcome, Recipe, Trainer, Training, Tuned};
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::Model;
use crate::observer::{Callbacks, Calling, Said};
use crate::training_images::Labelled;
use crate::{json, recipe};

/// A training as Python asks for it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Asked<'py> {
    /// Base recipe: a name or a file.
    recipe: Option<PathBuf>,
    /// Fields over it.
    fields: Bound<'py, PyAny>,
    out: PathBuf,
    /// Arrays to train on and to evaluate on, in place of a path.
    images: Option<(Labelled<'py>, Labelled<'py>)>,
    callbacks: Callbacks,
}

type Images = Option<(LabelledImages, LabelledImages)>;

impl Asked<'_> {
    fn images(&self) -> PyResult<Images> {
        let images = self.images.as_ref();
        images.map(|(train, held_out)| Ok((train.images()?, held_out.images()?))).transpose()
    }
}

/// State beside a training: what its callbacks said, its remarks, and how callbacks are called.
struct Beside {
    said: Said,
    remarks: Arc<Mutex<Vec<String>>>,
    calling: Calling,
}

impl Beside {
    fn new(callbacks: Callbacks) -> Self {
        let (said, remarks) = (Said::default(), Arc::default());
        let calling = Calling::new(callbacks, said.clone(), Arc::clone(&remarks));
        Self { said, remarks, calling }
    }
}

/// Trains a network in a folder that has no run.
#[pyfunction]
pub(crate) fn train<'py>(
    py: Python<'py>,
    asked: Asked<'py>,
    model: Option<&Bound<'py, Model>>,
) -> PyResult<Bound<'py, PyAny>> {
    let recipe = recipe::recipe(asked.recipe.clone(), json::of_python(&asked.fields)?)?;
    let images = asked.images()?;
    let (model, out) = (model.map(|model| model.get().model.clone()), asked.out);
    let Beside { said, remarks, calling } = Beside::new(asked.callbacks);
    let end = py.detach(|| {
        limit_threads(&recipe)?;
        let training = Training::new(&recipe).stop(Arc::clone(&said.stop)).observer(calling);
        let training = if let Some(model) = model { training.model(model) } else { training };
        let training = match images {
            Some((train, held_out)) => training.images(train, held_out),
            None => training,
        };
        to_the_end(training.begin(out).map_err(Error::from)?, &said, &remarks, None)
    })?;
    json::to_python(py, &end)
}

/// Trains a model on other images, its head first.
#[pyfunction]
pub(crate) fn finetune<'py>(
    py: Python<'py>,
    asked: Asked<'py>,
    model: &Bound<'py, Model>,
    head_only: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = json::of_python(&asked.fields)?;
    let data = recipe::over(&Recipe::default(), only_data(&fields))?.data;
    let images = asked.images()?;
    let (model, out) = (model.get().model.clone(), asked.out);
    let Beside { said, remarks, calling } = Beside::new(asked.callbacks);
    let end = py.detach(|| {
        let tuning = match images {
            Some((train, held_out)) => FineTuning::with_images(model, train, held_out),
            None => match recipe::over(&Recipe::default(), fields.clone())?.task {
                task if task.is_single_label() => FineTuning::new(model, &data),
                task => FineTuning::for_task(model, &data, task),
            },
        };
        let tuning = tuning.map_err(Error::from)?;
        let mut chosen = recipe::over(tuning.recipe(), fields)?;
        if head_only {
            chosen.epochs = 0;
            chosen.unfreeze.clear();
        }
        chosen.validate().map_err(Error::from)?;
        limit_threads(&chosen)?;
        let tuning = tuning.with(|recipe| *recipe = chosen).stop(Arc::clone(&said.stop)).observer(calling);
        match tuning.begin(out).map_err(Error::from)? {
            Some(Tuned { trainer, head, .. }) => to_the_end(trainer, &said, &remarks, Some(head)),
            None => Err(said.raised().unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))),
        }
    })?;
    json::to_python(py, &end)
}

/// Goes on with a run that was interrupted.
#[pyfunction]
#[pyo3(signature = (folder, callbacks, data=None, epochs=None, threads=None, images=None))]
pub(crate) fn resume<'py>(
    py: Python<'py>,
    folder: PathBuf,
    callbacks: Callbacks,
    data: Option<PathBuf>,
    epochs: Option<usize>,
    threads: Option<usize>,
    images: Option<(Labelled<'py>, Labelled<'py>)>,
) -> PyResult<Bound<'py, PyAny>> {
    let images = images.map(|(train, held_out)| -> PyResult<_> { Ok((train.images()?, held_out.images()?)) });
    let images = images.transpose()?;
    let Beside { said, remarks, calling } = Beside::new(callbacks);
    let end = py.detach(|| {
        let training = Training::default().changes(Changes { data, epochs });
        let training = training.stop(Arc::clone(&said.stop)).observer(calling);
        let training = match images {
            Some((train, held_out)) => training.images(train, held_out),
            None => training,
        };
        let mut trainer = training.resume(folder).map_err(Error::from)?;
        if let Some(threads) = threads {
            trainer.set_threads(threads);
        }
        to_the_end(trainer, &said, &remarks, None)
    })?;
    json::to_python(py, &end)
}

/// Fields of the data alone.
fn only_data(fields: &Value) -> Value {
    match fields.get("data") {
        Some(data) => json!({ "data": data }),
        None => json::nothing(),
    }
}

/// Starts the threads of the framework, as many as the recipe says; once in a process.
fn limit_threads(recipe: &Recipe) -> Result<(), Error> {
    let threads = recipe.workers();
    residual::kernels::Cpu::new(threads)?;
    // Where they have been started before, there are as many as then.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    Ok(())
}

/// Trains to the end, or until Python says stop; everything is saved then.
fn to_the_end(
    mut trainer: Trainer<'_>,
    said: &Said,
    remarks: &Mutex<Vec<String>>,
    head: Option<HeadReport>,
) -> PyResult<Value> {
    let folder = trainer.folder().to_owned();
    let replaced =
        trainer.replaced_head().map(|head| json!({ "found": head.found, "classes": head.classes }));
    let mut said_first = trainer.remarks().to_vec();
    let ended = trainer.run();
    let (epoch, step, classes) = (trainer.epochs_done(), trainer.steps_done(), trainer.classes().to_vec());
    drop(trainer);
    if let Some(raised) = said.raised() {
        return Err(interrupted(raised, epoch, step, &folder));
    }
    let (finished, early, best) = match ended.map_err(Error::from)? {
        Outcome::Finished { best, early, .. } => (true, early, Some(best)),
        Outcome::Interrupted { .. } => (false, false, None),
    };
    said_first.append(&mut remarks.lock().unwrap_or_else(PoisonError::into_inner));
    let head = head.map(|head| json!({ "loss": head.loss, "top1": head.top1, "score": head.score }));
    Ok(json!({
        "folder": folder, "finished": finished, "early": early, "best": best, "epochs": epoch, "steps": step,
        "classes": classes, "replaced_head": replaced, "head": head, "remarks": said_first,
    }))
}

/// Exception to raise; of Ctrl-C, with what is saved and how to go on.
fn interrupted(raised: PyErr, epochs: usize, step: u64, folder: &std::path::Path) -> PyErr {
    Python::attach(|py| {
        if !raised.is_instance_of::<PyKeyboardInterrupt>(py) {
            return raised;
        }
        let folder = folder.display();
        PyKeyboardInterrupt::new_err(format!(
            "stopped after {epochs} epochs and step {step}; everything is saved in {folder}; help: \
             residual_nets.resume({:?}) goes on",
            folder.to_string()
        ))
    })
}
