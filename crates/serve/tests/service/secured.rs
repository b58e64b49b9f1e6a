//! Bearer tokens and TLS.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use residual_serve::{Error, Server, ServerOptions};

use crate::given::{connect, get, picture, post, post_with, request, service};

#[test]
fn requests_bring_a_token() {
    let service = service(|options| options.tokens = vec!["first".into(), "second".into()]);
    let image = picture(1, [32, 32]);
    let refused = post(&service, "/v1/classify", image.clone());
    refused.refused(401, &["token"]);
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    for bad in ["Bearer third", "Bearer first1", "Bearer ", "Basic first", "first", "Bearer first second"] {
        post_with(&service, "/v1/classify", ("Authorization", bad), image.clone()).refused(401, &[]);
    }
    for good in ["Bearer first", "bearer second"] {
        post_with(&service, "/v1/classify", ("Authorization", good), image.clone()).ok();
    }
    for path in ["/metrics", "/v2/models/photos", "/v1/models", "/nowhere", "/openapi.json"] {
        get(&service, path).refused(401, &[]);
    }
    post_with(&service, "/inference.GRPCInferenceService/ModelInfer", ("Authorization", "x"), Body::empty())
        .refused(401, &[]);
    for path in ["/", "/v2/health/live", "/v2/health/ready"] {
        assert_eq!(get(&service, path).status, 200);
    }
}

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/tls/certificate.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/tls/key.pem");

fn with_tls(certificate: &str, key: &str) -> ServerOptions {
    ServerOptions::default().with(|options| {
        options.port = 0;
        options.tls = Some((certificate.into(), key.into()));
    })
}

#[test]
fn a_client_that_trusts_the_certificate_is_answered_over_tls() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    let service = service(|_| {});
    let server = Server::start(&service, &with_tls(CERTIFICATE, KEY)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(CERTIFICATE).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::StreamOwned::new(client, connect(&server));
    stream.write_all(&request("/v1/classify", &picture(1, [32, 32]))).unwrap();
    let mut text = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut text);
    let text = String::from_utf8_lossy(&text);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"top\""), "{text}");
    // One that speaks no TLS gets no answer, and harms nobody.
    let plain = crate::given::talk(&server, &request("/v1/classify", b"x"));
    assert!(!plain.contains("200 OK"), "{plain}");
    server.stop_handle().stop();
    server.wait();
}

#[test]
fn certificates_that_cannot_be_used_are_refused() {
    let service = service(|_| {});
    let refused = |certificate: &str, key: &str, part: &str| {
        let error = Server::start(&service, &with_tls(certificate, key)).unwrap_err();
        assert!(matches!(error, Error::Tls { .. }) && error.to_string().contains(part), "{error}");
    };
    refused("nowhere.pem", KEY, "nowhere.pem");
    refused(KEY, KEY, "no certificate");
    refused(CERTIFICATE, CERTIFICATE, "no private key");
    assert!(Path::new(KEY).is_file());
}

#[test]
fn a_port_that_is_taken_is_said() {
    let service = service(|_| {});
    let first = Server::start(&service, &ServerOptions::default().with(|options| options.port = 0)).unwrap();
    let port = first.address().port();
    let error =
        Server::start(&service, &ServerOptions::default().with(|options| options.port = port)).unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
