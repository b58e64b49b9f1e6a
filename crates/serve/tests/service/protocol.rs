//! The Open Inference Protocol over HTTP, in JSON and with binary tensors.

use axum::body::Body;
use axum::http::Request;
use residual_serve::Service;
use serde_json::{Value, json};

use crate::given::{Answer, answer, get, offline, picture, post, run, service};

const INFER: &str = "/v2/models/photos/infer";

fn infer(service: &Service, body: &Value) -> Answer {
    post(service, INFER, body.to_string())
}

/// A request with binary tensors.
fn infer_binary(service: &Service, json: &Value, tail: &[u8]) -> Answer {
    let json = json.to_string();
    let request = Request::post(INFER)
        .header("Inference-Header-Content-Length", json.len())
        .body(Body::from([json.as_bytes(), tail].concat()));
    run(answer(service, request.unwrap()))
}

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn bytes_element(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |bits: &[u8]| {
        let value = (0..6).fold(0, |value, bit| value << 1 | bits.get(bit).copied().unwrap_or(0));
        char::from(LETTERS[usize::from(value)])
    };
    bits.chunks(6).map(letter).collect()
}

#[test]
fn the_server_and_its_models_are_described() {
    let service = service(|_| {});
    assert_eq!(get(&service, "/v2").ok()["name"], "residual");
    assert_eq!(get(&service, "/v2/health/live").ok()["live"], true);
    assert_eq!(get(&service, "/v2/health/ready").ok()["ready"], true);
    let wanted = json!({
        "name": "photos", "versions": ["1"], "platform": "residual",
        "inputs": [
            { "name": "tensor", "datatype": "FP32", "shape": [-1, 3, 32, 32] },
            { "name": "pixels", "datatype": "UINT8", "shape": [-1, -1, -1, 3] },
            { "name": "encoded", "datatype": "BYTES", "shape": [-1] },
        ],
        "outputs": [
            { "name": "logits", "datatype": "FP32", "shape": [-1, 3] },
            { "name": "probabilities", "datatype": "FP32", "shape": [-1, 3] },
            { "name": "embedding", "datatype": "FP32", "shape": [-1, 64] },
        ],
    });
    for path in ["/v2/models/photos", "/v2/models/photos/versions/1"] {
        assert_eq!(get(&service, path).ok(), wanted);
        assert_eq!(get(&service, &format!("{path}/ready")).ok()["ready"], true);
    }
    get(&service, "/v2/models/cats").refused(404, &["cats"]);
    get(&service, "/v2/models/photos/versions/2/ready").refused(404, &["2"]);
    service.close();
    assert_eq!(get(&service, "/v2/health/live").status, 200);
    assert_eq!(get(&service, "/v2/health/ready").status, 503);
    assert_eq!(get(&service, "/v2/models/photos/ready").status, 503);
}

