//! `POST /v1/explain`: where in an image something is seen, as a PNG.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use residual_data::Image;
use serde::Deserialize;

use super::answers::{Parameters, parameters};
use super::png::encoded;
use super::upload::Upload;
use crate::Service;
use crate::model::Loaded;
use crate::queue::{Answer, Question};
use crate::rejection::Rejection;

/// What is to be seen.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    model: Option<String>,
    version: Option<String>,
    /// A class, by its name or number, in place of the most probable.
    class: Option<String>,
    /// A part of the network, in place of a class.
    layer: Option<String>,
}

/// The image in grey, and over it in colour where its most probable class is seen, or the class or the part of the
/// network that is named.
pub(super) async fn explain(
    State(service): State<Service>,
    query: Parameters<Asked>,
    upload: Upload,
) -> Result<Response, Rejection> {
    let asked = parameters(query)?;
    let model = service.model(asked.model.as_deref(), asked.version.as_deref())?;
    let question = question(&model, asked)?;
    let deadline = service.deadline();
    let answers = service.ask(&model, &question, vec![upload.one()?], deadline).await?;
    drop(upload.share);
    let drawn = move || answers.into_iter().next().and_then(|(answer, image)| overlay(answer, image));
    let png = service.aside(deadline, move || drawn().map(|image| encoded(&image))).await?;
    let png =
        png.ok_or_else(|| Rejection::malformed("an image that is neither grey nor of three colours"))?;
    let png = png.map_err(|error| Rejection::Internal(format!("the picture: {error}")))?;
    Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
}

fn question(model: &Arc<Loaded>, asked: Asked) -> Result<Question, Rejection> {
    match asked {
        Asked { class: Some(_), layer: Some(_), .. } => Err(Rejection::malformed("both class and layer")),
        Asked { class: Some(class), .. } => {
            let found = model.classifier.class_number(&class);
            let unknown = || Rejection::Malformed(format!("class `{class}`: the network has no such class"));
            Ok(Question::ClassMap(found.ok_or_else(unknown)?))
        }
        Asked { layer: Some(layer), .. } => match model.classifier.places().contains(&layer) {
            true => Ok(Question::Features(layer)),
            false => Err(Rejection::Malformed(format!(
                "layer `{layer}`: no such part; there are {}",
                model.classifier.places().join(", ")
            ))),
        },
        _ => Ok(Question::Explain),
    }
}

fn overlay(answer: Answer, image: Option<Image>) -> Option<Image> {
    match answer {
        Answer::Explanation(explanation) => explanation.overlay(),
        Answer::ClassMap(map) => map.over(&image?),
        Answer::Features(maps) => maps.strength().over(&image?),
        _ => None,
    }
}
