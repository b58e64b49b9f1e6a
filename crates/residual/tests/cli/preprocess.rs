//! Flags of the preprocessing, specifications to start from, and `verify --preprocess`.

use residual::arch::families::family;
use residual::arch::{NetSpec, Preprocess};
use residual::data::{Preprocessor, decode};
use residual::weights::{StateDict, Tensor, safetensors};

use crate::toy::{Bench, picture};

const PREDICT: &str = "predict --weights run/best.safetensors data/test/azure/00.png --json";

fn probability(bench: &Bench, flags: &str) -> f64 {
    let answer = bench.run(&format!("{PREDICT} {flags}")).json().remove(0);
    answer["top"][0]["probability"].as_f64().unwrap()
}

#[test]
fn flags_replace_the_models_preprocessing() {
    let bench = Bench::new().trained();
    let usual = probability(&bench, "");
    // The values of the model itself change nothing.
    assert_eq!(probability(&bench, "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"), usual);
    for flags in
        ["--mean 0.3", "--std 0.5,0.4,0.3", "--resize 12 --crop 8", "--resize 6 --crop 8x8 --fill mean"]
    {
        assert_ne!(probability(&bench, flags), usual, "{flags}");
    }
    let enlarged = ["nearest", "bicubic"]
        .map(|name| probability(&bench, &format!("--resize 11 --crop 8 --interpolation {name}")));
    assert_ne!(enlarged[0], enlarged[1]);
    let eval = |flags: &str| {
        let call = format!("eval --weights run/best.safetensors --data data --json {flags}");
        bench.run(&call).json()[0]["loss"].as_f64().unwrap()
    };
    assert_ne!(eval("--mean 0.3"), eval(""));
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let bench = Bench::new().trained();
    for (flags, parts) in [
        ("--mean 0.5,0.5", &["--mean: 2 numbers for 3 channels"][..]),
        ("--mean x", &["--mean"]),
        ("--std 0", &["std"]),
        ("--resize fit:3x3", &["--resize", "cover:HxW"]),
        ("--crop 0", &["crop"]),
        ("--resize 100000", &["resize"]),
        ("--interpolation cubic", &["bicubic"]),
        ("--test-size", &["--test-size", "none of its own"]),
    ] {
        bench.run(&format!("{PREDICT} {flags}")).refused(parts);
    }
}

#[test]
fn a_summary_is_a_specification_to_start_from() {
    let bench = Bench::new();
    let toml = bench.run("summary resnet50.a1_in1k --toml").ok();
    assert_eq!(NetSpec::from_toml(&toml).unwrap(), family("resnet50.a1_in1k").unwrap());
    let small = bench.run("summary small --toml --input 1x28x28").ok();
    assert_eq!(NetSpec::from_toml(&small).unwrap(), family("small").unwrap().with_input([1, 28, 28]));
    bench.run("summary small --toml --input 3x0x0").refused(&["0"]);
}

/// A folder with an image and what this preprocessing makes of it, changed by `change`.
fn folder(bench: &Bench, name: &str, preprocess: &Preprocess, change: impl FnOnce(&mut Vec<f32>)) {
    let folder = bench.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    let image = folder.join("photo.png");
    picture(1, 3, 300).save(&image).unwrap();
    let pixels = decode(&std::fs::read(image).unwrap(), "photo.png").unwrap();
    let (mut values, shape) = Preprocessor::new(preprocess).unwrap().apply(pixels, "photo.png").unwrap();
    change(&mut values);
    let tensor = Tensor::new(shape.to_vec(), values).unwrap();
    let state = StateDict::from_tensors([("image".to_owned(), tensor)]).unwrap();
    safetensors::write(folder.join("photo.safetensors"), &state).unwrap();
}

#[test]
fn tensors_of_another_program_are_compared() {
    let bench = Bench::new();
    let preprocess = family("resnet50.a1_in1k").unwrap().preprocess;
    let level = 1.0 / 255.0 / preprocess.std[0];
    folder(&bench, "all/same", &preprocess, |_| {});
    folder(&bench, "all/near", &preprocess, |values| {
        values.iter_mut().take(50_000).for_each(|v| *v += 0.9 * level)
    });
    folder(&bench, "far", &preprocess, |values| values.iter_mut().take(500).for_each(|v| *v += 3.0 * level));
    for name in ["all/same", "all/near", "far"] {
        std::fs::write(bench.path(name).join("preprocess.json"), r#"{"model": "resnet50.a1_in1k"}"#).unwrap();
    }
    let lines = bench.run("verify --preprocess all --json").json();
    assert_eq!(lines.len(), 2);
    let near = lines[0]["largest"].as_f64().unwrap();
    assert!(
        (near - 0.9).abs() < 1e-3 && lines[0]["equal"] == false && lines[1]["equal"] == true,
        "{lines:?}"
    );
    let run = bench.run("verify --preprocess far");
    assert!(
        run.code == Some(1) && run.stdout.contains("FAILED") && run.stdout.contains("largest 3.00"),
        "{run:?}"
    );
    // The preprocessing itself, in place of a name.
    let written = serde_json::json!({ "preprocess": preprocess }).to_string();
    std::fs::write(bench.path("all/same/preprocess.json"), written).unwrap();
    assert!(bench.run("verify --preprocess all/same").ok().contains("equal to the bit"));
}

#[test]
fn folders_that_say_too_little_are_refused() {
    let bench = Bench::new();
    let preprocess = family("resnet18").unwrap().preprocess;
    bench.run("verify --preprocess data").refused(&["no preprocess.json", "resnet50.a1_in1k"]);
    folder(&bench, "one", &preprocess, |_| {});
    for (text, part) in [
        ("{}", "expected `model` or `preprocess`"),
        (r#"{"model": "resnet18.a9"}"#, "no tag"),
        (r#"{"modle": "resnet18"}"#, "modle"),
        (r#"{"model": "resnet18.a3_in1k"}"#, "expected [3, 160, 160]"),
    ] {
        std::fs::write(bench.path("one/preprocess.json"), text).unwrap();
        bench.run("verify --preprocess one").refused(&["one/", part]);
    }
    std::fs::remove_file(bench.path("one/photo.safetensors")).unwrap();
    std::fs::write(bench.path("one/preprocess.json"), r#"{"model": "resnet18"}"#).unwrap();
    bench.run("verify --preprocess one").refused(&["no images with a tensor"]);
}
