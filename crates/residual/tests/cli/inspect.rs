//! `inspect`, and bare weights that need no `--model`.

use std::fs;

use residual::arch::families::family;
use residual::arch::{BlockSpec, HeadSpec, Naming, NetSpec, Shortcut, StageSpec, StemSpec, names::names};
use residual::weights::{StateDict, Tensor, safetensors};

use crate::toy::{Bench, Run};

fn weights(spec: &NetSpec, prefix: &str) -> StateDict {
    let tensors = names(spec, Naming::Torchvision).into_iter().enumerate().map(|(index, tensor)| {
        let count: usize = tensor.shape.iter().product();
        let values = (0..count).map(|at| 0.01 * ((index + at) % 7) as f32).collect();
        (format!("{prefix}{}", tensor.name), Tensor::new(tensor.shape, values).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

/// A network of no family.
fn own() -> NetSpec {
    let first =
        BlockSpec::basic(6).with(|block| (block.stride, block.shortcut) = (2, Shortcut::projection(6, 2)));
    let stages = vec![StageSpec::new(vec![BlockSpec::basic(4)]), StageSpec::new(vec![first])];
    NetSpec::new("own", [3, 32, 32], StemSpec::cifar(4), stages, HeadSpec::new(2))
}

/// Lines fit the terminal.
fn narrow(run: Run) -> String {
    for line in run.stdout.lines().chain(run.stderr.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    run.ok()
}

#[test]
fn a_family_member_is_told_with_what_wraps_it() {
    let bench = Bench::new();
    let spec = family("cifar_resnet20").unwrap().with_classes(2);
    safetensors::write(bench.path("net.safetensors"), &weights(&spec, "module.backbone.")).unwrap();
    let text = narrow(bench.run("inspect net.safetensors"));
    for part in [
        "cifar_resnet20, by its tensors",
        "cifar_plain20",
        "3x3 conv 16",
        "prefix `module.backbone.`",
        "float32",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let facts = bench.run("inspect net.safetensors --json").json().remove(0);
    assert_eq!(
        (&facts["family"], &facts["classes"], &facts["kind"]),
        (&"cifar_resnet20".into(), &2.into(), &"family".into())
    );
    assert_eq!((&facts["prefix"], &facts["naming"]), (&"module.backbone.".into(), &"torchvision".into()));
    assert_eq!(facts["number_formats"], serde_json::json!(["float32"]));
}

#[test]
fn a_checkpoint_says_itself_what_it_is() {
    let bench = Bench::new().trained();
    let text = narrow(bench.run("inspect run/best.safetensors"));
    assert!(text.contains("toy, a checkpoint that says so") && text.contains("with names"), "{text}");
    assert_eq!(bench.run("inspect run --json").json().remove(0)["kind"], "checkpoint");
}

#[test]
fn an_own_specification_is_written_and_can_be_named() {
    let bench = Bench::new();
    safetensors::write(bench.path("own.safetensors"), &weights(&own(), "net.")).unwrap();
    let text = narrow(bench.run("inspect own.safetensors"));
    assert!(text.contains("own specification") && text.contains("strides and padding, taken from"), "{text}");
    let toml = narrow(bench.run("inspect own.safetensors --toml"));
    let spec = NetSpec::from_toml(&toml).unwrap();
    assert_eq!((&spec.stages, &spec.stem, spec.head.classes), (&own().stages, &own().stem, 2));
    fs::write(bench.path("own.toml"), toml).unwrap();
    let told = bench.run("predict --json --weights own.safetensors data/test").ok();
    let named = bench.run("predict --json --weights own.safetensors --model own.toml data/test").ok();
    assert_eq!(told, named);
}

#[test]
fn every_command_opens_bare_weights() {
    let bench = Bench::new();
    let spec = family("cifar_resnet8").unwrap().with_classes(2);
    safetensors::write(bench.path("net.safetensors"), &weights(&spec, "")).unwrap();
    for call in [
        "predict --weights net.safetensors data/test/azure/00.png",
        "eval --weights net.safetensors --data data",
        "bench infer --weights net.safetensors --seconds 0",
        "convert net.safetensors out.safetensors --names transformers",
    ] {
        let run = bench.run(call);
        assert!(
            call.starts_with("convert") || run.stderr.contains("cifar_resnet8 by its tensors"),
            "{run:?}"
        );
        run.ok();
    }
    let text = narrow(bench.run("inspect out.safetensors"));
    assert!(text.contains("transformers") && text.contains("cifar_resnet8"), "{text}");
    // Its classes of one are a fault that is found; that it is opened is what counts.
    let run = bench.run("doctor --weights net.safetensors --json");
    assert_eq!(run.json().remove(0)["network"], "cifar_resnet8");
}

#[test]
fn what_is_no_residual_network_is_called_what_it_seems_to_be() {
    let bench = Bench::new();
    let tensor = || Tensor::new(vec![2], vec![0.0; 2]).unwrap();
    let names = ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight"];
    let state = StateDict::from_tensors(names.map(|name| (name.to_owned(), tensor()))).unwrap();
    safetensors::write(bench.path("model.safetensors"), &state).unwrap();
    let run = bench.run("inspect model.safetensors");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stdout.contains("a language model") && run.stdout.lines().all(|line| line.len() <= 80),
        "{run:?}"
    );
    let run = bench.run("inspect model.safetensors --json");
    assert_eq!(run.code, Some(1));
    assert_eq!(run.json().remove(0)["kind"], "other");
    bench
        .run("predict --weights model.safetensors data/test")
        .refused(&["model.safetensors", "a language model"]);

    fs::write(bench.path("net.onnx"), b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x00").unwrap();
    bench.run("inspect net.onnx").refused(&["net.onnx", "an ONNX file"]);
    bench.run("inspect data/test/azure/00.png").refused(&["00.png", "a PNG image"]);
    bench.run("inspect toy.toml").refused(&["toy.toml", "a text file"]);
}

#[test]
fn a_first_convolution_is_adapted_to_other_channels() {
    let bench = Bench::new();
    safetensors::write(bench.path("rgb.safetensors"), &weights(&own(), "")).unwrap();
    let grey = own().with_input([1, 32, 32]).to_toml().unwrap();
    fs::write(bench.path("grey.toml"), grey).unwrap();
    let run = bench.run("predict --json --weights rgb.safetensors --model grey.toml data/test/azure/00.png");
    assert!(run.stderr.contains("the first convolution is for 3 channels: summed for 1"), "{run:?}");
    run.ok();
}

#[test]
fn a_backbone_begins_a_training() {
    let bench = Bench::new();
    let mut state = weights(&own(), "encoder.");
    state.split_prefix("encoder.fc").unwrap();
    safetensors::write(bench.path("backbone.safetensors"), &state).unwrap();
    let text = narrow(bench.run("inspect backbone.safetensors"));
    assert!(text.contains("a backbone without a head"), "{text}");
    bench
        .run("predict --weights backbone.safetensors data/test/azure/00.png")
        .refused(&["no head", "--init"]);
    fs::write(bench.path("own.toml"), own().to_toml().unwrap()).unwrap();
    let run = bench.run(
        "train --model own.toml --data data --epochs 1 --batch-size 5 --out run --init backbone.safetensors",
    );
    assert!(run.stderr.contains("the weights have no head"), "{run:?}");
    run.ok();
}
