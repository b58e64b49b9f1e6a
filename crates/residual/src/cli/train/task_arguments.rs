//! The flags of `residual train` for the task and its loss.

use std::path::PathBuf;

use clap::Args;
use residual::arch::TaskKind;
use residual::train::{ClassWeights, LossRecipe, Recipe, Sampling, Teacher};

use crate::cli::failure::{Failure, Outcome};

/// Task, loss, sampling and teacher, in place of a recipe's.
#[derive(Debug, Args)]
#[group(conflicts_with = "resume")]
pub(super) struct TaskArguments {
    /// Task: single-label, multi-label (any number of classes an image) or regression (numbers). [default: single-label]
    #[arg(long, value_name = "TASK")]
    task: Option<TaskKind>,
    /// Loss, with its usual constants: cross_entropy, binary_cross_entropy, focal, asymmetric, mse, l1, huber or
    /// smooth_l1. [default: the task's]
    #[arg(long, value_name = "NAME")]
    loss: Option<String>,
    /// Weights of the classes in the loss: balanced (by their numbers of images), or NAME=WEIGHT,...
    #[arg(long, value_name = "balanced|NAME=WEIGHT,...")]
    class_weights: Option<String>,
    /// Sampling: shuffled (each image once an epoch) or balanced (each class equally often). [default: shuffled]
    #[arg(long, value_name = "HOW", value_parser = sampling)]
    sampling: Option<Sampling>,
    /// Learn the probabilities of this trained network as well (knowledge distillation).
    #[arg(long, value_name = "CHECKPOINT|RUN")]
    teacher: Option<PathBuf>,
}

fn sampling(text: &str) -> Result<Sampling, String> {
    match text {
        "shuffled" => Ok(Sampling::Shuffled),
        "balanced" => Ok(Sampling::Balanced),
        _ => Err("expected shuffled or balanced".to_owned()),
    }
}

impl TaskArguments {
    pub(super) fn put_into(&self, recipe: &mut Recipe) -> Outcome {
        recipe.task = self.task.unwrap_or(recipe.task);
        if let Some(name) = &self.loss {
            recipe.loss = Some(loss(name)?);
        }
        if let Some(text) = &self.class_weights {
            recipe.class_weights = Some(weights(text)?);
        }
        recipe.sampling = self.sampling.unwrap_or(recipe.sampling);
        if let Some(path) = &self.teacher {
            let teacher = recipe.teacher.take().unwrap_or_else(|| Teacher::new(path));
            recipe.teacher = Some(teacher.with(|teacher| teacher.path.clone_from(path)));
        }
        Ok(())
    }
}

/// Loss of that name with its usual constants.
fn loss(name: &str) -> Outcome<LossRecipe> {
    let name = name.replace('-', "_");
    serde_json::from_value(serde_json::json!({ "kind": name })).map_err(|_| {
        Failure::new(format_args!(
            "--loss: none is called `{name}`; help: use cross_entropy, binary_cross_entropy, focal, asymmetric, mse, l1, \
             huber or smooth_l1"
        ))
    })
}

fn weights(text: &str) -> Outcome<ClassWeights> {
    if text == "balanced" {
        return Ok(ClassWeights::balanced());
    }
    let each = text.split(',').map(|part| {
        let (name, weight) = part.rsplit_once('=')?;
        Some((name.trim().to_owned(), weight.trim().parse().ok()?))
    });
    each.collect::<Option<_>>().map(ClassWeights::Each).ok_or_else(|| {
        Failure::new(format_args!(
            "--class-weights: `{text}`, expected balanced, or NAME=WEIGHT with commas between"
        ))
    })
}
