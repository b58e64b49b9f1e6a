//! `residual doctor`: exit codes, and one finding of each part.

use std::fs;

use crate::toy::{Bench, NETWORK, Run};

fn kinds(run: Run, code: i32) -> Vec<String> {
    assert_eq!(run.code, Some(code), "{run:?}");
    let report = run.json().remove(0);
    let findings = report["findings"].as_array().unwrap().clone();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_sound_network_is_passed() {
    let bench = Bench::new();
    let report = bench.run("doctor small --data sample").ok();
    assert!(report.starts_with("small: nothing wrong found\n"), "{report}");
    assert!(report.contains("checked: specification, labels, duplicates, pixels, a batch"), "{report}");
    assert_eq!(kinds(bench.run("doctor toy.toml --json"), 0), [""; 0]);
}

#[test]
fn a_network_that_cannot_be_is_told_all_at_once() {
    let bench = Bench::new();
    let broken = NETWORK.replace("stride = 2", "stride = 2, bias = true, shortcut = { kind = \"identity\" }");
    fs::write(bench.path("broken.toml"), broken.replace("dropout = 0.1", "dropout = 1.5")).unwrap();
    let found = kinds(bench.run("doctor broken.toml --data data --json"), 1);
    assert!(
        ["conv_bias", "forgotten_stride", "impossible"].iter().all(|kind| found.iter().any(|f| f == kind)),
        "{found:?}"
    );
    let run = bench.run("doctor broken.toml");
    assert_eq!(run.code, Some(1));
    let text = &run.stdout;
    assert!(text.contains("fault: stage2.block0: a shortcut that forgot the stride"), "{text}");
    assert!(text.contains("help      use a projection shortcut with stride 2"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn weights_are_held_against_data_and_specification() {
    let bench = Bench::new().trained();
    let found = kinds(bench.run("doctor --weights run/best.safetensors --data data --json"), 0);
    assert!(!found.iter().any(|kind| kind == "label_range" || kind == "tensors"), "{found:?}");
    bench.images("other", &["azure", "clay"], 10, 4);
    let found = kinds(bench.run("doctor --weights run/best.safetensors --data other --json"), 1);
    assert!(found.iter().any(|kind| kind == "label_range"), "{found:?}");
    let other = NETWORK.to_owned() + "\n[preprocess]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n";
    fs::write(bench.path("other.toml"), other).unwrap();
    let found = kinds(bench.run("doctor other.toml --weights run/best.safetensors --json"), 1);
    assert_eq!(found, ["preprocess_differs"]);
}

#[test]
fn another_order_of_the_classes_is_told_from_too_little_training() {
    let bench = Bench::new();
    bench.run("train --model toy.toml --data data --epochs 12 --batch-size 5 --lr 0.1 --out run").ok();
    let trained = residual::weights::Checkpoint::read(bench.path("run/best.safetensors")).unwrap();
    let mut turned = trained.clone();
    for name in ["fc.weight", "fc.bias"] {
        let values = turned.tensors.get_mut(name).unwrap().data_mut();
        let half = values.len() / 2;
        values.rotate_left(half);
    }
    turned.write(bench.path("turned.safetensors")).unwrap();
    let found = kinds(bench.run("doctor --weights run/best.safetensors --data data --json"), 0);
    assert!(!found.iter().any(|kind| kind == "worse_than_guessing" || kind == "undertrained"), "{found:?}");
    let report = bench.run("doctor --weights turned.safetensors --data data").ok();
    assert!(report.contains("order of the classes"), "{report}");
    // Always the same answer, and sure of it.
    let mut sure = trained;
    sure.tensors.get_mut("fc.bias").unwrap().data_mut().copy_from_slice(&[50.0, -50.0]);
    sure.write(bench.path("sure.safetensors")).unwrap();
    let found = kinds(bench.run("doctor --weights sure.safetensors --data data --json"), 0);
    assert!(found.iter().any(|kind| kind == "undertrained"), "{found:?}");
}

#[test]
fn a_training_is_looked_at_by_its_flags_or_recipe() {
    let bench = Bench::new().trained();
    assert_eq!(kinds(bench.run("doctor toy.toml --batch-size 2 --lr 0.001 --json"), 0), ["small_batch"]);
    let found = kinds(bench.run("doctor toy.toml --recipe run/recipe.toml --json"), 0);
    assert!(found.iter().any(|kind| kind == "small_batch"), "{found:?}");
}

#[test]
fn input_that_is_none() {
    let bench = Bench::new();
    bench.run("doctor nowhere.toml").refused(&["nowhere.toml"]);
    bench.run("doctor resnet19").refused(&["`resnet18`"]);
    bench.run("doctor small --data nowhere").refused(&["nowhere"]);
    bench.run("doctor --weights nowhere.pth").refused(&["nowhere.pth"]);
    bench.run("doctor toy.toml --lr 0").refused(&["--lr"]);
    assert_eq!(bench.run("doctor").code, Some(2));
}
