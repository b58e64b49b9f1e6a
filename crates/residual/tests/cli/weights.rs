//! Weights that cannot be right, and the folder of a run in place of a file, through every command that reads them.

use std::fs;

use residual::arch::Resize;
use residual::weights::Checkpoint;

use crate::toy::Bench;

/// A bench whose checkpoint `bad.safetensors` is the trained one after `change`.
fn changed(bench: &Bench, change: impl FnOnce(&mut Checkpoint)) {
    let mut trained = Checkpoint::read(bench.path("run/best.safetensors")).unwrap();
    change(&mut trained);
    trained.write(bench.path("bad.safetensors")).unwrap();
}

/// Sets the first element of the first tensor whose name ends so, and says which it is.
fn spoil(trained: &mut Checkpoint, part: &str, value: f32) -> String {
    let name = trained.tensors.names().find(|name| name.ends_with(part)).unwrap().to_owned();
    trained.tensors.get_mut(&name).unwrap().data_mut()[0] = value;
    name
}

const READERS: [&str; 3] = [
    "predict --json --weights bad.safetensors data/test/azure/00.png",
    "eval --weights bad.safetensors --data data",
    "train --model toy.toml --data data --epochs 1 --batch-size 5 --out other --init bad.safetensors",
];

#[test]
fn weights_that_are_not_finite_are_named_and_not_used() {
    let bench = Bench::new().trained();
    for (part, value) in [
        ("conv1.weight", f32::NAN),
        (".bias", f32::INFINITY),
        ("running_mean", f32::NEG_INFINITY),
        ("running_var", -0.5),
    ] {
        let mut name = String::new();
        changed(&bench, |trained| name = spoil(trained, part, value));
        for reader in READERS {
            let run = bench.run(reader);
            run.refused(&["bad.safetensors", &name]);
            assert!(!run.stderr.contains("--lr") && !run.stderr.contains("learning rate"), "{run:?}");
        }
    }
}

#[test]
fn an_answer_that_is_not_finite_names_its_image() {
    let bench = Bench::new().trained();
    changed(&bench, |trained| {
        for part in ["fc.weight", "fc.bias"] {
            let name = trained.tensors.names().find(|name| name.ends_with(part)).unwrap().to_owned();
            trained.tensors.get_mut(&name).unwrap().data_mut().fill(f32::MAX);
        }
    });
    bench.run(READERS[0]).refused(&["azure/00.png", "not finite"]);
    let run = bench.run("predict --weights bad.safetensors data/test");
    run.refused(&["not finite"]);
    assert_eq!(run.stderr.matches("not finite").count(), 8, "every image is named: {run:?}");
    bench.run(READERS[1]).refused(&[".png", "not finite"]);
}

#[test]
fn the_folder_of_a_run_stands_for_its_best() {
    let bench = Bench::new().trained();
    let wanted = bench.run("predict --json --weights run/best.safetensors data/test").ok();
    let run = bench.run("predict --json --weights run data/test");
    assert!(run.stderr.contains("run/best.safetensors"), "{run:?}");
    assert_eq!(run.ok(), wanted);
    bench.run("eval --json --weights run --data data").ok();
    bench.run("convert run converted.safetensors").ok();
    fs::remove_file(bench.path("run/best.safetensors")).unwrap();
    let run = bench.run("predict --weights run data/test");
    assert!(run.stderr.contains("run/last.safetensors"), "{run:?}");
    run.ok();
    fs::remove_file(bench.path("run/last.safetensors")).unwrap();
    bench.run("predict --weights run data/test").refused(&["run: a folder", "help: name a file of weights"]);
}

#[test]
fn a_truncated_last_points_at_the_best() {
    let bench = Bench::new().trained();
    let last = bench.path("run/last.safetensors");
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() / 2]).unwrap();
    bench
        .run("predict --weights run/last.safetensors data/test")
        .refused(&["run/last.safetensors", "help: run/best.safetensors is beside it"]);
}

#[test]
fn a_resize_to_gigabytes_is_refused() {
    let bench = Bench::new().trained();
    for side in [8192, 1 << 20, usize::MAX] {
        changed(&bench, |trained| {
            trained.spec.preprocess.resize = Some(Resize::ShorterSide(side));
            trained.spec.preprocess.crop = Some([side, side]);
        });
        for reader in &READERS[..2] {
            bench.run(reader).refused(&["2048x2048"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn special_files_are_no_weights() {
    let bench = Bench::new();
    assert!(std::process::Command::new("mkfifo").arg(bench.path("fifo.pth")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", bench.path("zero.safetensors")).unwrap();
    for (name, kind) in [("fifo.pth", "a FIFO"), ("zero.safetensors", "a device")] {
        for command in [
            format!("predict --weights {name} --model small data/test"),
            format!("convert {name} out.safetensors"),
            format!("train --model toy.toml --data data --epochs 1 --batch-size 5 --out run --init {name}"),
        ] {
            bench.run(&command).refused(&[name, kind]);
        }
    }
}

#[test]
fn integers_do_not_become_weights() {
    let bench = Bench::new();
    let header = r#"{"fc.bias":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}"#;
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1, 2]].concat();
    fs::write(bench.path("int8.safetensors"), file).unwrap();
    bench.run("convert int8.safetensors out.safetensors").refused(&["int8.safetensors", "fc.bias is int8"]);
    assert!(!bench.path("out.safetensors").exists());
}

#[test]
fn weights_of_one_network_are_averaged() {
    let bench = Bench::new().trained();
    changed(&bench, |trained| {
        let bias = trained.tensors.get_mut("fc.bias").unwrap().data_mut();
        bias.iter_mut().for_each(|value| *value += 3.0);
    });
    let run = bench.run("average run run/best.safetensors bad.safetensors --out mean.safetensors");
    assert_eq!(run.ok().trim(), "mean.safetensors: mean of 3 networks");
    let [mean, one] =
        ["mean.safetensors", "run/best.safetensors"].map(|file| Checkpoint::read(bench.path(file)).unwrap());
    assert_eq!((&mean.spec, &mean.classes), (&one.spec, &one.classes));
    for (name, tensor) in mean.tensors.iter() {
        let added = if name == "fc.bias" { 1.0 } else { 0.0 };
        let before = one.tensors.get(name).unwrap().data();
        let close = |(now, before): (&f32, &f32)| (now - before - added).abs() <= 1e-6 * (1.0 + before.abs());
        assert!(tensor.data().iter().zip(before).all(close), "{name}");
    }
    bench.run("eval --weights mean.safetensors --data data").ok();
}

#[test]
fn what_has_no_average_is_refused() {
    let bench = Bench::new().trained();
    bench.run("average run --out mean.safetensors").refused(&["2 values"]);
    bench.run("average run run --out run/best.safetensors").refused(&["is a file to read as well"]);
    bench.run("average run run --out mean.pth").refused(&["mean.safetensors"]);
    changed(&bench, |trained| trained.classes[0] = "other".to_owned());
    bench.run("average run bad.safetensors --out mean.safetensors").refused(&[
        "bad.safetensors",
        "classes",
        "other",
    ]);
    changed(&bench, |trained| drop(spoil(trained, "conv1.weight", f32::NAN)));
    bench
        .run("average run bad.safetensors --out mean.safetensors")
        .refused(&["bad.safetensors", "conv1.weight"]);
    assert!(!bench.path("mean.safetensors").exists());
}
