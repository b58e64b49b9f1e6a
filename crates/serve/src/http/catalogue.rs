//! What is served: the server, its models, and their networks.

use axum::Json;
use axum::extract::{Path, State};
use residual_arch::shape::{Row, flow};
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

/// Description of a model for people.
#[derive(Serialize)]
struct Description {
    name: String,
    version: String,
    network: String,
    /// `[channels, height, width]`
    input: [usize; 3],
    /// Names of the classes, or of the targets of a regression.
    classes: Vec<String>,
    task: String,
    parameters: u64,
    macs: u64,
    rows: Vec<Row>,
    /// Parts whose maps `/v1/explain` shows.
    layers: Vec<String>,
    threads: usize,
}

/// `GET /v1/models`.
pub(super) async fn models(State(service): State<Service>) -> Json<Value> {
    let models: Vec<Description> = service.shared.models.all().iter().map(|model| describe(model)).collect();
    Json(json!({ "models": models }))
}

fn describe(model: &Loaded) -> Description {
    let spec = model.classifier.model().spec();
    // The network was checked when it was opened.
    let flow = flow(spec, model.input()).ok();
    let (parameters, macs) = flow.as_ref().map_or((0, 0), |flow| (flow.parameters, flow.macs));
    Description {
        name: model.name.clone(),
        version: model.version.to_string(),
        network: spec.name.clone(),
        input: model.input(),
        classes: model.classifier.classes().to_vec(),
        task: spec.task.to_string(),
        parameters,
        macs,
        rows: flow.map_or_else(Vec::new, |flow| flow.rows),
        layers: model.places(),
        threads: model.classifier.threads(),
    }
}
