//! Addresses for people.

use axum::body::Body;
use residual_predict::{AnswerLine, Prediction};
use residual_serve::{Error, ModelSource, Options, Service};
use serde_json::{Value, json};

use crate::given::{get, model, offline, picture, post, post_with, service, source};

fn form(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut body = b"--xyz\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nno file\r\n".to_vec();
    for (name, bytes) in files {
        body.extend(
            format!("--xyz\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n")
                .bytes(),
        );
        body.extend(bytes);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    body
}

const FORM: (&str, &str) = ("Content-Type", "multipart/form-data; boundary=xyz");

/// The answer as it is written and read again.
fn line(file: &str, prediction: &Prediction, top: usize, logits: bool) -> Value {
    let text = serde_json::to_string(&AnswerLine::new(file, prediction, top, logits)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn classes_are_those_of_the_classifier_to_the_bit() {
    let (service, classifier) = (service(|_| {}), offline(1.0));
    let image = picture(3, [50, 41]);
    let prediction = classifier.classify(&image).unwrap();
    let wanted = line("", &prediction, 5, false);
    assert_eq!(post(&service, "/v1/classify", image.clone()).ok(), wanted);
    let wanted = line("a.png", &prediction, 2, true);
    let found =
        post_with(&service, "/v1/classify?top=2&logits=true", FORM, form(&[("a.png", image.clone())]));
    assert_eq!(found.ok(), wanted);
    // Several give an object a line, in their order.
    let files: Vec<(&str, Vec<u8>)> = ["a", "b", "c"]
        .into_iter()
        .zip(3..)
        .map(|(name, number)| (name, picture(number, [33, 40])))
        .collect();
    let found = post_with(&service, "/v1/classify", FORM, form(&files));
    let text = String::from_utf8(found.bytes).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let wanted: Vec<Value> = files
        .iter()
        .map(|(name, bytes)| {
            let prediction = classifier.classify(bytes).unwrap();
            line(name, &prediction, 5, false)
        })
        .collect();
    assert_eq!(lines, wanted);
}

#[test]
fn embeddings_and_overlays_are_those_of_the_classifier() {
    let (service, classifier) = (service(|_| {}), offline(1.0));
    let image = picture(5, [32, 32]);
    let found = post(&service, "/v1/embed", image.clone()).ok();
    let found: Vec<f32> =
        found["embedding"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
    assert_eq!(found, classifier.embed(&image).unwrap());

    let decoded = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8().into_raw();
    let explanation = classifier.explain(&image).unwrap();
    let found = post(&service, "/v1/explain", image.clone());
    assert_eq!(found.headers["content-type"], "image/png");
    assert_eq!(decoded(&found.bytes), explanation.overlay().unwrap().pixels());
    let map = classifier.heat_map(&image, 2).unwrap();
    let over = map.over(explanation.image.as_ref().unwrap()).unwrap();
    for class in ["ship", "2"] {
        let found = post(&service, &format!("/v1/explain?class={class}"), image.clone());
        assert_eq!(decoded(&found.bytes), over.pixels(), "{class}");
    }
    let layers = get(&service, "/v1/models").ok()["models"][0]["layers"].clone();
    assert!(layers.as_array().unwrap().len() >= 4, "{layers}");
    let mut seen = vec![decoded(&found.bytes)];
    for layer in layers.as_array().unwrap() {
        let found = post(&service, &format!("/v1/explain?layer={}", layer.as_str().unwrap()), image.clone());
        assert_eq!(found.status, 200, "{layer}: {found:?}");
        seen.push(decoded(&found.bytes));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), layers.as_array().unwrap().len() + 1, "two layers look alike");
}

#[test]
fn what_is_wrong_is_said() {
    let service = service(|options| options.body_limit = 50_000);
    let image = picture(1, [32, 32]);
    let classify = |query: &str| post(&service, &format!("/v1/classify{query}"), image.clone());
    classify("?model=cats").refused(404, &["cats", "photos"]);
    classify("?model=photos&version=7").refused(404, &["7", "there are 1"]);
    classify("?version=7").refused(404, &["7"]);
    classify("?top=0").refused(400, &["top"]);
    classify("?top=many").refused(400, &["top"]);
    post(&service, "/v1/classify", "").refused(400, &["no image"]);
    post(&service, "/v1/classify", "no image at all").refused(400, &["image"]);
    post(&service, "/v1/classify", image[..image.len() / 2].to_vec()).refused(400, &["image"]);
    post(&service, "/v1/classify", vec![0; 50_001]).refused(413, &["50000"]);
    post_with(&service, "/v1/classify", ("Content-Encoding", "gzip"), image.clone()).refused(415, &["gzip"]);
    post_with(&service, "/v1/classify", FORM, form(&[])).refused(400, &["no image"]);
    post_with(&service, "/v1/classify", FORM, "--xyz\r\n").refused(400, &["parts"]);
    let two = form(&[("a", image.clone()), ("b", b"nothing".to_vec())]);
    post_with(&service, "/v1/classify", FORM, two.clone()).refused(400, &["image 1"]);
    post_with(&service, "/v1/explain", FORM, two).refused(400, &["2 images"]);
    post(&service, "/v1/explain?class=cow", image.clone()).refused(400, &["cow"]);
    post(&service, "/v1/explain?class=3", image.clone()).refused(400, &["3"]);
    post(&service, "/v1/explain?layer=stage9", image.clone()).refused(400, &["stage9", "stage1.block0"]);
    post(&service, "/v1/explain?layer=stem&class=cat", image).refused(400, &["both"]);
    get(&service, "/v1/classify").refused(405, &["GET"]);
    get(&service, "/v9").refused(404, &["/v9", "openapi"]);
}

/// Checksum of a PNG's chunk, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

/// A PNG file whose header claims 100,000 x 100,000 pixels.
fn bomb() -> Vec<u8> {
    let mut bytes = picture(0, [8, 8]);
    bytes[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let checksum = crc(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&checksum);
    bytes
}

#[test]
fn images_that_decode_to_gigabytes_are_refused() {
    post(&service(|_| {}), "/v1/classify", bomb()).refused(400, &["100000"]);
}

#[test]
fn models_are_described() {
    let models = vec![source("photos", 1.0), source("other", 0.5), source("photos", 0.9)];
    let service = Service::start(models, Options::default()).unwrap();
    assert_eq!(service.models(), [("photos".into(), 1), ("other".into(), 1), ("photos".into(), 2)]);
    let found = get(&service, "/v1/models").ok();
    let photos = &found["models"][0];
    assert_eq!(photos["classes"], json!(["cat", "dog", "ship"]));
    assert_eq!(photos["input"], json!([3, 32, 32]));
    assert_eq!(photos["rows"][0]["path"], "stem");
    // The latest version answers where none is named.
    let image = picture(2, [32, 32]);
    let of = |gain: f32| offline(gain).classify(&image).unwrap().best().probability;
    let best =
        |path: &str| post(&service, path, image.clone()).ok()["top"][0]["probability"].as_f64().unwrap();
    assert_eq!(best("/v1/classify?model=photos"), of(0.9));
    assert_eq!(best("/v1/classify?model=photos&version=1"), of(1.0));
    assert_eq!(best("/v1/classify"), of(1.0));
    assert_eq!(best("/v1/classify?model=other"), of(0.5));
    assert!(of(0.9) != of(1.0));
}

#[test]
fn metrics_count_what_happened() {
    let service = service(|_| {});
    post(&service, "/v1/classify", picture(1, [32, 32])).ok();
    post(&service, "/v1/classify", "nothing").refused(400, &[]);
    get(&service, "/strange").refused(404, &[]);
    let text = String::from_utf8(get(&service, "/metrics").bytes).unwrap();
    for line in [
        "residual_requests_total{route=\"/v1/classify\",method=\"POST\",status=\"200\"} 1",
        "residual_requests_total{route=\"/v1/classify\",method=\"POST\",status=\"400\"} 1",
        "residual_requests_total{route=\"other\",method=\"GET\",status=\"404\"} 1",
        "residual_request_duration_seconds_count{route=\"/v1/classify\"} 2",
        "residual_images_total{model=\"photos\",version=\"1\"} 1",
        "residual_batch_images_bucket{model=\"photos\",version=\"1\",le=\"1\"} 1",
        "residual_rejected_total{reason=\"image\"} 1",
        "residual_accepted_images 0",
        "residual_queue_capacity_images 64",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn requests_have_identifiers() {
    let service = service(|_| {});
    let own = get(&service, "/v2").headers["x-request-id"].to_str().unwrap().to_owned();
    let other = get(&service, "/v2").headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(own != other && !own.is_empty());
    let found = post_with(&service, "/v1/classify", ("X-Request-Id", "mine-7"), Body::empty());
    assert_eq!(found.headers["x-request-id"], "mine-7");
    let strange = "x".repeat(500);
    let found = post_with(&service, "/v1/classify", ("X-Request-Id", &strange), Body::empty());
    assert_ne!(found.headers["x-request-id"], strange.as_str());
}

#[test]
fn services_that_cannot_be_are_refused() {
    let refused = |models: Vec<ModelSource>, options: Options, part: &str| {
        let error = Service::start(models, options).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let usual = Options::default;
    assert!(matches!(Service::start(vec![], usual()), Err(Error::NoModels)));
    refused(vec![source("a/b", 1.0)], usual(), "a/b");
    refused(vec![source("..", 1.0)], usual(), "..");
    refused(vec![source("a", 1.0).version(2), source("a", 1.0).version(2)], usual(), "twice");
    refused(vec![ModelSource::file("a", "nowhere.safetensors")], usual(), "nowhere.safetensors");
    refused(vec![source("a", 1.0)], usual().with(|options| options.batch = 0), "batch");
    refused(vec![source("a", 1.0)], usual().with(|options| options.queue = 0), "queue");
    refused(vec![source("a", 1.0)], usual().with(|options| options.tokens = vec![String::new()]), "token");
    let bad = ModelSource::new("bad", || Ok::<_, std::io::Error>(model(f32::INFINITY)));
    refused(vec![bad], usual(), "bad, version 1");
}
