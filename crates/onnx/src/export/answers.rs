//! Probabilities and numbers behind the logits.

use residual_arch::Task;
use residual_weights::Model;

use super::Answers;
use super::attribute;
use super::graph::GraphBuilder;
use crate::error::Error;

/// Adds what answers need behind the last layer; gives the name of the graph's output.
pub(super) fn answers(
    graph: &mut GraphBuilder,
    model: &Model,
    last: &str,
    answers: Answers,
) -> Result<&'static str, Error> {
    let output = match (answers, &model.spec().task) {
        _ if !model.has_head() && answers == Answers::Logits => "features",
        _ if !model.has_head() => {
            return Err(Error::NoProbabilities { found: "a backbone that has no head" });
        }
        (Answers::Logits, _) => "logits",
        (Answers::Probabilities, Task::Regression { targets }) => {
            let values = |of: fn(&residual_arch::RegressionTarget) -> f64| -> Vec<f32> {
                targets.iter().map(|target| of(target) as f32).collect()
            };
            let deviation = graph.floats("answers.deviation", &[targets.len()], &values(|t| t.deviation));
            let mean = graph.floats("answers.mean", &[targets.len()], &values(|t| t.mean));
            let scaled = graph.node("Mul", "answers.scaled", &[last, &deviation], vec![]);
            graph.node("Add", "answers.values", &[&scaled, &mean], vec![]);
            "values"
        }
        (Answers::Probabilities, task) => {
            let logits = match model.temperature() {
                None => last.to_owned(),
                Some(temperature) => {
                    let temperature = graph.floats("answers.temperature", &[], &[temperature as f32]);
                    graph.node("Div", "answers.calibrated", &[last, &temperature], vec![])
                }
            };
            match task {
                Task::MultiLabel { .. } => graph.node("Sigmoid", "answers.sigmoid", &[&logits], vec![]),
                _ => graph.node("Softmax", "answers.softmax", &[&logits], vec![attribute::int("axis", 1)]),
            };
            "probabilities"
        }
    };
    graph.rename_last(output);
    Ok(output)
}
