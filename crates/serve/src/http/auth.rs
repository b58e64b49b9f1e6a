//! Bearer tokens.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::Service;
use crate::rejection::Rejection;

/// Addresses that need no token: probes, and the page, which asks for one.
const OPEN: [&str; 3] = ["/", "/v2/health/live", "/v2/health/ready"];

/// Digest of a token. Tokens are compared by theirs, so that the time of a comparison says nothing about them.
pub(crate) fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Lets requests through that need no token, or bring one.
pub(super) async fn admit(State(service): State<Service>, request: Request, next: Next) -> Response {
    let tokens = &service.shared.tokens;
    if tokens.is_empty() || OPEN.contains(&request.uri().path()) || brings_one(&request, tokens) {
        return next.run(request).await;
    }
    Rejection::Unauthorized.into_response()
}

fn brings_one(request: &Request, tokens: &[[u8; 32]]) -> bool {
    let Some(header) = request.headers().get(AUTHORIZATION) else { return false };
    let Some((scheme, token)) = header.as_bytes().split_at_checked("Bearer ".len()) else { return false };
    let found = digest(token.trim_ascii());
    scheme.eq_ignore_ascii_case(b"Bearer ") && tokens.contains(&found)
}
