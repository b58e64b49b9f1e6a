//! Python's callbacks of a training, and Ctrl-C.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use residual::train::{Metrics, Observer, StepReport};

use crate::json;
use crate::signals::Signals;

/// Callables of Python that are told of a training; one that returns `False` ends it, everything saved.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Callbacks {
    on_epoch: Option<Py<PyAny>>,
    on_step: Option<Py<PyAny>>,
}

/// State left by callbacks: their wish to stop the training, and the exception that they raised.
#[derive(Clone, Default)]
pub(crate) struct Said {
    pub(crate) stop: Arc<AtomicBool>,
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Said {
    /// Exception of a callback or a signal.
    pub(crate) fn raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn heed(&self, answer: PyResult<bool>) {
        if let Ok(true) = answer {
            return;
        }
        self.stop.store(true, Ordering::Relaxed);
        if let Err(error) = answer {
            self.raised.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }
}

/// Observer that calls Python.
pub(crate) struct Calling {
    callbacks: Callbacks,
    said: Said,
    signals: Signals,
    /// Lines of the epoch that is about to end.
    lines: Vec<Metrics>,
    remarks: Arc<Mutex<Vec<String>>>,
}

impl Calling {
    pub(crate) fn new(callbacks: Callbacks, said: Said, remarks: Arc<Mutex<Vec<String>>>) -> Self {
        Self { callbacks, said, signals: Signals::new(), lines: Vec::new(), remarks }
    }

    fn look(&mut self) -> ControlFlow<()> {
        let heard = self.signals.check().map(|()| true);
        self.said.heed(heard);
        ControlFlow::Continue(())
    }

    fn note(&self, text: &str) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
    }
}

/// False where the callback returned `False`.
fn call(callback: &Py<PyAny>, argument: Bound<'_, PyAny>) -> PyResult<bool> {
    let answer = callback.bind(argument.py()).call1((argument,))?;
    Ok(!answer.is(pyo3::types::PyBool::new(answer.py(), false)))
}

fn report_dict<'py>(py: Python<'py>, report: &StepReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("epoch", report.epoch)?;
    dict.set_item("epochs", report.epochs)?;
    dict.set_item("step", report.step)?;
    dict.set_item("total_steps", report.total_steps)?;
    dict.set_item("batch_loss", report.batch_loss)?;
    dict.set_item("loss", report.loss)?;
    dict.set_item("top1", report.top1)?;
    dict.set_item("lr", report.lr)?;
    dict.set_item("images_per_s", report.images_per_s)?;
    dict.set_item("seconds_left", report.seconds_left)?;
    Ok(dict)
}

impl Observer for Calling {
    fn step(&mut self, report: &StepReport) -> ControlFlow<()> {
        if let Some(on_step) = &self.callbacks.on_step {
            self.said.heed(Python::attach(|py| call(on_step, report_dict(py, report)?.into_any())));
        }
        self.look()
    }

    fn evaluating(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        self.look()
    }

    fn pass(&mut self, metrics: &Metrics) -> ControlFlow<()> {
        self.lines.push(metrics.clone());
        ControlFlow::Continue(())
    }

    /// The lines of an epoch are complete when its checkpoint is written.
    fn saved(&mut self, path: &Path) {
        let is_last = path.file_name().is_some_and(|name| name == "last.safetensors");
        if !is_last || self.lines.is_empty() {
            return;
        }
        let lines = std::mem::take(&mut self.lines);
        if let Some(on_epoch) = &self.callbacks.on_epoch {
            self.said.heed(Python::attach(|py| call(on_epoch, json::to_python(py, &lines)?)));
        }
    }

    fn skipped(&mut self, reason: &str) {
        self.note(&format!("left out: {reason}"));
    }

    fn remark(&mut self, remark: &str) {
        self.note(remark);
    }
}
