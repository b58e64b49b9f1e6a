//! What is noted of every request: its identifier, its time, its outcome.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use crate::Service;
use crate::metrics::Handled;
use crate::rejection::Rejection;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The longest identifier that is taken over from a client.
const LONGEST_ID: usize = 128;

/// Status in the log and the metrics of a request whose client went before its answer was there.
const CLIENT_GONE: u16 = 499;

/// Gives the request an identifier, and notes how it ended.
pub(super) async fn observe(State(service): State<Service>, request: Request, next: Next) -> Response {
    let id = identifier(request.headers()).unwrap_or_else(|| service.next_id());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let path = request.uri().path().chars().take(200).collect();
    let method = method(request.method());
    let mut watched =
        Watched { service, id: id.clone(), route, path, method, begin: Instant::now(), is_answered: false };
    let mut response = next.run(request).await;
    let duration = watched.answered(&response);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let timing = format!("total;dur={:.3}", 1000.0 * duration.as_secs_f64());
    if let Ok(timing) = HeaderValue::from_str(&timing) {
        headers.insert(SERVER_TIMING, timing);
    }
    headers.entry("x-content-type-options").or_insert(HeaderValue::from_static("nosniff"));
    response
}

/// The client's own identifier, where it is one.
fn identifier(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic());
    ((1..=LONGEST_ID).contains(&id.len()) && is_plain).then(|| id.to_owned())
}

/// Name of a method, of which strangers cannot make up new ones.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

/// A request under way. One that is dropped before it is answered has lost its client.
struct Watched {
    service: Service,
    id: String,
    route: String,
    path: String,
    method: &'static str,
    begin: Instant,
    is_answered: bool,
}

impl Watched {
    fn answered(&mut self, response: &Response) -> Duration {
        self.is_answered = true;
        let rejection = response.extensions().get::<Rejection>();
        self.note(response.status().as_u16(), rejection.map(|why| (why.reason(), why.to_string())))
    }

    fn note(&self, status: u16, why: Option<(&'static str, String)>) -> Duration {
        let duration = self.begin.elapsed();
        let reason = why.as_ref().map(|(reason, _)| *reason);
        let Self { route, method, .. } = self;
        self.service.shared.metrics.handled(&Handled { route, method, status, reason, duration });
        let mut facts: Vec<(&str, Value)> = vec![
            ("id", self.id.as_str().into()),
            ("method", (*method).into()),
            ("path", self.path.as_str().into()),
            ("status", status.into()),
            ("milliseconds", ((1e6 * duration.as_secs_f64()).round() / 1e3).into()),
        ];
        if let Some((reason, message)) = why {
            facts.extend([("reason", reason.into()), ("error", message.into())]);
        }
        self.service.shared.log.event("request", &facts);
        duration
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_answered {
            self.note(CLIENT_GONE, Some(("client_gone", "the client went before its answer".to_owned())));
        }
    }
}
