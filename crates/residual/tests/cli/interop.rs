//! `residual export` and `residual import`.

use residual::Model;

use crate::toy::Bench;

#[test]
fn a_run_goes_out_as_a_graph_and_comes_back() {
    let bench = Bench::new().trained();
    let wrote = bench.run("export --weights run --out toy.onnx").ok();
    assert!(wrote.contains("toy.onnx: opset 18, batch norms folded"), "{wrote}");
    let read = bench.run("import toy.onnx --out back.safetensors").ok();
    assert!(read.contains("back.safetensors: ") && read.contains("2 classes"), "{read}");
    let logits = |weights: &str| {
        let call = format!("predict --weights {weights} data/test --json --logits");
        let lines = bench.run(&call).json();
        let numbers = lines.iter().flat_map(|line| line["logits"].as_array().unwrap().clone());
        numbers.map(|number| number.as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let (before, after) = (logits("run"), logits("back.safetensors"));
    let largest = before.iter().fold(0f64, |largest, logit| largest.max(logit.abs()));
    assert!(before.len() > 2 && before.len() == after.len());
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= 1e-5 * largest), "{before:?} {after:?}");
    // With its norms it is the same to the bit, classes and preprocessing included.
    bench.run("export --weights run --out toy.onnx --training --softmax").ok();
    bench.run("import toy.onnx --out back.safetensors").ok();
    let [run, back] =
        ["run/best.safetensors", "back.safetensors"].map(|name| Model::open(bench.path(name)).unwrap());
    assert_eq!(run, back);
}

#[test]
fn a_run_goes_out_as_state_dicts() {
    let bench = Bench::new().trained();
    for (format, name) in [("torch", "toy.pth"), ("safetensors", "toy.safetensors")] {
        bench.run(&format!("export --weights run --format {format} --out {name}")).ok();
        let written = residual::weights::read(bench.path(name)).unwrap();
        let model = Model::open(bench.path("run/best.safetensors")).unwrap();
        assert!(written.iter().eq(model.to_state_dict(model.spec().naming).unwrap().iter()), "{name}");
    }
}

#[test]
fn what_cannot_go_out_or_in_is_refused() {
    let bench = Bench::new().trained();
    for (call, words) in [
        ("export --weights run --out toy.pth", "call it toy.onnx"),
        ("export --weights run --format torch --out toy.onnx", "call it toy.pth"),
        ("export --weights run --format torch --out toy.pth --softmax", "--format onnx"),
        ("export --weights run --out toy.onnx --names timm", "--names"),
        ("export --weights run --format transformers --out toy", "transformers has no way to say"),
        ("export --weights run --out toy.onnx --preprocess --resize 9 --interpolation lanczos", "lanczos"),
        ("import run/best.safetensors --out x.safetensors", "not an ONNX file"),
        ("import none.onnx --out x.safetensors", "none.onnx"),
        ("import data/test/azure/00.png --out x.safetensors", "not an ONNX file"),
        ("import run/best.safetensors --out x.onnx", "x.safetensors"),
    ] {
        bench.run(call).refused(&[words, "error: "]);
    }
    for name in ["toy.pth", "toy.onnx", "toy", "x.safetensors"] {
        assert!(!bench.path(name).exists(), "{name}");
    }
}
