//! `residual finetune`: head, whole network, what is kept, and repetition.

use crate::toy::{Bench, hashes};

const TUNE: &str = "finetune --from run/best.safetensors --data other --batch-size 4";

/// A trained network, and images of other classes.
fn bench() -> Bench {
    let bench = Bench::new().trained();
    bench.images("other", &["cold", "warm"], 8, 4);
    bench
}

#[test]
fn a_head_is_fitted_and_the_whole_network_trained() {
    let bench = bench();
    let run = bench.run(&format!("{TUNE} --epochs 2 --out tuned"));
    for part in
        ["16 images, 8 pixels", "2 epochs of adamw", "times 0.85 a block", "head alone: ", "epoch 0/2"]
    {
        assert!(run.stderr.contains(part), "`{part}` is not in {run:?}");
    }
    assert!(run.ok().contains("residual predict --weights tuned/best.safetensors"));
    let recipe = std::fs::read_to_string(bench.path("tuned/recipe.toml")).unwrap();
    for line in ["freeze_statistics = true", "evaluate_first = true", "layer_decay = 0.85", "batch_size = 4"]
    {
        assert!(recipe.contains(line), "`{line}` is not in {recipe}");
    }
    let metrics = std::fs::read_to_string(bench.path("tuned/metrics.jsonl")).unwrap();
    assert!(metrics.starts_with(r#"{"epoch":0,"#) && metrics.lines().count() == 5, "{metrics}");
    let eval = bench.run("eval --weights tuned --data other --json").json().remove(0);
    assert_eq!(eval["total"], 8);

    // Its recipe repeats it to the bit, whatever the number of threads, and so does an interruption.
    bench.run("train --recipe tuned/recipe.toml --threads 2 --out again").ok();
    assert_eq!(hashes(&bench.path("again/last.safetensors")), hashes(&bench.path("tuned/last.safetensors")));
    bench.run(&format!("{TUNE} --epochs 2 --threads 2 --out once-more")).ok();
    assert_eq!(
        hashes(&bench.path("once-more/best.safetensors")),
        hashes(&bench.path("tuned/best.safetensors"))
    );
}

#[test]
fn the_head_alone_is_kept_where_no_epoch_is_better() {
    let bench = bench();
    // Steps that change nothing.
    let run = bench.run(&format!("{TUNE} --epochs 2 --optimiser sgd --lr 1e-30 --out spoilt"));
    assert!(run.ok().contains("before the first step"));
    let run = bench.run(&format!("{TUNE} --head-only --out head"));
    assert!(run.stderr.contains("recipe: the head alone"), "{run:?}");
    assert!(run.ok().contains("before the first step"));
    assert_eq!(hashes(&bench.path("head/best.safetensors")), hashes(&bench.path("spoilt/best.safetensors")));
    // The trunk is the checkpoint's to the bit.
    let (trunk, head) =
        (hashes(&bench.path("run/best.safetensors")), hashes(&bench.path("head/best.safetensors")));
    let differing = trunk.iter().filter(|(name, hash)| head.get(*name) != Some(*hash));
    assert!(
        differing.map(|(name, _)| name).all(|name| name.contains("fc.") || name.contains("linear")),
        "{trunk:?}"
    );
}

#[test]
fn a_tuning_ends_early_where_the_head_alone_stays_the_best() {
    let bench = bench();
    // Steps that change nothing: no epoch has a lower loss than the head alone.
    let call = format!("{TUNE} --epochs 9 --early-stop 2 --optimiser sgd --lr 1e-30 --out early");
    let run = bench.run(&call);
    assert!(run.stderr.contains("ended early, after epoch"), "{run:?}");
    run.ok();
    let metrics = std::fs::read_to_string(bench.path("early/metrics.jsonl")).unwrap();
    let epochs = metrics.lines().filter(|line| line.contains("\"test\"")).count();
    assert!((3..9).contains(&epochs), "{metrics}");
    // The same from its recipe, and nothing is left to do.
    bench.run("train --recipe early/recipe.toml --threads 2 --out again").ok();
    assert_eq!(hashes(&bench.path("again/last.safetensors")), hashes(&bench.path("early/last.safetensors")));
    let before = hashes(&bench.path("early/best.safetensors"));
    bench.run("train --resume early").ok();
    assert_eq!(hashes(&bench.path("early/best.safetensors")), before);
}

#[test]
fn what_cannot_be_tuned_is_refused_with_help() {
    let bench = bench();
    bench.run("finetune --data other").refused(&["no checkpoint to begin with", "residual get resnet18"]);
    bench.run("finetune --data other --model resnet50").refused(&["residual get resnet50"]);
    bench.run("finetune --from nowhere.pth --data other").refused(&["no such file", "residual get --list"]);
    bench.run("finetune --from toy.toml --data other").refused(&["toy.toml"]);
    bench.run("finetune --from run --data gone").refused(&["gone"]);
    bench.run("finetune --from run --init run --data other").refused(&["--init", "--from"]);
    bench.run(&format!("{TUNE} --lr -1")).refused(&["lr: -1"]);
    bench.run(&format!("{TUNE} --out run")).refused(&["run"]);
    let run = bench.run("finetune --from run --data other --resume run");
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(!bench.path("runs").exists(), "nothing is left behind");
}