#[test]
fn every_kind_of_input_gets_one_answer() {
    let (service, classifier) = (service(|_| {}), offline(1.0));
    let files = [picture(1, [32, 32]), picture(2, [32, 32])];
    let pixels: Vec<u8> =
        files.iter().flat_map(|file| image::load_from_memory(file).unwrap().to_rgb8().into_raw()).collect();
    let wanted: Vec<f32> =
        files.iter().flat_map(|file| classifier.classify(file).unwrap().logits().to_vec()).collect();

    let input = |name: &str, datatype: &str, shape: Value, data: Value| json!({ "id": "7", "inputs": [{ "name": name, "datatype": datatype, "shape": shape, "data": data }] });
    let encoded: Vec<String> = files.iter().map(|file| base64(file)).collect();
    let nested: Vec<&[u8]> = pixels.chunks(96).collect();
    for body in [
        input("pixels", "UINT8", json!([2, 32, 32, 3]), json!(pixels)),
        input("pixels", "UINT8", json!([2, 32, 32, 3]), json!(nested)),
        input("encoded", "BYTES", json!([2]), json!(encoded)),
    ] {
        let found = infer(&service, &body).ok();
        assert_eq!(
            (&found["model_name"], &found["model_version"], &found["id"]),
            (&json!("photos"), &json!("1"), &json!("7"))
        );
        assert_eq!(found["outputs"][0]["name"], "logits");
        assert_eq!(found["outputs"][0]["shape"], json!([2, 3]));
        assert_eq!(floats(&found["outputs"][0]["data"]), wanted);
        let sums = floats(&found["outputs"][1]["data"]);
        assert!(sums.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5), "{sums:?}");
    }

    // The same with binary tensors, both ways.
    let size = |name: &str, datatype: &str, shape: Value, size: usize| {
        json!({
            "inputs": [{ "name": name, "datatype": datatype, "shape": shape, "parameters": { "binary_data_size": size } }],
            "outputs": [{ "name": "logits", "parameters": { "binary_data": true } }, { "name": "embedding" }],
        })
    };
    let elements: Vec<u8> = files.iter().flat_map(|file| bytes_element(file)).collect();
    for (json, tail) in [
        (size("pixels", "UINT8", json!([2, 32, 32, 3]), pixels.len()), &pixels),
        (size("encoded", "BYTES", json!([2]), elements.len()), &elements),
    ] {
        let found = infer_binary(&service, &json, tail);
        let length: usize =
            found.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
        let head: Value = serde_json::from_slice(&found.bytes[..length]).unwrap();
        assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 24);
        let tail: Vec<f32> = found.bytes[length..]
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert_eq!(tail, wanted);
        assert_eq!(head["outputs"][1]["shape"], json!([2, 64]));
        assert_eq!(floats(&head["outputs"][1]["data"])[..64], classifier.embed(&files[0]).unwrap());
    }
}

#[test]
fn tensors_are_taken_as_they_are() {
    let (service, classifier) = (service(|_| {}), offline(1.0));
    let values: Vec<f32> = (0..3072).map(|place| (place as f32 * 0.37).sin()).collect();
    let tensor = residual_weights::Tensor::new(vec![3, 32, 32], values.clone()).unwrap();
    let wanted = classifier.classify(&tensor).unwrap().logits().to_vec();
    let shape = json!([1, 3, 32, 32]);
    let body =
        json!({ "inputs": [{ "name": "tensor", "datatype": "FP32", "shape": shape, "data": values }] });
    assert_eq!(floats(&infer(&service, &body).ok()["outputs"][0]["data"]), wanted);
    let json = json!({
        "inputs": [{ "name": "tensor", "datatype": "FP32", "shape": shape, "parameters": { "binary_data_size": 12288 } }],
    });
    let tail: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(floats(&infer_binary(&service, &json, &tail).ok()["outputs"][0]["data"]), wanted);
}

#[test]
fn classes_are_named_where_a_client_asks_for_them() {
    let (service, classifier) = (service(|_| {}), offline(1.0));
    let file = picture(4, [32, 32]);
    let body = json!({
        "inputs": [{ "name": "encoded", "datatype": "BYTES", "shape": [1], "data": [base64(&file)] }],
        "outputs": [{ "name": "probabilities", "parameters": { "classification": 2 } }],
    });
    let found = infer(&service, &body).ok();
    let prediction = classifier.classify(&file).unwrap();
    let wanted: Vec<String> = prediction
        .top(2)
        .map(|score| format!("{:.6}:{}:{}", score.probability as f32, score.index, score.class))
        .collect();
    assert_eq!(found["outputs"][0]["data"], json!(wanted));
    assert_eq!(
        (&found["outputs"][0]["datatype"], &found["outputs"][0]["shape"]),
        (&json!("BYTES"), &json!([1, 2]))
    );
}

