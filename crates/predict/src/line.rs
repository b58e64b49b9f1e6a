//! Answers as JSON.

use serde::Serialize;

use crate::{ClassScore, Prediction, TargetValue};

/// An answer as one JSON object: what `residual predict --json` prints on a line, and a service sends.
#[derive(Debug, Serialize)]
pub struct AnswerLine<'a> {
    /// Name of the image.
    pub file: &'a str,
    /// Most probable classes, the most probable first.
    pub top: Vec<ScoreLine<'a>>,
    /// Classes above the threshold of a multi-label task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<ScoreLine<'a>>>,
    /// Numbers of a regression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueLine<'a>>,
    /// Logits of all classes, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<&'a [f32]>,
    /// Path of the overlay, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<String>,
}

/// A class and its probability.
#[derive(Debug, Serialize)]
pub struct ScoreLine<'a> {
    /// Name of the class.
    pub class: &'a str,
    /// Probability, from 0 to 1.
    pub probability: f64,
}

/// A target of a regression and its number.
#[derive(Debug, Serialize)]
pub struct ValueLine<'a> {
    /// Name of the target.
    pub target: &'a str,
    /// Number, in the target's unit.
    pub value: f64,
}

impl<'a> AnswerLine<'a> {
    /// Answer about the image called `file`, with its `top` most probable classes and, if `logits`, the logits of all.
    pub fn new(file: &'a str, prediction: &'a Prediction, top: usize, logits: bool) -> Self {
        Self {
            file,
            top: prediction.top(top).map(ScoreLine::from).collect(),
            labels: prediction.threshold().map(|_| prediction.labels().map(ScoreLine::from).collect()),
            values: prediction.values().map(ValueLine::from).collect(),
            logits: logits.then(|| prediction.logits()),
            explain: None,
        }
    }
}

impl<'a> From<ClassScore<'a>> for ScoreLine<'a> {
    fn from(score: ClassScore<'a>) -> Self {
        Self { class: score.class, probability: score.probability }
    }
}

impl<'a> From<TargetValue<'a>> for ValueLine<'a> {
    fn from(found: TargetValue<'a>) -> Self {
        Self { target: found.target, value: found.value }
    }
}
