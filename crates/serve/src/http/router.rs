//! Addresses of the service.

use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::{answers, auth, catalogue, health, infer, observe, openapi, overlay, page};
use crate::rejection::Rejection;
use crate::{Service, grpc};

/// Routes of a service, to be served, or called without a socket:
///
/// | address | |
/// | --- | --- |
/// | `/` | page |
/// | `/v1/classify`, `/v1/embed`, `/v1/explain`, `/v1/models` | images for people and scripts |
/// | `/v2`, `/v2/health/...`, `/v2/models/...` | Open Inference Protocol |
/// | `/inference.GRPCInferenceService/...` | the same over gRPC |
/// | `/metrics`, `/openapi.json` | Prometheus, OpenAPI |
pub fn router(service: &Service) -> Router {
    let observe = middleware::from_fn_with_state(service.clone(), observe::observe);
    let admit = middleware::from_fn_with_state(service.clone(), auth::admit);
    let caught = |_: Box<dyn std::any::Any + Send>| {
        axum::response::IntoResponse::into_response(Rejection::Internal("a fault of the service".to_owned()))
    };
    let model = "/v2/models/{name}";
    let version = "/v2/models/{name}/versions/{version}";
    Router::new()
        .route("/", get(page::page))
        .route("/openapi.json", get(openapi::document))
        .route("/metrics", get(health::metrics))
        .route("/v1/models", get(catalogue::models))
        .route("/v1/classify", post(answers::classify))
        .route("/v1/embed", post(answers::embed))
        .route("/v1/explain", post(overlay::explain))
        .route("/v2", get(catalogue::server))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/repository/index", post(catalogue::index))
        .route(model, get(catalogue::model))
        .route(&format!("{model}/ready"), get(health::model_ready))
        .route(&format!("{model}/infer"), post(infer::infer))
        .route(version, get(catalogue::model))
        .route(&format!("{version}/ready"), get(health::model_ready))
        .route(&format!("{version}/infer"), post(infer::infer))
        .fallback(
            |request: Request| async move { Rejection::NoAddress { path: request.uri().path().to_owned() } },
        )
        .method_not_allowed_fallback(|request: Request| async move {
            Rejection::Method { method: request.method().clone() }
        })
        .with_state(service.clone())
        .merge(grpc::routes(service))
        .layer(CatchPanicLayer::custom(caught))
        .layer(admit)
        .layer(observe)
}