#[test]
fn what_is_no_request_is_said() {
    let service = service(|_| {});
    let one = |name: &str, datatype: &str, shape: Value, data: Value| json!({ "inputs": [{ "name": name, "datatype": datatype, "shape": shape, "data": data }] });
    let pixels = |shape: Value, data: Value| one("pixels", "UINT8", shape, data);
    let refused = |body: &Value, part: &str| infer(&service, body).refused(400, &[part]);
    post(&service, INFER, "{").refused(400, &["JSON"]);
    refused(&json!({}), "inputs");
    refused(&json!({ "inputs": [] }), "0 inputs");
    refused(&one("tensor", "INT64", json!([1]), json!([1])), "INT64");
    refused(&one("tensor", "UINT8", json!([1, 1, 1, 3]), json!([1, 2, 3])), "`pixels`");
    refused(&one("tensor", "FP32", json!([1, 3, 31, 32]), json!([1])), "[images, 3, 32, 32]");
    refused(&one("tensor", "FP32", json!([1, 3, 32, 32]), json!([1])), "3072");
    refused(&one("tensor", "FP32", json!([1, 3, 32, 32]), json!(["a"])), "FP32");
    refused(&pixels(json!([1, 1, 3]), json!([1, 2, 3])), "[images, height, width, channels]");
    refused(&pixels(json!([]), json!([])), "shape");
    refused(&pixels(json!([0, 1, 1, 3]), json!([])), "shape");
    refused(&pixels(json!([-1, 1, 1, 3]), json!([1, 2, 3])), "shape");
    refused(&pixels(json!([9_000_000_000_000_i64, 1, 1, 3]), json!([1, 2, 3])), "shape");
    refused(
        &pixels(json!([1, 9_000_000_000_000_i64, 9_000_000_000_000_i64, 3]), json!([1, 2, 3])),
        "3 values",
    );
    refused(&pixels(json!([1, 1, 1, 3]), json!([1, 2, 256])), "UINT8");
    refused(&pixels(json!([1, 1, 1, 3]), json!([1, 2, 0.5])), "UINT8");
    refused(&pixels(json!([1, 1, 1, 3]), json!([1, 2, "a"])), "JSON");
    refused(&pixels(json!([1, 1, 1, 77]), json!(vec![0; 77])), "channel");
    refused(&one("encoded", "BYTES", json!([1]), json!(["~"])), "base64");
    refused(&one("encoded", "BYTES", json!([2]), json!(["QUJD"])), "2");
    refused(&one("encoded", "BYTES", json!([1]), json!(["QUJD"])), "image");
    let with = |mut body: Value, key: &str, value: Value| {
        body[key] = value;
        body
    };
    let good = pixels(json!([1, 1, 1, 3]), json!([1, 2, 3]));
    infer(&service, &good).ok();
    refused(&with(good.clone(), "outputs", json!([{ "name": "masks" }])), "masks");
    let classes = json!([{ "name": "embedding", "parameters": { "classification": 3 } }]);
    refused(&with(good, "outputs", classes), "classification");

    let sized = |size: Value| json!({ "inputs": [{ "name": "encoded", "datatype": "BYTES", "shape": [1], "parameters": { "binary_data_size": size } }] });
    let binary =
        |json: Value, tail: &[u8], part: &str| infer_binary(&service, &json, tail).refused(400, &[part]);
    binary(sized(json!(8)), &[0; 4], "4 bytes left");
    binary(sized(json!(4)), &[0; 5], "behind the last");
    binary(sized(json!(-4)), &[0; 4], "binary_data_size");
    binary(sized(json!(3)), &[0; 3], "elements");
    binary(sized(json!(8)), &[255, 255, 255, 255, 0, 0, 0, 0], "4294967295 bytes");
    binary(sized(json!(8)), &[0; 8], "elements");
    let request = Request::post(INFER).header("Inference-Header-Content-Length", "99").body(Body::from("{}"));
    run(answer(&service, request.unwrap())).refused(400, &["99"]);
    let request = Request::post(INFER).header("Inference-Header-Content-Length", "x").body(Body::from("{}"));
    run(answer(&service, request.unwrap())).refused(400, &["Inference-Header-Content-Length"]);
}
