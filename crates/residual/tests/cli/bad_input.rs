//! Input that cannot be right: a readable error, exit code 2, and no earlier checkpoint lost.

use std::fs;
use std::process::Command;

use crate::toy::{Bench, NETWORK, Run, hashes};

fn train(bench: &Bench, arguments: &str) -> Run {
    bench.run(&format!("train --model toy.toml --epochs 1 --batch-size 5 --out run {arguments}"))
}

#[test]
fn numbers_that_train_nothing() {
    let bench = Bench::new();
    let cases = [
        ("--epochs 0", "epochs"),
        ("--lr -0.1", "lr"),
        ("--lr 0", "lr"),
        ("--lr nan", "lr"),
        ("--batch-size 0", "batch"),
        ("--momentum 1.5", "momentum"),
        ("--weight-decay -1", "weight_decay"),
        ("--label-smoothing 1", "label_smoothing"),
        ("--warmup -1", "warmup"),
        ("--warmup 21", "warmup"),
        ("--validation 1", "validation"),
        ("--schedule linear", "one-cycle"),
        ("--threads 0", "threads"),
        ("--freeze stem,stage9", "stage9"),
    ];
    for (flags, part) in cases {
        bench.run(&format!("train --model toy.toml --data data --out run {flags}")).refused(&[part]);
        assert!(!bench.path("run").exists(), "{flags} left a folder behind");
    }
}

#[test]
fn data_that_are_none() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("empty")).unwrap();
    bench.images("single", &["azure"], 3, 1);
    fs::write(bench.path("notes.txt"), "no images").unwrap();
    train(&bench, "--data empty").refused(&["empty", "no classes"]);
    train(&bench, "--data single").refused(&["single", "azure", "one class"]);
    train(&bench, "--data nowhere").refused(&["nowhere", "no such file"]);
    train(&bench, "--data notes.txt").refused(&["notes.txt"]);
    assert!(!bench.path("run").exists());
}

#[test]
fn a_truncated_image_is_named_or_left_out() {
    let bench = Bench::new();
    let victim = bench.path("data/train/brick/03.png");
    let bytes = fs::read(&victim).unwrap();
    fs::write(&victim, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(bench.path("data/test/azure/00.png"), "").unwrap();
    train(&bench, "--data data").refused(&["03.png", "truncated"]);
    // What was trained before it is kept, and goes on where it is left out.
    let resumed = bench.run("train --resume run --skip-bad");
    assert!(resumed.stderr.contains("03.png") && resumed.stderr.contains("left out 2 images"), "{resumed:?}");
    resumed.ok();
    bench.run("eval --weights run/best.safetensors --data data").refused(&["00.png", "empty"]);
    let eval = bench.run("eval --weights run/best.safetensors --data data --skip-bad --json");
    assert!(eval.stderr.contains("left out 1 image"), "{eval:?}");
    assert_eq!(eval.json().remove(0)["total"], 7);
    let predict = bench.run("predict --weights run/best.safetensors data/test/azure --json");
    predict.refused(&["00.png", "empty"]);
    assert_eq!(predict.json().len(), 3);
}

#[test]
fn weights_of_another_model() {
    let bench = Bench::new().trained();
    fs::write(bench.path("wide.toml"), NETWORK.replace("channels = 8", "channels = 6")).unwrap();
    bench
        .run("train --model wide.toml --data data --init run/best.safetensors --out other")
        .refused(&["run/best.safetensors", "misshapen"]);
    bench.run("eval --model wide.toml --weights run/best.safetensors --data data").refused(&[
        "run/best.safetensors",
        "`toy`",
        "wide.toml",
    ]);
    bench.run("predict --weights toy.toml data/test").refused(&["toy.toml", "not a file of weights"]);
    bench.run("predict --weights nowhere.safetensors data/test").refused(&["nowhere.safetensors"]);
    let whole = fs::read(bench.path("run/best.safetensors")).unwrap();
    fs::write(bench.path("half.safetensors"), &whole[..whole.len() / 2]).unwrap();
    bench.run("predict --weights half.safetensors data/test").refused(&["half.safetensors"]);
}

#[test]
fn a_specification_that_does_not_fit() {
    let bench = Bench::new();
    fs::write(bench.path("five.toml"), NETWORK.replace("classes = 2", "classes = 5")).unwrap();
    bench.run("train --model five.toml --data data --out run").refused(&["5 classes", "the data have 2"]);
    let broken = NETWORK.replace("stride = 2", "stride = 2, shortcut = { kind = \"identity\" }");
    fs::write(bench.path("broken.toml"), broken).unwrap();
    bench.run("train --model broken.toml --data data --out run").refused(&["stage2.block0", "projection"]);
    assert!(!bench.path("run").exists());

    // A run whose recipe was changed is not resumed with weights that do not fit it.
    bench.run("train --model toy.toml --data data --epochs 2 --batch-size 5 --out run").ok();
    let recipe = fs::read_to_string(bench.path("run/recipe.toml")).unwrap();
    fs::write(bench.path("run/recipe.toml"), recipe.replace("channels = 8", "channels = 6")).unwrap();
    bench.run("train --resume run").refused(&["run/recipe.toml", "`network.stages`"]);
}

#[test]
fn an_edited_recipe_is_not_resumed_silently() {
    let bench = Bench::new().trained();
    let path = bench.path("run/recipe.toml");
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("batch_size = 5", "batch_size = 3")).unwrap();
    bench.run("train --resume run").refused(&["`batch_size` is 3, and was 5", "threads, low_memory"]);
    fs::write(&path, good.clone() + "\n").unwrap();
    bench.run("train --resume run --epochs 5").refused(&["`epochs` is 5, and was 1", "constant"]);
    let run = bench.run("train --resume run --threads 1");
    assert!(!run.stderr.contains("from now on"), "{run:?}");
    run.ok();
    fs::write(&path, good.replacen("seed = 0", "seed = 0\nthreads = 1", 1)).unwrap();
    let run = bench.run("train --resume run");
    assert!(run.stderr.contains("threads is 1 from now on; it was not set"), "{run:?}");
    run.ok();
    fs::write(&path, good.replacen("seed = 0", "seed = 0\nthreads = 9223372036854775807", 1)).unwrap();
    bench.run("train --resume run").refused(&["threads", "1 to 1024"]);
    bench.run("train --recipe run/recipe.toml --out other").refused(&["threads", "1 to 1024"]);
    assert!(!bench.path("other").exists());
}

