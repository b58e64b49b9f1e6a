//! `residual quantize`, and networks in 8 bits in every other command.

use std::fs;

use serde_json::Value;

use crate::evaluating::mixed;
use crate::toy::Bench;

/// A network that was trained for a few epochs, in 8 bits.
fn quantised() -> Bench {
    let bench = mixed();
    bench.run("quantize --weights run --data data --out q.safetensors").ok();
    bench
}

fn number(found: &Value, path: &str) -> f64 {
    found.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {found}"))
}

#[test]
fn a_network_in_8_bits_answers_as_before_in_a_quarter_of_the_bytes() {
    let bench = quantised();
    let call = "quantize --weights run --data data --out again.safetensors";
    let text = bench.run(call).ok();
    for part in
        ["again.safetensors: ", "6 of 6 convolutions in 8 bits", "ranges by ", "top-1  ", "before", "stay"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // The same bytes for the same images.
    let bytes = |name: &str| fs::read(bench.path(name)).unwrap();
    assert_eq!(bytes("q.safetensors"), bytes("again.safetensors"));
    let found = Value::from(bench.run(&format!("{call} --json")).json().remove(0));
    assert_eq!(found["file"], "again.safetensors");
    assert_eq!(number(&found, "/bytes/1") as usize, bytes("again.safetensors").len());
    assert_eq!(found["judged"]["top1"][0], found["judged"]["top1"][1], "{found}");
    assert!(
        number(&found, "/judged/agreement") > 0.9 && number(&found, "/report/change/error") < 0.05,
        "{found}"
    );
    assert_eq!(found["report"]["layers"].as_array().map(Vec::len), Some(6));
    let eval =
        |weights: &str| bench.run(&format!("eval --weights {weights} --data data --json")).json().remove(0);
    let (float, integer) = (eval("run"), eval("q.safetensors"));
    assert_eq!(float["top1_correct"], integer["top1_correct"]);
    assert_ne!(float["loss"], integer["loss"]);
}

#[test]
fn every_command_that_asks_a_network_takes_one_in_8_bits() {
    let bench = quantised();
    let image = "data/test/azure/00.png";
    bench.run(&format!("predict --weights q.safetensors {image}")).ok();
    bench.run(&format!("predict --weights q.safetensors {image} --explain where.png")).ok();
    bench.run("embed data --weights q.safetensors --out q.parquet").ok();
    bench.run("bench infer --weights q.safetensors --seconds 0.1").ok();
    bench.run("calibrate --weights q.safetensors --data mixed --split test --out warm.safetensors").ok();
    bench.run(&format!("predict --weights warm.safetensors {image}")).ok();
    bench.run("convert q.safetensors same.safetensors").ok();
    bench.run("eval --weights same.safetensors --data data").ok();
    let told = bench.run("inspect q.safetensors").ok();
    assert!(told.contains("in 8 bits   6 of 6 convolutions, weights of"), "{told}");
    let told = bench.run("inspect q.safetensors --json").json().remove(0);
    assert_eq!(told["quantised"]["convolutions"], serde_json::json!([6, 6]));
}

#[test]
fn a_graph_in_8_bits_goes_out_and_comes_back_in_float32() {
    let bench = quantised();
    bench.run("export --weights q.safetensors --out q.onnx").ok();
    let graph = fs::read(bench.path("q.onnx")).unwrap();
    let has = |text: &str| graph.windows(text.len()).any(|found| found == text.as_bytes());
    assert!(has("QuantizeLinear") && has("DequantizeLinear") && has("image.rounded"));
    let run = bench.run("import q.onnx --out back.safetensors");
    assert!(run.stderr.contains("a network in 8 bits") && run.stderr.contains("roundings"), "{run:?}");
    run.ok();
    let eval =
        |weights: &str| bench.run(&format!("eval --weights {weights} --data data --json")).json().remove(0);
    let (integer, float) = (eval("q.safetensors"), eval("back.safetensors"));
    assert_eq!(integer["top1_correct"], float["top1_correct"]);
    let loss = |of: &serde_json::Map<String, Value>| of["loss"].as_f64().unwrap();
    assert!((loss(&integer) - loss(&float)).abs() < 0.02, "{integer:?} {float:?}");
    // The same integers come of it again.
    let told = |weights: &str| bench.run(&format!("inspect {weights}")).ok();
    bench.run("quantize --weights back.safetensors --data data --out again.safetensors").ok();
    assert!(
        told("again.safetensors").contains("6 of 6 convolutions")
            && !told("back.safetensors").contains("8 bits")
    );
}

#[test]
fn what_needs_floats_refuses_a_network_in_8_bits() {
    let bench = quantised();
    for call in [
        "train --model toy.toml --data data --epochs 1 --init q.safetensors --out other",
        "finetune --from q.safetensors --data data --out other",
        "export --weights q.safetensors --format torch --out q.pth",
        "convert q.safetensors other.safetensors --names timm",
        "average q.safetensors q.safetensors --out other.safetensors",
        "quantize --weights q.safetensors --data data --out other.safetensors",
    ] {
        bench.run(call).refused(&["in 8 bits", "help:"]);
    }
}

#[test]
fn pictures_without_labels_will_do() {
    let bench = quantised();
    fs::create_dir(bench.path("loose")).unwrap();
    for index in 0..4 {
        for (number, class) in ["azure", "brick"].iter().enumerate() {
            let from = bench.path(&format!("data/train/{class}/{index:02}.png"));
            fs::copy(from, bench.path(&format!("loose/{number}{index}.png"))).unwrap();
        }
    }
    let call = "quantize --weights run --data loose --out loose.safetensors";
    let text = bench.run(&format!("{call} --images 5")).ok();
    assert!(text.contains("about 3 images stay") && !text.contains("top-1"), "{text}");
    // All of them calibrate, so that none is left to compare the networks on.
    let text = bench.run(&format!("{call} --images 100")).ok();
    assert!(text.contains("on the images that decided"), "{text}");
    fs::write(bench.path("loose/broken.png"), "no picture").unwrap();
    bench.run(call).refused(&["broken.png"]);
    bench.run(&format!("{call} --skip-bad")).ok();
}

#[test]
fn a_layer_that_changes_too_much_stays_in_float32() {
    let bench = quantised();
    let call = "quantize --weights run --data data --most-error 0 --out f.safetensors";
    let text = bench.run(call).ok();
    assert!(
        text.contains("0 of 6 convolutions") && text.contains("stem.conv0 in float32: alone it"),
        "{text}"
    );
    let found = Value::from(bench.run(&format!("{call} --json")).json().remove(0));
    assert_eq!(found["report"]["layers"][0]["quantised"], false);
    bench.run("eval --weights f.safetensors --data data").ok();
}

#[test]
fn what_cannot_be_quantised_is_refused() {
    let bench = quantised();
    let call = "quantize --weights run --data data";
    bench.run(&format!("{call} --out q.pth")).refused(&["safetensors"]);
    bench.run(&format!("{call} --out run/best.safetensors")).refused(&["is the file to read as well"]);
    bench.run(&format!("{call} --images 0 --out o.safetensors")).refused(&["from 1 to"]);
    bench.run(&format!("{call} --weight-bits 4 --out o.safetensors")).refused(&["7, 8"]);
    bench.run(&format!("{call} --most-error=-1 --out o.safetensors")).refused(&["percentage"]);
    bench.run("quantize --weights run --data nowhere --out o.safetensors").refused(&["nowhere"]);
    fs::create_dir(bench.path("empty")).unwrap();
    bench.run("quantize --weights run --data empty --out o.safetensors").refused(&["empty"]);
    assert!(!bench.path("o.safetensors").exists());
}
