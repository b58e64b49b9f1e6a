//! More requests than there is room for, and answers that would come too late.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::given::{answer, get, offline, picture, post, run, service};

fn classify(number: u32) -> Request<Body> {
    Request::post("/v1/classify").body(picture(number, [40, 40]).into()).unwrap()
}

#[test]
fn what_is_accepted_is_answered_rightly_and_the_rest_is_told_to_come_back() {
    let (service, classifier) = (service(|options| options.queue = 3), offline(1.0));
    let answers = run(async {
        let mut running = tokio::task::JoinSet::new();
        for number in 0..24 {
            let service = service.clone();
            running.spawn(async move { (number, answer(&service, classify(number)).await) });
        }
        running.join_all().await
    });
    let mut counts = [0, 0];
    for (number, answer) in answers {
        match answer.status.as_u16() {
            200 => {
                let wanted = classifier.classify(picture(number, [40, 40])).unwrap();
                assert_eq!(answer.json()["top"][0]["probability"], wanted.best().probability);
                assert_eq!(answer.json()["top"][0]["class"], wanted.best().class);
                counts[0] += 1;
            }
            503 => {
                let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=60).contains(&wait));
                counts[1] += 1;
            }
            other => panic!("{other}: {answer:?}"),
        }
    }
    assert!(counts[0] >= 3 && counts[1] >= 1, "{counts:?}");
    // No place is lost.
    let text = String::from_utf8(get(&service, "/metrics").bytes).unwrap();
    assert!(text.contains("residual_accepted_images 0\n"), "{text}");
    for number in 0..6 {
        run(answer(&service, classify(number))).ok();
    }
}

#[test]
fn requests_meet_in_batches() {
    let service = service(|options| (options.batch, options.max_delay) = (8, Duration::from_secs(5)));
    let answers = run(async {
        let mut running = tokio::task::JoinSet::new();
        for number in 0..16 {
            let service = service.clone();
            running.spawn(async move { answer(&service, classify(number)).await });
        }
        running.join_all().await
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    // All sixteen were on the way when the first was decoded: nobody goes alone, and nobody waits for who does not come.
    let text = String::from_utf8(get(&service, "/metrics").bytes).unwrap();
    let name = "residual_batch_images_count{model=\"photos\",version=\"1\"} ";
    let batches = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(batches, "2", "{text}");
}

#[test]
fn a_late_answer_is_none() {
    let service = service(|options| options.deadline = Duration::from_nanos(1));
    post(&service, "/v1/classify", picture(1, [32, 32])).refused(504, &["deadline"]);
    let text = String::from_utf8(get(&service, "/metrics").bytes).unwrap();
    assert!(text.contains("residual_accepted_images 0\n"), "{text}");
}

#[test]
fn more_images_than_places_are_no_request() {
    let service = service(|options| options.queue = 2);
    let body = serde_json::json!({ "inputs": [{
        "name": "pixels", "datatype": "UINT8", "shape": [3, 1, 1, 3], "data": [0, 0, 0, 1, 1, 1, 2, 2, 2],
    }]});
    let found = post(&service, "/v2/models/photos/infer", body.to_string());
    found.refused(400, &["3 images", "2 places"]);
}

#[test]
fn bodies_beyond_the_memory_for_all_are_told_to_come_back() {
    let service = service(|options| (options.body_limit, options.buffered) = (4000, 4000));
    let small = picture(1, [4, 4]);
    assert!(small.len() < 1000);
    let found = run(async {
        // A body that has begun and does not end holds what has come of it.
        let (mut sender, body) = channel();
        sender.send(vec![0; 3500]);
        let first = tokio::spawn({
            let service = service.clone();
            async move { answer(&service, Request::post("/v1/classify").body(body).unwrap()).await }
        });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let second = answer(&service, Request::post("/v1/classify").body(vec![0; 600].into()).unwrap()).await;
        drop(sender);
        (first.await.unwrap(), second)
    });
    found.0.refused(400, &["image"]);
    found.1.refused(503, &["capacity"]);
    let after: Value = post(&service, "/v1/classify", small).ok();
    assert_eq!(after["top"][0]["probability"].as_f64().map(f64::is_finite), Some(true));
}

/// A body whose parts are sent one by one.
fn channel() -> (Sender, Body) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Vec<u8>>();
    (Sender(sender), Body::new(Parts(receiver)))
}

struct Sender(tokio::sync::mpsc::UnboundedSender<Vec<u8>>);

impl Sender {
    fn send(&mut self, bytes: Vec<u8>) {
        self.0.send(bytes).unwrap();
    }
}

struct Parts(tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>);

impl hyper::body::Body for Parts {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|bytes| Ok(hyper::body::Frame::data(bytes.into()))))
    }
}
