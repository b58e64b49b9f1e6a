//! From images to predictions: `train`, `eval`, `predict`.

use residual::weights::safetensors;

use crate::toy::{Bench, file_hash, hashes, picture};

const TRAIN: &str = "train --model toy.toml --data data --epochs 3 --batch-size 5 --seed 3";

#[test]
fn an_orientation_policy_that_a_specification_writes_out_is_kept() {
    let bench = Bench::new();
    let toy = std::fs::read_to_string(bench.path("toy.toml")).unwrap();
    let normalise = "mean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n";
    for (written, kept) in
        [("orientation = \"ignore\"\n", "ignore"), ("orientation = \"apply\"\n", "apply"), ("", "apply")]
    {
        let spec = format!("{toy}\n[preprocess]\n{written}{normalise}");
        std::fs::write(bench.path("own.toml"), spec).unwrap();
        let out = format!("run-{}", written.len());
        bench.run(&format!("train --model own.toml --data data --epochs 1 --out {out}")).ok();
        let recipe = std::fs::read_to_string(bench.path(&out).join("recipe.toml")).unwrap();
        // `ignore` is the default of a preprocessing, and not written.
        assert_eq!(recipe.contains("orientation = \"apply\""), kept == "apply", "{written}: {recipe}");
    }
}

#[test]
fn a_training_tells_where_its_best_network_is() {
    let bench = Bench::new();
    let run = bench.run(&format!("{TRAIN} --lr 0.2 --out run"));
    let plain = run.stderr.clone();
    assert!(plain.contains("epoch 3/3  test"), "{plain}");
    let out = run.ok();
    assert!(out.contains("residual predict --weights run/best.safetensors"), "{out}");
    for file in ["recipe.toml", "metrics.jsonl", "last.safetensors", "best.safetensors"] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }
    let metrics = std::fs::read_to_string(bench.path("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 6, "{metrics}");

    let eval = bench.run("eval --weights run/best.safetensors --data data --json").json().remove(0);
    assert_eq!(eval["total"], 8);
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(eval["top1_correct"].as_f64().unwrap() / 8.0 >= last["top1"].as_f64().unwrap());
}

#[test]
fn the_first_lines_say_what_was_chosen() {
    let bench = Bench::new();
    let run = bench.run("train --model toy.toml --data data --epochs 1");
    // Twenty images, and no more was said: eight a step, the last four a batch of their own.
    for part in [
        "2 classes: azure, brick",
        "data: 20 images, 8 more (test)",
        "runs/toy-1: 1 epochs, 3 steps of 8 images",
    ] {
        assert!(run.stderr.contains(part), "`{part}` is not in {run:?}");
    }
    assert!(run.stderr.contains("learning rate 0.0063") && !run.stderr.contains("leaves out"), "{run:?}");
    run.ok();
    let recipe = std::fs::read_to_string(bench.path("runs/toy-1/recipe.toml")).unwrap();
    for line in ["batch_size = 8", "drop_last = false", "lr = 0.00625"] {
        assert!(recipe.contains(line), "`{line}` is not in {recipe}");
    }
    let run = bench.run("train --model toy.toml --data data --epochs 1 --batch-size 19");
    assert!(run.stderr.contains("leaves out another 1 of the images"), "{run:?}");
}

#[test]
fn a_run_inside_its_data_is_said_to_be_there() {
    let bench = Bench::new();
    let inside = "inside the data";
    let run = bench.run("train --model toy.toml --data data --epochs 1 --out data/runs/a");
    assert!(run.stderr.contains(inside), "{run:?}");
    let run = bench.run("train --model toy.toml --data data --epochs 1 --out beside");
    assert!(!run.stderr.contains(inside), "{run:?}");
}

#[test]
fn data_that_moved_are_named_on_resume() {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --out run")).ok();
    std::fs::rename(bench.path("data"), bench.path("moved")).unwrap();
    bench.run("train --resume run").refused(&["data", "--data"]);
    let run = bench.run("train --resume run --data moved");
    assert!(run.stderr.contains("data.path is"), "{run:?}");
    run.ok();
    bench.run("train --resume run").ok();
}

#[test]
fn a_cache_changes_no_bit_and_is_said() {
    let bench = Bench::new();
    let mut weights = Vec::new();
    for (cache, said) in [("auto", "all 28 images"), ("off", "cache: off"), ("4kB", "of 28 images")] {
        let run = bench.run(&format!("{TRAIN} --cache {cache} --out {cache}"));
        assert!(run.stderr.contains(said), "{cache}: {run:?}");
        run.ok();
        weights.push(hashes(&bench.path(cache).join("best.safetensors")));
    }
    assert!(weights.iter().all(|one| *one == weights[0]));
    let recipe = |name: &str| std::fs::read_to_string(bench.path(name).join("recipe.toml")).unwrap();
    assert!(!recipe("auto").contains("cache") && recipe("4kB").contains("cache = \"4kB\""));
    // What does not decide the result may change when a run is resumed.
    let run = bench.run("train --resume 4kB --cache off");
    assert!(run.stderr.contains("cache: off"), "{run:?}");
    run.ok();
}

#[test]
fn of_two_classes_no_five_are_told() {
    let bench = Bench::new().trained();
    let table = bench.run("eval --weights run/best.safetensors --data data").ok();
    assert!(table.contains("top-1") && table.contains("loss") && !table.contains("top-5"), "{table}");
}

#[test]
fn folders_are_numbered_by_default() {
    let bench = Bench::new();
    for folder in ["runs/toy-1", "runs/toy-2"] {
        bench.run("train --model toy.toml --data data --epochs 1 --batch-size 5").ok();
        assert!(bench.path(folder).join("best.safetensors").is_file(), "{folder}");
    }
}

#[test]
fn augmentations_and_mixing_are_flags_and_stand_in_the_recipe() {
    let bench = Bench::new();
    let flags = "--augment pad_crop:padding=1,rand_augment:magnitude=12,random_erasing --mixup 0.2 --cutmix 1 \
                 --augment-repeats 2";
    bench.run(&format!("train --model toy.toml --data data --epochs 1 {flags} --out a")).ok();
    let recipe = std::fs::read_to_string(bench.path("a/recipe.toml")).unwrap();
    for line in ["kind = \"rand_augment\"", "magnitude = 12", "augment_repeats = 2", "[mix]", "mixup = 0.2"] {
        assert!(recipe.contains(line), "`{line}` is not in {recipe}");
    }
    bench.run("train --recipe a/recipe.toml --mixup 0 --cutmix 0 --no-augment --out b").ok();
    let recipe = std::fs::read_to_string(bench.path("b/recipe.toml")).unwrap();
    assert!(recipe.contains("augment = []") && !recipe.contains("[mix]"), "{recipe}");
    for (flag, reason) in [
        ("--augment rotate", "unknown variant `rotate`"),
        ("--augment rand_augment:magnitude=99", "less than num_magnitude_bins"),
        ("--mixup -1", "mix.mixup: -1"),
        ("--augment-repeats 0", "augment_repeats"),
    ] {
        bench
            .run(&format!("train --model toy.toml --data data --epochs 1 {flag} --out c"))
            .refused(&[reason]);
    }
}

#[test]
fn a_recipe_repeats_a_run_and_flags_take_precedence() {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --lr 0.1 --schedule cosine --label-smoothing 0.1 --out a")).ok();
    bench.run("train --recipe a/recipe.toml --out b").ok();
    assert_eq!(hashes(&bench.path("a/last.safetensors")), hashes(&bench.path("b/last.safetensors")));
    assert_eq!(file_hash(&bench.path("a/best.safetensors")), file_hash(&bench.path("b/best.safetensors")));
    bench.run("train --recipe a/recipe.toml --seed 4 --epochs 1 --out c").ok();
    let recipe = std::fs::read_to_string(bench.path("c/recipe.toml")).unwrap();
    assert!(recipe.contains("seed = 4") && recipe.contains("epochs = 1"), "{recipe}");
    assert!(recipe.contains("lr = 0.1") && recipe.contains("kind = \"cosine\""), "{recipe}");
}

#[test]
fn threads_change_no_bit() {
    let bench = Bench::new();
    let hash = |threads: usize| {
        bench.run(&format!("{TRAIN} --threads {threads} --out run{threads}")).ok();
        hashes(&bench.path(&format!("run{threads}/last.safetensors")))
    };
    let one = hash(1);
    assert_eq!(hash(2), one);
    assert_eq!(hash(5), one);
}

#[test]
fn weights_are_taken_over_and_layers_frozen() {
    let bench = Bench::new().trained();
    bench.run(&format!("{TRAIN} --init run/best.safetensors --freeze stem,stage1 --out tuned")).ok();
    let (before, after) =
        (hashes(&bench.path("run/best.safetensors")), hashes(&bench.path("tuned/last.safetensors")));
    assert_eq!(before["conv1.weight"], after["conv1.weight"]);
    assert_eq!(before["layer1.0.bn1.running_mean"], after["layer1.0.bn1.running_mean"]);
    assert_ne!(before["fc.weight"], after["fc.weight"]);
}

#[test]
fn predictions_are_probabilities_by_class() {
    let bench = Bench::new().trained();
    // Of another size than the network's input: brought to size.
    picture(1, 7, 21).save(bench.path("large.png")).unwrap();
    let lines = bench.run("predict --weights run/best.safetensors large.png data/test/azure --json").json();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["file"], "large.png");
    assert_eq!(lines[1]["file"], "data/test/azure/00.png");
    for line in &lines {
        let top = line["top"].as_array().unwrap();
        let probability = |guess: &serde_json::Value| guess["probability"].as_f64().unwrap();
        assert!((top.iter().map(probability).sum::<f64>() - 1.0).abs() < 1e-9, "{line:?}");
        assert!(probability(&top[0]) >= probability(&top[1]), "{line:?}");
        assert!(top.iter().all(|guess| guess["class"] == "azure" || guess["class"] == "brick"), "{line:?}");
    }
    let table = bench.run("predict --weights run/best.safetensors large.png --top 1").ok();
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.starts_with("large.png\n") && table.contains('%'), "{table}");
}

#[test]
fn bare_weights_are_told_by_their_tensors_or_named() {
    let bench = Bench::new().trained();
    let trained = residual::weights::Checkpoint::read(bench.path("run/best.safetensors")).unwrap();
    safetensors::write(bench.path("bare.safetensors"), &trained.tensors).unwrap();
    let eval = |weights: &str| bench.run(&format!("eval --weights {weights} --data data --json"));
    // The network has no large kernel and no pool, which is what is taken where the tensors do not tell.
    assert_eq!(eval("bare.safetensors").json().remove(0), eval("run/best.safetensors").json().remove(0));
    let bare = eval("bare.safetensors --model toy.toml").json().remove(0);
    assert_eq!(bare, eval("run/best.safetensors").json().remove(0));
    bench.images("three", &["a", "b", "c"], 1, 1);
    bench
        .run("eval --weights bare.safetensors --model toy.toml --data three")
        .refused(&["3 classes", "a network for 2"]);
    bench
        .run("eval --weights run/best.safetensors --data three")
        .refused(&["3 classes (a, b, c) are not among", "azure, brick"]);
}
