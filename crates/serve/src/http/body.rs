//! Bodies of requests: within limits of size, time, and of the memory for all of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::Service;
use crate::budget::Share;
use crate::rejection::Rejection;

/// A request's body as a whole, and its share of the memory for bodies.
pub(super) struct Held {
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
    /// To be kept for as long as the bytes are.
    pub(super) share: Share,
}

/// The longest that a body is read on to be thrown away, so that its client reads why.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that are thrown away like this, in limits of a body.
const LINGERING: usize = 4;

/// Memory that is taken for a body before its first byte is there.
const FIRST: usize = 1 << 16;

impl FromRequest<Service> for Held {
    type Rejection = Rejection;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Rejection> {
        let (parts, mut body) = request.into_parts();
        plain(&parts.headers)?;
        let limit = service.shared.options.body_limit;
        let mut reader = Reader { limit, share: service.shared.budget.share(), bytes: Vec::new() };
        let announced = number(&parts.headers, &CONTENT_LENGTH).unwrap_or(0);
        let time = service.shared.options.body_timeout;
        let read = async {
            reader.announced(announced)?;
            reader.read(&mut body).await
        };
        let outcome = timeout(time, read).await;
        match outcome.unwrap_or(Err(Rejection::BodyLate { seconds: time.as_secs() })) {
            Ok(()) => Ok(Self { headers: parts.headers, bytes: reader.bytes.into(), share: reader.share }),
            Err(rejection) => {
                if matches!(rejection, Rejection::BodyTooLarge { .. } | Rejection::Busy { .. }) {
                    drop(reader);
                    // Whether it ends or not is the same.
                    let _ = timeout(LINGER, discard(&mut body, limit.saturating_mul(LINGERING))).await;
                }
                Err(rejection)
            }
        }
    }
}

struct Reader {
    limit: usize,
    share: Share,
    bytes: Vec<u8>,
}

impl Reader {
    fn announced(&mut self, length: usize) -> Result<(), Rejection> {
        if length > self.limit {
            return Err(Rejection::BodyTooLarge { limit: self.limit });
        }
        self.bytes.reserve(length.min(FIRST));
        Ok(())
    }

    async fn read(&mut self, body: &mut Body) -> Result<(), Rejection> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Rejection::BodyBroken(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if self.bytes.len() + data.len() > self.limit {
                return Err(Rejection::BodyTooLarge { limit: self.limit });
            }
            if !self.share.grow(data.len()) {
                return Err(Rejection::Busy { retry_after: 1 });
            }
            self.bytes.extend_from_slice(&data);
        }
        Ok(())
    }
}

async fn discard(body: &mut Body, most: usize) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > most {
            return;
        }
    }
}

/// Compressed bodies are not read: images and tensors hardly get smaller.
fn plain(headers: &HeaderMap) -> Result<(), Rejection> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity" | b"") => Ok(()),
        Some(encoding) => Err(Rejection::Encoding(format!(
            "Content-Encoding: {}; expected a body that is not compressed",
            String::from_utf8_lossy(encoding)
        ))),
    }
}

/// A header that is a number.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<usize> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
