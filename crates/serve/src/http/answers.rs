//! `POST /v1/classify` and `POST /v1/embed`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use residual_predict::AnswerLine;
use serde::{Deserialize, Serialize};

use super::upload::Upload;
use crate::Service;
use crate::model::Loaded;
use crate::queue::{Answer, Question};
use crate::rejection::Rejection;

/// Model of a question.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    pub(super) model: Option<String>,
    pub(super) version: Option<String>,
    /// Number of the most probable classes.
    #[serde(default = "five")]
    top: usize,
    /// Logits of all classes as well.
    #[serde(default)]
    logits: bool,
}

fn five() -> usize {
    5
}

/// Parameters of a question; what is wrong with them is said as other errors are.
pub(super) type Parameters<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

pub(super) fn parameters<T>(query: Parameters<T>) -> Result<T, Rejection> {
    query.map(|Query(asked)| asked).map_err(|error| Rejection::Malformed(error.body_text()))
}

impl Service {
    /// The model that is named, or the first.
    pub(super) fn model(&self, name: Option<&str>, version: Option<&str>) -> Result<Arc<Loaded>, Rejection> {
        match name {
            Some(name) => self.shared.models.find(name, version),
            None if version.is_some() => self.shared.models.find(&self.shared.models.first().name, version),
            None => Ok(self.shared.models.first()),
        }
    }
}

/// Classes of images, an object for each as `residual predict --json` prints them.
pub(super) async fn classify(
    State(service): State<Service>,
    query: Parameters<Asked>,
    upload: Upload,
) -> Result<Response, Rejection> {
    let asked = parameters(query)?;
    let model = service.model(asked.model.as_deref(), asked.version.as_deref())?;
    if asked.top == 0 {
        return Err(Rejection::malformed("top: expected a number, 1 or more"));
    }
    let answers = service.ask(&model, &Question::Classify, upload.pictures(), service.deadline()).await?;
    let lines = answers.iter().zip(&upload.images).filter_map(|((answer, _), image)| match answer {
        Answer::Prediction(found) => Some(AnswerLine::new(&image.name, found, asked.top, asked.logits)),
        _ => None,
    });
    objects(lines)
}

/// An embedding in JSON.
#[derive(Serialize)]
struct EmbeddingLine<'a> {
    file: &'a str,
    embedding: &'a [f32],
}

/// Embeddings of images, an object for each.
pub(super) async fn embed(
    State(service): State<Service>,
    query: Parameters<Asked>,
    upload: Upload,
) -> Result<Response, Rejection> {
    let asked = parameters(query)?;
    let model = service.model(asked.model.as_deref(), asked.version.as_deref())?;
    let answers = service.ask(&model, &Question::Embed, upload.pictures(), service.deadline()).await?;
    let lines = answers.iter().zip(&upload.images).filter_map(|((answer, _), image)| match answer {
        Answer::Embedding(embedding) => Some(EmbeddingLine { file: &image.name, embedding }),
        _ => None,
    });
    objects(lines)
}

/// One object as JSON; several as one a line.
fn objects(lines: impl Iterator<Item = impl Serialize>) -> Result<Response, Rejection> {
    let text = |line| serde_json::to_string(&line).map(|text| text + "\n");
    let texts: Vec<String> = lines
        .map(text)
        .collect::<Result<_, _>>()
        .map_err(|error| Rejection::Internal(format!("the answer: {error}")))?;
    let kind = if texts.len() == 1 { "application/json" } else { "application/x-ndjson" };
    Ok(([(CONTENT_TYPE, kind)], texts.concat()).into_response())
}