#[test]
fn a_run_without_its_last_checkpoint_is_not_begun_anew() {
    let bench = Bench::new().trained();
    fs::remove_file(bench.path("run/last.safetensors")).unwrap();
    let before = fs::read(bench.path("run/best.safetensors")).unwrap();
    let metrics = fs::read(bench.path("run/metrics.jsonl")).unwrap();
    let run = bench.run("train --resume run");
    run.refused(&["last.safetensors is missing", "--init run/best.safetensors"]);
    assert_eq!(fs::read(bench.path("run/best.safetensors")).unwrap(), before);
    assert_eq!(fs::read(bench.path("run/metrics.jsonl")).unwrap(), metrics);
    // What it offers works.
    bench.run("train --recipe run/recipe.toml --init run/best.safetensors --out again").ok();
}

#[test]
fn a_failed_start_leaves_no_folder() {
    let bench = Bench::new();
    fs::write(bench.path("one.toml"), "input = [3, 8, 8]\nname = \"one\"\nstem = { convs = [{ channels = 4, kernel = 3 }] }\nhead = { classes = 2 }\n[preprocess]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\nresize = { shorter_side = 0 }\n").unwrap();
    bench.run("train --model one.toml --data data --out a/b/run").refused(&["resize"]);
    bench
        .run("train --model toy.toml --data data --init nowhere.pth --out a/b/run")
        .refused(&["nowhere.pth"]);
    assert!(!bench.path("a").exists());
    bench.run("train --model toy.toml --data data --epochs 1 --batch-size 70000 --out large").ok();
}

#[test]
fn folders_that_cannot_be_written() {
    let bench = Bench::new().trained();
    fs::write(bench.path("file"), "no folder").unwrap();
    bench.run("train --model toy.toml --data data --out file/run").refused(&["file/run", "folder"]);
    bench.run("convert run/best.safetensors file/x.safetensors").refused(&["file/x.safetensors"]);
    let before = hashes(&bench.path("run/best.safetensors"));
    train(&bench, "--data data").refused(&["run", "--resume"]);
    bench.run("train --resume data").refused(&["data", "no run to resume"]);
    assert_eq!(hashes(&bench.path("run/best.safetensors")), before);
}

#[test]
fn a_run_has_its_recipe_already() {
    let bench = Bench::new().trained();
    let run = bench.run("train --resume run --seed 5");
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--seed") && run.stderr.contains("--resume"), "{run:?}");
}

/// A limit on the size of files fails a write in its middle, as a full disk does; the signal that comes with it ends no
/// process.
#[cfg(unix)]
#[test]
fn a_full_disk_loses_no_checkpoint() {
    let bench = Bench::new().trained();
    let limited = |arguments: &str| {
        // Blocks of 512 bytes: recipe and metrics fit, a checkpoint does not.
        let script = "ulimit -f 8; exec \"$0\" \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, env!("CARGO_BIN_EXE_residual")]).args(arguments.split_whitespace());
        Run::of(shell.current_dir(bench.path("")).output().unwrap())
    };
    let begun = limited("train --model toy.toml --data data --epochs 1 --batch-size 5 --out full/run");
    begun.refused(&["last.safetensors", "cannot write"]);
    assert!(!bench.path("full").exists(), "a run that did not begin left a folder");
    let before = hashes(&bench.path("run/best.safetensors"));
    limited("convert run/last.safetensors run/best.safetensors")
        .refused(&["best.safetensors", "cannot write"]);
    assert_eq!(hashes(&bench.path("run/best.safetensors")), before);
    let left = fs::read_dir(bench.path("run")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
    bench.run("train --resume run").ok();
}
