//! `POST /v2/models/NAME/infer`.

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};

use super::body::{Held, number};
use super::catalogue::Named;
use crate::Service;
use crate::protocol;
use crate::rejection::Rejection;

const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Answers a request of the Open Inference Protocol, in JSON or with binary tensors.
pub(super) async fn infer(
    State(service): State<Service>,
    Path(named): Path<Named>,
    held: Held,
) -> Result<Response, Rejection> {
    let model = service.shared.models.find(&named.name, named.version.as_deref())?;
    let deadline = service.deadline();
    let header_length = header_length(&held.headers)?;
    let (bytes, network) = (held.bytes.clone(), model.input());
    let read = service.aside(deadline, move || protocol::read(&bytes, header_length, network)).await??;
    let (request, outputs) = service.infer(&model, read, deadline).await?;
    drop(held.share);
    answer(protocol::write(&model, &request, &outputs)?)
}

fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Rejection> {
    match headers.contains_key(HEADER_LENGTH) {
        false => Ok(None),
        true => number(headers, &HEADER_LENGTH).map(Some).ok_or_else(|| {
            Rejection::malformed("Inference-Header-Content-Length: expected a number of bytes")
        }),
    }
}

fn answer((bytes, header_length): (Vec<u8>, Option<usize>)) -> Result<Response, Rejection> {
    Ok(match header_length {
        None => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
        Some(length) => {
            let headers = [(CONTENT_TYPE, "application/octet-stream")];
            (headers, [(HEADER_LENGTH, length.to_string())], bytes).into_response()
        }
    })
}
