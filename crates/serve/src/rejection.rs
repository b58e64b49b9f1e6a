//! Requests that are not answered as asked: why, and with which status.

use axum::Json;
use axum::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use residual_engine::Error as EngineError;
use residual_predict::Error as PredictError;

/// Reason for which a request gets no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("{path}: no such address; help: /openapi.json lists them")]
    NoAddress { path: String },
    #[error("{method}: not for this address")]
    Method { method: Method },
    #[error("{name}: no such model; help: there are {available}")]
    NoModel { name: String, available: String },
    #[error("{name}: no version {version}; help: there are {available}")]
    NoVersion { name: String, version: String, available: String },
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Encoding(String),
    #[error("{0}")]
    Image(String),
    #[error("no token, or none that is known; help: send `Authorization: Bearer TOKEN`")]
    Unauthorized,
    #[error("a body of more than {limit} bytes; help: --body-limit on the service's side")]
    BodyTooLarge { limit: usize },
    #[error("the body did not come within {seconds} seconds")]
    BodyLate { seconds: u64 },
    #[error("the body broke off: {0}")]
    BodyBroken(String),
    #[error("{images} images in one request, and the queue has {queue} places; help: send fewer at a time")]
    TooMany { images: usize, queue: usize },
    #[error("the service is at its capacity; help: try again in {retry_after} s")]
    Busy { retry_after: u64 },
    #[error("no answer within the deadline of {milliseconds} ms")]
    Late { milliseconds: u128 },
    #[error("the service is shutting down")]
    Closing,
    #[error("{0}")]
    Internal(String),
}

impl Rejection {
    pub(crate) fn malformed(message: impl ToString) -> Self {
        Self::Malformed(message.to_string())
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoAddress { .. } | Self::NoModel { .. } | Self::NoVersion { .. } => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Malformed(_) | Self::Image(_) | Self::BodyBroken(_) | Self::TooMany { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyLate { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Busy { .. } | Self::Closing => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Name of the reason, in metrics and in the log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress { .. } => "no_address",
            Self::Method { .. } => "method",
            Self::NoModel { .. } | Self::NoVersion { .. } => "no_model",
            Self::Malformed(_) => "malformed",
            Self::Encoding(_) => "encoding",
            Self::Image(_) => "image",
            Self::Unauthorized => "unauthorized",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyLate { .. } => "body_late",
            Self::BodyBroken(_) => "body_broken",
            Self::TooMany { .. } => "too_many_images",
            Self::Busy { .. } => "busy",
            Self::Late { .. } => "late",
            Self::Closing => "closing",
            Self::Internal(_) => "internal",
        }
    }

    /// Puts the place of an image among several before what is wrong with it.
    pub(crate) fn of_image(self, index: usize, of: usize) -> Self {
        match self {
            Self::Image(message) if of > 1 => Self::Image(format!("image {index}: {message}")),
            other => other,
        }
    }
}

impl From<PredictError> for Rejection {
    fn from(error: PredictError) -> Self {
        let is_ours = match &error {
            PredictError::Model(_) | PredictError::Engine(_) => true,
            PredictError::Unanswered { cause, .. } => matches!(**cause, EngineError::NotFinite { .. }),
            _ => false,
        };
        match is_ours {
            true => Self::Internal(error.to_string()),
            false => Self::Image(error.to_string()),
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({ "error": self.to_string() }));
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Busy { retry_after } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            Self::Closing => {
                headers.insert(RETRY_AFTER, HeaderValue::from(1_u64));
            }
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        // The log and the metrics say why.
        response.extensions_mut().insert(self);
        response
    }
}
