//! Requests: one file, or the rest of it.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Error as HttpError};

use crate::{Error, Remote};

/// Variable of the environment that names a file of certificates to trust in place of the built-in ones.
const CERTIFICATES: &str = "SSL_CERT_FILE";

/// The most bytes of that file.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// The most redirects that are followed.
const MAX_REDIRECTS: u32 = 10;

/// The rest of a file, as a server sends it.
pub(crate) struct Answer {
    /// What it is.
    pub(crate) content: Content,
    /// Size of the whole file, where it is known.
    pub(crate) size: Option<u64>,
    /// `ETag` or `Last-Modified`: tells one version of the file from another.
    pub(crate) validator: Option<String>,
    pub(crate) body: Box<dyn Read>,
}

/// Which part of a file a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// All of it.
    Whole,
    /// What comes after so many bytes.
    After(u64),
    /// Nothing: there is no more than was there.
    Nothing,
}

/// What is asked of a server.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub(crate) remote: &'r Remote,
    /// Bytes that are there already.
    pub(crate) after: u64,
    /// The validator of the file that they are of.
    pub(crate) validator: Option<&'r str>,
}

/// The client, which honours the proxy of the environment and gives up on a server that is silent for so long.
pub(crate) fn agent(patience: Duration) -> Result<Agent, Error> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("residual/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .max_redirects(MAX_REDIRECTS)
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
        .timeout_per_write(Some(patience))
        .tls_config(TlsConfig::builder().root_certs(root_certificates()?).build());
    Ok(config.build().new_agent())
}

fn root_certificates() -> Result<RootCerts, Error> {
    let Some(path) = std::env::var_os(CERTIFICATES).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(RootCerts::WebPki);
    };
    let refuse = |reason: String| Error::Certificates { path: path.clone(), reason };
    let pem = residual_files::read(&path, MAX_CERTIFICATES).map_err(|error| refuse(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| refuse(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    match certificates.is_empty() {
        true => Err(refuse("it holds none".into())),
        false => Ok(RootCerts::Specific(Arc::new(certificates))),
    }
}

impl Request<'_> {
    /// Sends the request, and reads the head of the answer.
    pub(crate) fn send(self, agent: &Agent) -> Result<Answer, Error> {
        let url = &self.remote.url;
        // What begins encrypted stays encrypted, wherever it is redirected to.
        let secure = url.starts_with("https://");
        let mut request = agent.get(url).config().https_only(secure).build();
        if self.after > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.after));
            if let Some(validator) = self.validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let response = request.call().map_err(|error| self.failed(&error))?;
        self.answer(response)
    }

    fn answer(self, response: Response<Body>) -> Result<Answer, Error> {
        let (head, body) = response.into_parts();
        let headers = &head.headers;
        let range = text(headers, header::CONTENT_RANGE).and_then(content_range);
        let (content, size) = match (head.status.as_u16(), range) {
            (200, _) => (Content::Whole, text(headers, header::CONTENT_LENGTH).and_then(|n| n.parse().ok())),
            (206, Some((Some(first), size))) => (Content::After(first), size),
            (416, Some((_, Some(size)))) if size == self.after => (Content::Nothing, Some(size)),
            // What is there is longer than the file: there is nothing to go on from.
            (416 | 206, _) => (Content::After(u64::MAX), None),
            (status, _) => return Err(self.status(status, headers)),
        };
        Ok(Answer { content, size, validator: validator(headers), body: Box::new(body.into_reader()) })
    }

    fn status(self, status: u16, headers: &HeaderMap) -> Error {
        let Remote { name, url, .. } = self.remote.clone();
        let retry_after = text(headers, header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
        Error::Status { name, url, status, retry_after }
    }

    fn failed(self, error: &HttpError) -> Error {
        let Remote { name, url, .. } = self.remote.clone();
        let redirect =
            |reason: &str| Error::Redirect { name: name.clone(), url: url.clone(), reason: reason.into() };
        let is_own_fault = self.remote.url.starts_with("http");
        match error {
            HttpError::TooManyRedirects => redirect("redirected more than ten times"),
            HttpError::RequireHttpsOnly(_) => redirect("redirected to an address without encryption"),
            HttpError::BadUri(reason) if is_own_fault => {
                redirect(&format!("redirected to an address that is not http(s): {reason}"))
            }
            error => Error::Connect { reason: error.to_string(), name, url },
        }
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// What tells this version of a file from another: a strong `ETag`, or the time of its last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, header::ETAG).filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text(headers, header::LAST_MODIFIED)).map(str::to_owned)
}

/// First byte and size of `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`.
fn content_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = match range.split_once('-') {
        Some((first, _)) => Some(first.parse().ok()?),
        None => None,
    };
    Some((first, size.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(content_range("bytes */10"), Some((None, Some(10))));
        for wrong in ["", "bytes", "bytes x-9/10", "5-9/10", "bytes -1/10"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }
}
