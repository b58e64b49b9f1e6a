//! Teacher of a knowledge distillation: a trained network that runs on the engine.

use residual_arch::{NetSpec, Preprocess};
use residual_data::Batch;
use residual_engine::{Images, Options, Plan, Scratch};
use residual_weights::Model;

use crate::recipes::settle::size;
use crate::run::progress::Fnv;
use crate::{Error, Recipe, Teacher};

/// Teacher, compiled for the batches of a training.
pub(crate) struct TeacherModel {
    pub(crate) recipe: Teacher,
    model: Model,
    /// Place among its outputs of each of the student's classes.
    places: Vec<usize>,
    student: Preprocess,
    threads: usize,
    most: usize,
    plan: Option<(Plan, Scratch)>,
}

impl TeacherModel {
    /// Opens the teacher of a recipe; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Weights`] for its file; [`Error::Task`] for one of other classes or channels than the student's.
    pub(crate) fn open(
        recipe: &Recipe,
        student: &NetSpec,
        classes: &[String],
    ) -> Result<Option<Self>, Error> {
        let Some(teacher) = &recipe.teacher else { return Ok(None) };
        let model = Model::open(&teacher.path)?;
        let spec = model.spec();
        let refused = |reason: String| {
            Err(Error::Task { field: "teacher", reason: format!("{}: {reason}", teacher.path.display()) })
        };
        if !spec.task.is_single_label() || !model.has_head() {
            return refused("is no classifier of single labels; help: give a network that is one".to_owned());
        }
        if spec.head.classes != classes.len() {
            let (found, wanted) = (spec.head.classes, classes.len());
            return refused(format!(
                "{found} classes, and the data have {wanted}; help: train it on the same classes"
            ));
        }
        if spec.input[0] != student.input[0] {
            let (found, wanted) = (spec.input[0], student.input[0]);
            return refused(format!(
                "takes {found} channels, and the student {wanted}; help: give both the same"
            ));
        }
        let place = |class: &String| match model.classes() {
            Some(own) => own.iter().position(|name| name == class),
            None => classes.iter().position(|name| name == class),
        };
        let places: Option<Vec<usize>> = classes.iter().map(place).collect();
        let Some(places) = places else {
            let own = model.classes().unwrap_or_default().join(", ");
            return refused(format!("has other classes ({own}); help: train it on the same classes"));
        };
        Ok(Some(Self {
            recipe: teacher.clone(),
            places,
            student: student.preprocess.clone(),
            threads: recipe.workers(),
            most: recipe.images_per_step(),
            plan: None,
            model,
        }))
    }

    /// Hash of what it answers by: its network, its classes and its tensors.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Fnv::new();
        hash.write(&serde_json::to_vec(self.model.spec()).unwrap_or_default());
        self.model.classes().unwrap_or_default().iter().for_each(|class| hash.write(class.as_bytes()));
        for (path, tensor) in self.model.tensors() {
            hash.write(path.to_string().as_bytes());
            let bytes: Vec<u8> = tensor.data().iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.write_words(&bytes);
        }
        hash.finish()
    }

    /// Checks that it is the teacher that a training began with.
    ///
    /// # Errors
    /// [`Error::TeacherChanged`].
    pub(crate) fn check(&self, then: Option<&str>, now: &str) -> Result<(), Error> {
        match then {
            Some(then) if then != now => Err(Error::TeacherChanged { path: self.recipe.path.clone() }),
            _ => Ok(()),
        }
    }

    /// Probabilities of the student's classes at the temperature, `[images][classes]`: the same augmented images,
    /// normalised as the teacher's, and brought to its size.
    ///
    /// # Errors
    /// [`Error::Engine`] where the teacher does not take them.
    pub(crate) fn probabilities(&mut self, batch: &Batch) -> Result<Vec<f32>, Error> {
        let (images, [height, width]) = self.images(batch);
        let channels = batch.shape[1];
        if self.plan.as_ref().is_none_or(|(plan, _)| plan.image() != [channels, height, width]) {
            let options = Options::default().with(|options| {
                options.threads = Some(self.threads);
                options.max_batch = self.most;
                options.size = Some([height, width]);
            });
            let plan = Plan::compile(&self.model, &options)?;
            let scratch = plan.scratch();
            self.plan = Some((plan, scratch));
        }
        let Some((plan, scratch)) = &mut self.plan else { return Ok(Vec::new()) };
        let logits = plan.run(Images::Planar(&images), scratch)?;
        let temperature = self.recipe.temperature;
        let rows = logits.chunks_exact(self.places.len()).flat_map(|row| {
            let scaled: Vec<f32> =
                self.places.iter().map(|&place| (f64::from(row[place]) / temperature) as f32).collect();
            residual_measure::softmax(&scaled)
        });
        Ok(rows.map(|probability| probability as f32).collect())
    }

    /// Images of a batch as the teacher takes them, and their height and width.
    fn images(&self, batch: &Batch) -> (Vec<f32>, [usize; 2]) {
        let [_, _, height, width] = batch.shape;
        let own = &self.model.spec().preprocess;
        let mut images = batch.images.clone();
        let channels = own.mean.len();
        for (plane, values) in images.chunks_exact_mut(height * width).enumerate() {
            let channel = plane % channels;
            let (mean, std) = (self.student.mean[channel], self.student.std[channel]);
            if (mean, std) != (own.mean[channel], own.std[channel]) {
                let change = |value: f32| (value * std + mean - own.mean[channel]) / own.std[channel];
                values.iter_mut().for_each(|value| *value = change(*value));
            }
        }
        // A network without a size of its own takes what its student does.
        let [_, rows, columns] = self.model.spec().input;
        let wanted = size(own).unwrap_or([rows, columns]);
        if size(&self.student) == size(own) || wanted == [height, width] {
            return (images, [height, width]);
        }
        let planes = images.chunks_exact(height * width);
        (planes.flat_map(|plane| resized(plane, [height, width], wanted)).collect(), wanted)
    }
}

/// Bilinear resizing of a plane, pixel centres aligned: PyTorch's `interpolate` without antialiasing.
fn resized(plane: &[f32], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let taps = |from: usize, to: usize| {
        let scale = from as f64 / to as f64;
        (0..to).map(move |place| {
            let at = ((place as f64 + 0.5) * scale - 0.5).max(0.0);
            let first = (at as usize).min(from - 1);
            (first, (first + 1).min(from - 1), (at - first as f64) as f32)
        })
    };
    let across: Vec<_> = taps(width, columns).collect();
    let row = |(top, bottom, share): (usize, usize, f32)| {
        let at = |row: usize, (left, right, share): (usize, usize, f32)| {
            plane[row * width + left] * (1.0 - share) + plane[row * width + right] * share
        };
        across
            .iter()
            .map(move |&tap| at(top, tap) * (1.0 - share) + at(bottom, tap) * share)
            .collect::<Vec<_>>()
    };
    taps(height, rows).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_resized_as_pytorch_does() {
        // torch.nn.functional.interpolate of [[0, 1], [2, 3]] to 4x4, bilinear, align_corners=False.
        let found = resized(&[0.0, 1.0, 2.0, 3.0], [2, 2], [4, 4]);
        let wanted = [0.0, 0.25, 0.75, 1.0, 0.5, 0.75, 1.25, 1.5, 1.5, 1.75, 2.25, 2.5, 2.0, 2.25, 2.75, 3.0];
        assert_eq!(found, wanted);
        assert_eq!(resized(&wanted, [4, 4], [2, 2]), [0.375, 1.125, 1.875, 2.625]);
    }
}
