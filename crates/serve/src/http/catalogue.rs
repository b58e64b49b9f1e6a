//! What is served: the server, its models, and their networks.

use axum::Json;
use axum::extract::{Path, State};
use residual_predict::Description;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Service;
use crate::model::Loaded;
use crate::protocol::{ModelMetadata, PLATFORM};
use crate::rejection::Rejection;

/// Name and version of a model in an address.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// Extensions of the protocol.
pub(crate) const EXTENSIONS: [&str; 3] = ["binary_tensor_data", "classification", "model_repository"];

/// `GET /v2`.
pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": PLATFORM, "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS }))
}

/// `GET /v2/models/NAME`.
pub(super) async fn model(
    State(service): State<Service>,
    Path(named): Path<Named>,
) -> Result<Json<ModelMetadata>, Rejection> {
    let models = &service.shared.models;
    let model = models.find(&named.name, named.version.as_deref())?;
    let versions = models.versions(&model.name);
    Ok(Json(ModelMetadata::of(&model, versions)))
}

/// `POST /v2/repository/index`.
pub(super) async fn index(State(service): State<Service>) -> Json<Value> {
    let line = |model: &std::sync::Arc<Loaded>| json!({ "name": model.name, "version": model.version.to_string(), "state": "READY", "reason": "" });
    Json(service.shared.models.all().iter().map(line).collect())
}

/// A model for people.
#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    version: String,
    #[serde(flatten)]
    description: Description,
}

/// `GET /v1/models`.
pub(super) async fn models(State(service): State<Service>) -> Json<Value> {
    let models = service.shared.models.all();
    let described = models.iter().map(|model| Described {
        name: &model.name,
        version: model.version.to_string(),
        description: model.classifier.description(),
    });
    Json(json!({ "models": described.collect::<Vec<_>>() }))
}
