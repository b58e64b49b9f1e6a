//! `residual eval` with its figures and its page, and `residual calibrate`.

use std::fs;

use residual::weights::Model;
use serde_json::Value;

use crate::toy::{Bench, hashes};

/// A network that was trained for a few epochs, and images of which some lie in the other class's folder.
pub(crate) fn mixed() -> Bench {
    let bench = Bench::new();
    bench.run("train --model toy.toml --data data --epochs 20 --lr 0.1 --label-smoothing 0 --batch-size 5 --out run").ok();
    bench.images("mixed", &["azure", "brick"], 1, 24);
    for index in 0..7 {
        let name = format!("{index:02}.png");
        let folder = bench.path("mixed/test");
        fs::rename(folder.join("azure").join(&name), folder.join("brick").join(format!("moved-{name}")))
            .unwrap();
    }
    bench
}

#[test]
fn figures_have_their_intervals() {
    let bench = mixed();
    let found = Value::from(bench.run("eval --weights run --data mixed --json").json().remove(0));
    let number = |path: &str| found.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(number("/total"), 48.0);
    let (low, top1, high) = (number("/top1/low"), number("/top1/value"), number("/top1/high"));
    assert!(low < top1 && top1 < high && top1 == number("/top1_correct") / 48.0, "{found}");
    assert!(number("/macro_f1/low") <= number("/macro_f1/value"), "{found}");
    let classes = found["classes"].as_array().unwrap();
    let images: Vec<u64> = classes.iter().map(|class| class["images"].as_u64().unwrap()).collect();
    assert_eq!((images, classes[0]["class"].as_str()), (vec![17, 31], Some("azure")));
    // Moved images look like their old class.
    assert_eq!(
        (&found["confused"][0]["label"], &found["confused"][0]["answer"]),
        (&"brick".into(), &"azure".into())
    );
    let text = bench.run("eval --weights run --data mixed").ok();
    assert!(text.contains("(95%: ") && text.contains("ECE") && text.contains("F1"), "{text}");
}

#[test]
fn views_of_an_image_are_averaged() {
    let bench = mixed();
    let losses: Vec<f64> = ["none", "flip", "flip+crops"]
        .map(|tta| {
            let found =
                bench.run(&format!("eval --weights run --data mixed --tta {tta} --json")).json().remove(0);
            assert_eq!(found["tta"], tta);
            found["loss"].as_f64().unwrap()
        })
        .to_vec();
    assert!(losses[0] != losses[1] && losses[1] != losses[2], "{losses:?}");
    let text = bench.run("eval --weights run --data mixed --tta flip+crops").ok();
    assert!(text.contains("mean of 10 views"), "{text}");
    bench.run("eval --weights run --data mixed --tta twice").refused(&["flip+crops"]);
}

#[test]
fn a_report_replaces_reports_alone() {
    let bench = mixed();
    let call = "eval --weights run --data mixed --report";
    bench.run(&format!("{call} eval.html")).ok();
    let page = fs::read_to_string(bench.path("eval.html")).unwrap();
    for part in
        ["Accuracy", "azure", "Most confused", "Worst images", "Best images", "data:image/png;base64,"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("residual eval --weights run --data mixed --report eval.html"));
    bench.run(&format!("{call} eval.html")).ok();
    bench.run(&format!("{call} eval.txt")).refused(&["eval.txt", ".html"]);
    fs::write(bench.path("mine.html"), "<p>mine</p>").unwrap();
    bench.run(&format!("{call} mine.html")).refused(&["mine.html", "another name"]);
    assert_eq!(fs::read_to_string(bench.path("mine.html")).unwrap(), "<p>mine</p>");
}

#[test]
fn a_temperature_is_kept_and_used() {
    let bench = mixed();
    let before = hashes(&bench.path("run/best.safetensors"));
    let eval = |weights: &str| {
        let found = bench.run(&format!("eval --weights {weights} --data mixed --json")).json().remove(0);
        ["loss", "ece", "top1_correct"].map(|name| found[name].as_f64().unwrap())
    };
    let [loss, _, correct] = eval("run");
    let top = |weights: &str| {
        let answer =
            bench.run(&format!("predict --weights {weights} data/test/azure/00.png --json")).json().remove(0);
        answer["top"][0].clone()
    };
    let cold = top("run");
    let call = "calibrate --weights run --data mixed --split test";
    let found = bench.run(&format!("{call} --out warm.safetensors --json")).json().remove(0);
    let temperature = found["temperature"].as_f64().unwrap();
    assert!((temperature - 1.0).abs() > 0.05, "{found:?}");
    assert_eq!(found["images"], 48);
    let [calibrated, _, same] = eval("warm.safetensors");
    assert!(calibrated < loss && same == correct, "{loss}, {calibrated}");
    assert_eq!(Model::open(bench.path("warm.safetensors")).unwrap().temperature(), Some(temperature));
    let inspected = bench.run("inspect warm.safetensors").ok();
    assert!(inspected.contains("temperature "), "{inspected}");
    assert_eq!(bench.run("inspect warm.safetensors --json").json()[0]["temperature"], found["temperature"]);
    assert!(!bench.run("inspect run").ok().contains("temperature"));
    // Into the checkpoint itself, of which everything else stays; again from it, to the same temperature.
    bench.run(call).ok();
    assert_eq!(hashes(&bench.path("run/best.safetensors")), before);
    assert_eq!(eval("run"), eval("warm.safetensors"));
    assert_eq!(bench.run(&format!("{call} --json")).json().remove(0)["temperature"], found["temperature"]);
    let warm = top("run");
    assert_eq!(cold["class"], warm["class"]);
    let [before, after] = [&cold, &warm].map(|answer| answer["probability"].as_f64().unwrap());
    // Divided by less than 1 the logits become surer.
    assert_eq!(after > before, temperature < 1.0, "{cold} {warm}");
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    let bench = mixed();
    // All are right, and there are few.
    bench.run("calibrate --weights run --data data --split test").refused(&["8 images", "help:"]);
    bench.run("calibrate --weights run --data data --split train").refused(&["all right"]);
    bench.run("calibrate --weights run --data mixed --out warm.pth").refused(&["safetensors"]);
}
