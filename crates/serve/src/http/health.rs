//! Probes and metrics.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::catalogue::Named;
use crate::Service;
use crate::rejection::Rejection;

/// `GET /v2/health/live`: the process answers.
pub(super) async fn live() -> Response {
    Json(json!({ "live": true })).into_response()
}

/// `GET /v2/health/ready`: requests are wanted.
pub(super) async fn ready(State(service): State<Service>) -> Response {
    let ready = service.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready }))).into_response()
}

/// `GET /v2/models/NAME/ready`.
pub(super) async fn model_ready(
    State(service): State<Service>,
    Path(named): Path<Named>,
) -> Result<Response, Rejection> {
    let model = service.shared.models.find(&named.name, named.version.as_deref())?;
    let ready = service.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(json!({ "name": model.name, "ready": ready }))).into_response())
}

/// `GET /metrics`.
pub(super) async fn metrics(State(service): State<Service>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, kind)], service.metrics_text()).into_response()
}
