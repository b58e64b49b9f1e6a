//! A training that was interrupted, kept until the study goes on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use residual_arch::NetSpec;
use residual_train::{Recipe, from_model, to_state_dict};
use residual_weights::{Checkpoint, Model};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::fit::{Course, Position};
use crate::{Error, Folder};

/// File of the training that is going on in a study's folder, `cell.safetensors`: network, optimiser, and where it
/// stands. It is written when the study is interrupted and now and then before, and goes when the training is done.
pub(crate) struct Kept {
    path: PathBuf,
    saved: Instant,
}

/// Name of the file.
pub(crate) const CELL: &str = "cell.safetensors";

/// Between two moments at which a training is kept, so that a killed process loses no more.
const PAUSE: Duration = Duration::from_secs(60);

/// Which training it is, where it stands, and what its study knows of it.
#[derive(Serialize, Deserialize)]
struct State<W, C> {
    which: W,
    position: Position,
    course: C,
}

impl Kept {
    pub(crate) fn new(folder: &Folder) -> Self {
        Self { path: folder.path().join(CELL), saved: Instant::now() }
    }

    /// The training `which`, where it was kept, with what its study knows of it. What cannot be read, or is of another
    /// training or network, is as good as not there: the training begins again.
    pub(crate) fn read<W, C>(&self, which: &W, spec: &NetSpec, recipe: &Recipe) -> Option<(Course, C)>
    where
        W: DeserializeOwned + PartialEq,
        C: DeserializeOwned,
    {
        if !self.path.is_file() {
            return None;
        }
        let checkpoint = Checkpoint::read(&self.path).ok().filter(|checkpoint| checkpoint.spec == *spec)?;
        let state: State<W, C> = serde_json::from_value(checkpoint.state?).ok()?;
        if state.which != *which {
            return None;
        }
        let model = Model::from_state_dict(spec, checkpoint.tensors).ok()?;
        let mut course = Course::new(from_model(model, &Device::flex().autodiff()).ok()?, recipe);
        course.optimiser.load(checkpoint.optimiser);
        course.position = state.position;
        Some((course, state.course))
    }

    /// True where the training should be kept again.
    pub(crate) fn is_due(&self) -> bool {
        self.saved.elapsed() >= PAUSE
    }

    /// Keeps a training.
    pub(crate) fn write<W: Serialize, C: Serialize>(
        &mut self,
        which: &W,
        now: &Course,
        course: &C,
    ) -> Result<(), Error> {
        let state = State { which, position: now.position, course };
        let state =
            serde_json::to_value(state).map_err(|error| Error::io("write", &self.path)(error.into()))?;
        let spec = now.network.spec().clone();
        let checkpoint = Checkpoint {
            tensors: to_state_dict(&now.network, spec.naming)?,
            spec,
            classes: Vec::new(),
            optimiser: now.optimiser.state()?,
            state: Some(state),
        };
        checkpoint.write(&self.path)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Forgets the training that was kept: its result is written.
    pub(crate) fn remove(&self) {
        // One that stays is of a training that is done, and replaced by the next.
        let _ = std::fs::remove_file(&self.path);
    }
}
