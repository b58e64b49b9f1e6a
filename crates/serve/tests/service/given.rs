//! Small models, pictures of them, and calls of a service.

use std::io::{Cursor, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use residual_arch::NetSpec;
use residual_arch::families::family;
use residual_predict::{Classifier, Model, Options as ClassifierOptions};
use residual_serve::{ModelSource, Options, Server, ServerOptions, Service, router};
use residual_testkit::networks;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) fn spec() -> NetSpec {
    family("cifar_resnet8").unwrap().with_classes(3)
}

/// A model whose weights are multiplied by `gain`: another gain, another answer.
pub(crate) fn model(gain: f32) -> Model {
    let classes = ["cat", "dog", "ship"].map(String::from);
    networks::model(&spec(), gain).unwrap().with_classes(classes.into()).unwrap()
}

pub(crate) fn source(name: &str, gain: f32) -> ModelSource {
    ModelSource::new(name, move || Ok::<_, std::io::Error>(model(gain)))
}

/// The classifier of `source(_, gain)`, offline, with the service's batch.
pub(crate) fn offline(gain: f32) -> Classifier {
    Classifier::new(model(gain), ClassifierOptions::new().batch(Options::default().batch)).unwrap()
}

pub(crate) fn service(change: impl FnOnce(&mut Options)) -> Service {
    Service::start(vec![source("photos", 1.0)], Options::default().with(change)).unwrap()
}

/// Bytes of a PNG file, another for each `number`.
pub(crate) fn picture(number: u32, [width, height]: [u32; 2]) -> Vec<u8> {
    let image = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x, y, x * y].map(|value| (value * 7 + number * 31) as u8))
    });
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a status and an error that holds all of `parts`.
    pub(crate) fn refused(&self, status: u16, parts: &[&str]) {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        let error = self.json()["error"].as_str().unwrap().to_owned();
        parts.iter().for_each(|part| assert!(error.contains(part), "`{part}` is not in {error}"));
    }

    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }
}

/// Runs asynchronous code on one thread.
pub(crate) fn run<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) async fn answer(service: &Service, request: Request<Body>) -> Answer {
    let response = router(service).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, bytes }
}

pub(crate) fn get(service: &Service, path: &str) -> Answer {
    run(answer(service, Request::get(path).body(Body::empty()).unwrap()))
}

pub(crate) fn post(service: &Service, path: &str, body: impl Into<Body>) -> Answer {
    run(answer(service, Request::post(path).body(body.into()).unwrap()))
}

pub(crate) fn post_with(
    service: &Service,
    path: &str,
    header: (&str, &str),
    body: impl Into<Body>,
) -> Answer {
    run(answer(service, Request::post(path).header(header.0, header.1).body(body.into()).unwrap()))
}

/// A service on loopback.
pub(crate) fn server(service: &Service) -> Server {
    Server::start(service, &ServerOptions::default().with(|options| options.port = 0)).unwrap()
}

/// A connection that waits for an answer, but not for ever.
pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends bytes, and gives all that comes until the connection ends.
pub(crate) fn talk(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The other side may have had enough before it is all sent.
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// All that comes until the connection ends, in good order or not.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let (mut text, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut part) {
        text.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// A whole request with an image as its body.
pub(crate) fn request(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Asserts that the service answers as if nothing had happened.
pub(crate) fn lives(server: &Server) {
    let text = talk(server, &request("/v1/classify", &picture(1, [40, 30])));
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"top\""), "{text}");
}
