//! Methods of the protocol.

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use prost::Message;
use tokio::time::timeout;
use tonic::codec::Codec;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::convert;
use super::messages::{
    ModelInferRequest, ModelInferResponse, ModelMetadataResponse, ModelRequest, ReadyResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
};
use crate::Service;
use crate::http::EXTENSIONS;
use crate::protocol::{ModelMetadata, PLATFORM};
use crate::rejection::Rejection;

/// Name of the service in the schema.
const SERVICE: &str = "/inference.GRPCInferenceService";

/// Routes of the protocol.
pub(crate) fn routes(service: &Service) -> Router {
    let of = |method: &str| format!("{SERVICE}/{method}");
    Router::new()
        .route(&of("ServerLive"), post(|service, request| unary(service, request, server_live)))
        .route(&of("ServerReady"), post(|service, request| unary(service, request, server_ready)))
        .route(&of("ModelReady"), post(|service, request| unary(service, request, model_ready)))
        .route(&of("ServerMetadata"), post(|service, request| unary(service, request, server_metadata)))
        .route(&of("ModelMetadata"), post(|service, request| unary(service, request, model_metadata)))
        .route(&of("ModelInfer"), post(|service, request| unary(service, request, model_infer)))
        .route(&of("{other}"), post(unknown))
        .with_state(service.clone())
}

/// Answers a request of one message with one message.
async fn unary<Q, A, F>(
    State(service): State<Service>,
    request: Request,
    method: fn(Service, Q) -> F,
) -> Response
where
    Q: Message + Default + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
    F: Future<Output = Result<A, Rejection>> + Send,
    ProstCodec<A, Q>: Codec<Encode = A, Decode = Q>,
{
    let options = &service.shared.options;
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(options.body_limit);
    // A message comes as slowly as a body may, and is answered by its deadline.
    let longest = options.body_timeout + options.deadline;
    let of = service.clone();
    let call = service_fn(move |request: tonic::Request<Q>| {
        let answer = method(of.clone(), request.into_inner());
        async move { answer.await.map(tonic::Response::new).map_err(|rejection| status(&rejection)) }
    });
    match timeout(longest, grpc.unary(call, request)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => Status::deadline_exceeded("the message did not come in time").into_http(),
    }
}

/// A method that there is not.
async fn unknown() -> Response {
    Status::unimplemented("no such method").into_http()
}

fn status(rejection: &Rejection) -> Status {
    let code = match rejection {
        Rejection::NoAddress { .. } | Rejection::NoModel { .. } | Rejection::NoVersion { .. } => {
            Code::NotFound
        }
        Rejection::Unauthorized => Code::Unauthenticated,
        Rejection::Busy { .. } | Rejection::Closing => Code::Unavailable,
        Rejection::Late { .. } | Rejection::BodyLate { .. } => Code::DeadlineExceeded,
        Rejection::BodyTooLarge { .. } => Code::ResourceExhausted,
        Rejection::Internal(_) => Code::Internal,
        _ => Code::InvalidArgument,
    };
    Status::new(code, rejection.to_string())
}

async fn server_live(_: Service, _: ServerLiveRequest) -> Result<ServerLiveResponse, Rejection> {
    Ok(ServerLiveResponse { live: true })
}

async fn server_ready(service: Service, _: ServerReadyRequest) -> Result<ReadyResponse, Rejection> {
    Ok(ReadyResponse { ready: service.is_ready() })
}

async fn model_ready(service: Service, asked: ModelRequest) -> Result<ReadyResponse, Rejection> {
    service.shared.models.find(&asked.name, Some(&asked.version))?;
    Ok(ReadyResponse { ready: service.is_ready() })
}

async fn server_metadata(_: Service, _: ServerMetadataRequest) -> Result<ServerMetadataResponse, Rejection> {
    let extensions = EXTENSIONS.map(str::to_owned).to_vec();
    let (name, version) = (PLATFORM.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Ok(ServerMetadataResponse { name, version, extensions })
}

async fn model_metadata(service: Service, asked: ModelRequest) -> Result<ModelMetadataResponse, Rejection> {
    let models = &service.shared.models;
    let model = models.find(&asked.name, Some(&asked.version))?;
    let versions = models.versions(&model.name);
    Ok(convert::metadata(ModelMetadata::of(&model, versions)))
}

async fn model_infer(service: Service, message: ModelInferRequest) -> Result<ModelInferResponse, Rejection> {
    let mut share = service.shared.budget.share();
    if !share.grow(message.encoded_len()) {
        return Err(Rejection::Busy { retry_after: 1 });
    }
    let model = service.shared.models.find(&message.model_name, Some(&message.model_version))?;
    let deadline: Instant = service.deadline();
    let network = model.input();
    let request = service.aside(deadline, move || convert::request(message, network)).await??;
    let (request, outputs) = service.infer(&model, request, deadline).await?;
    drop(share);
    Ok(convert::response(&model, request, &outputs))
}
