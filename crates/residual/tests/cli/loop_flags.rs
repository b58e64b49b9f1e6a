//! The flags of `residual train` for the loop, and several seeds.

use crate::toy::{Bench, file_hash};

const TRAIN: &str = "train --model toy.toml --data data --epochs 2 --batch-size 5";

#[test]
fn flags_of_the_loop_stand_in_the_recipe() {
    let bench = Bench::new();
    let flags = "--layer-decay 0.5 --accumulate 2 --sam 0.1 --drop-path 0.3 --dropout 0.4 --drop-block 0.2 \
                 --early-stop 7 --schedule plateau";
    let run = bench.run(&format!("{TRAIN} {flags} --out run"));
    // Twenty images in steps of two batches.
    assert!(run.stderr.contains("2 epochs, 4 steps of 10 images"), "{run:?}");
    run.ok();
    let recipe = std::fs::read_to_string(bench.path("run/recipe.toml")).unwrap();
    for line in [
        "layer_decay = 0.5",
        "accumulate = 2",
        "rho = 0.1",
        "drop_path = 0.3",
        "dropout = 0.4",
        "drop_block = 0.2",
        "patience = 7",
        "kind = \"plateau\"",
    ] {
        assert!(recipe.contains(line), "`{line}` is not in {recipe}");
    }
    bench.run(&format!("{TRAIN} --sam 0")).refused(&["sam.rho"]);
    bench.run("train --resume run --accumulate 3").refused(&["--resume", "--accumulate"]);
}

#[test]
fn seeds_are_trained_once_each_and_summed_up() {
    let bench = Bench::new();
    let out = bench.run(&format!("{TRAIN} --seeds 4,5 --tensorboard events --out both")).ok();
    for seed in ["seed-4", "seed-5"] {
        let files = std::fs::read_dir(bench.path("events").join(seed)).unwrap();
        let names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert!(names.len() == 1 && names[0].starts_with("events.out.tfevents."), "{seed}: {names:?}");
        assert!(!bench.path("both").join(seed).join(&names[0]).exists());
    }
    assert!(out.contains("seed 4: ") && out.contains("seed 5: ") && out.contains("mean of 2: "), "{out}");
    bench.run(&format!("{TRAIN} --seed 5 --out alone")).ok();
    let weights = |run: &str| file_hash(&bench.path(run).join("best.safetensors"));
    assert_eq!(weights("both/seed-5"), weights("alone"));
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(bench.path("both/seeds.json")).unwrap()).unwrap();
    assert_eq!(summary["runs"].as_array().unwrap().len(), 2);
    assert!(summary["mean"].is_f64() && summary["deviation"].is_f64(), "{summary}");

    // One more, and the two are not trained again; all of them by their folder.
    let again = bench.run(&format!("{TRAIN} --seeds 4,5,6 --out both"));
    assert!(again.stderr.contains("seed 4: finished already"), "{again:?}");
    assert!(again.ok().contains("mean of 3: "));
    let resumed = bench.run("train --resume both");
    assert!(resumed.stderr.contains("seed 6: finished already"), "{resumed:?}");
    assert!(resumed.ok().contains("mean of 3: "));
    bench.run(&format!("{TRAIN} --lr 0.01 --seeds 4 --out both")).refused(&["runs of another recipe"]);
    bench.run(&format!("{TRAIN} --seeds 4,4 --out twice")).refused(&["twice"]);
    bench.run(&format!("{TRAIN} --seeds 4 --seed 3")).refused(&["--seed"]);
}
