//! Several labels and numbers, from a list to predictions.

use residual::arch::Task;
use residual::weights::Checkpoint;

use crate::toy::{Bench, hashes, picture};

/// Network of the toy for another number of outputs.
fn network(bench: &Bench, outputs: usize) {
    let text = crate::toy::NETWORK.replace("classes = 2", &format!("classes = {outputs}"));
    let text = text.replace("dropout = 0.1", "").replace("stochastic_depth = 0.2", "");
    std::fs::write(bench.path("toy.toml"), text).unwrap();
}

/// A list of blue, red and dark pictures: their colours as labels (`blue|dark`), as columns, and a number.
fn list(bench: &Bench) {
    write_list(bench, "list.csv", |_| false);
}

/// The list, in which some images are called blue where they are red, and red where they are blue.
fn write_list(bench: &Bench, file: &str, is_wrong: impl Fn(u32) -> bool) {
    std::fs::create_dir_all(bench.path("photos")).unwrap();
    let mut text = "path,label,blue,dark,warmth,count,split\n".to_owned();
    for index in 0..60u32 {
        let (red, dark) = (index % 2, (index / 2) % 2 == 1);
        let mut image = picture(red, index, 8);
        if dark {
            image.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value / 4));
        }
        image.save(bench.path(&format!("photos/{index}.png"))).unwrap();
        let red = if is_wrong(index) { 1 - red } else { red };
        let names: Vec<&str> =
            [(red == 0).then_some("blue"), dark.then_some("dark")].into_iter().flatten().collect();
        let (warmth, blue, split) = (20 + 10 * red, 1 - red, if index < 44 { "train" } else { "val" });
        text += &format!(
            "photos/{index}.png,{},{blue},{},{warmth}.5,{},{split}\n",
            names.join("|"),
            u8::from(dark),
            names.len()
        );
    }
    std::fs::write(bench.path(file), text).unwrap();
}

const TRAIN: &str = "train --model toy.toml --data list.csv --epochs 12 --batch-size 8 --lr 0.1 --no-augment";

#[test]
fn several_labels_go_from_a_list_to_predictions() {
    let bench = Bench::new();
    network(&bench, 2);
    list(&bench);
    let run = bench.run(&format!("{TRAIN} --task multi-label --out run"));
    assert!(run.stderr.contains("val    loss") && run.stderr.contains("mAP "), "{run:?}");
    let out = run.ok();
    assert!(out.contains("best: mAP "), "{out}");
    let recipe = std::fs::read_to_string(bench.path("run/recipe.toml")).unwrap();
    assert!(recipe.contains("task = \"multi_label\""), "{recipe}");

    let eval = "eval --weights run/best.safetensors --data list.csv --split val";
    let found = bench.run(&format!("{eval} --json")).json().remove(0);
    assert_eq!((&found["task"], &found["total"]), (&"multi_label".into(), &16.into()));
    assert!(found["map"].as_f64().unwrap() > 0.9, "{found:?}");
    assert_eq!(found["classes"][0]["class"], "blue");
    let of = |field: &str| found[field].as_f64().unwrap();
    assert!((of("threshold") - of("best_threshold")).abs() < 1e-4, "chosen on these images");
    let lines = bench.run(eval).ok();
    assert!(
        lines.contains("mAP") && lines.contains("at threshold") && lines.contains("precision"),
        "{lines}"
    );
    // The same labels as columns of 0 and 1.
    let columns = bench.run(&format!("{eval} --label blue,dark --json")).json().remove(0);
    assert_eq!(columns, found);

    let predict = "predict --weights run/best.safetensors photos --json";
    let answers = bench.run(predict).json();
    assert_eq!(answers.len(), 60);
    for answer in &answers {
        let above = answer["top"].as_array().unwrap().iter().cloned();
        let above: Vec<_> =
            above.filter(|guess| guess["probability"].as_f64().unwrap() >= of("threshold")).collect();
        assert_eq!(answer["labels"].as_array(), Some(&above), "{answer:?}");
    }
    let counts: Vec<usize> =
        answers.iter().map(|answer| answer["labels"].as_array().unwrap().len()).collect();
    assert!(counts.contains(&1) && counts.contains(&2), "{counts:?}");
    // A threshold that nothing reaches.
    let mut strict = Checkpoint::read(bench.path("run/best.safetensors")).unwrap();
    strict.spec.task = Task::MultiLabel { threshold: 0.999_999_9 };
    strict.write(bench.path("strict.safetensors")).unwrap();
    let text = bench.run("predict --weights strict.safetensors photos/0.png").ok();
    assert!(text.contains("no class reaches 100.00%"), "{text}");
    for command in ["inspect run/best.safetensors", "summary run/best.safetensors"] {
        let said = bench.run(command).ok();
        assert!(said.contains("multi label, threshold 0."), "{said}");
    }
}

#[test]
fn several_labels_have_their_page_views_and_temperature() {
    let bench = Bench::new();
    network(&bench, 2);
    list(&bench);
    bench.run(&format!("{TRAIN} --task multi-label --out run")).ok();
    let page = std::fs::read_to_string(bench.path("run/report.html")).unwrap();
    for part in
        ["Mean average precision", "Labels by the threshold", "How often labels are there", "Worst images"]
    {
        assert!(page.contains(part), "{part}");
    }
    let eval = |weights: &str, flags: &str| {
        bench
            .run(&format!("eval --weights {weights} --data list.csv --split train {flags} --json"))
            .json()
            .remove(0)
    };
    bench.run("eval --weights run --data list.csv --split val --tta flip --report eval.html").ok();
    let page = std::fs::read_to_string(bench.path("eval.html")).unwrap();
    assert!(
        page.contains("mean of 2 views") && page.contains("data:image/png;base64,") && page.contains("says ")
    );
    let [plain, flipped, crops] = ["none", "flip", "flip+crops"]
        .map(|tta| eval("run", &format!("--tta {tta}"))["loss"].as_f64().unwrap());
    assert!(plain != flipped && flipped != crops, "{plain} {flipped} {crops}");
    // So sure as it is of what it learnt, it cannot be where the colour of every fifth image is wrong.
    write_list(&bench, "wrong.csv", |index| index % 5 == 0);
    let call = "calibrate --weights run --data wrong.csv --split train --out warm.safetensors --json";
    let found = bench.run(call).json().remove(0);
    assert!(found["loss"][1].as_f64() < found["loss"][0].as_f64(), "{found:?}");
    let [cold, warm] = ["run", "warm.safetensors"].map(|weights| eval(weights, ""));
    // The threshold moves with the probabilities, and no label changes.
    assert_eq!((&cold["f1"], &cold["map"]), (&warm["f1"], &warm["map"]));
    assert_ne!((&cold["ece"], &cold["threshold"]), (&warm["ece"], &warm["threshold"]));
    let labels = |weights: &str| -> Vec<Vec<String>> {
        let answers = bench.run(&format!("predict --weights {weights} photos --json")).json();
        let names = |answer: &serde_json::Map<String, serde_json::Value>| {
            let labels = answer["labels"].as_array().unwrap().iter();
            labels.map(|label| label["class"].as_str().unwrap().to_owned()).collect()
        };
        answers.iter().map(names).collect()
    };
    assert_eq!(labels("run"), labels("warm.safetensors"));
}

#[test]
fn numbers_have_their_page_and_views_and_no_temperature() {
    let bench = Bench::new();
    network(&bench, 2);
    list(&bench);
    let train = TRAIN.replace("--epochs 12", "--epochs 2");
    bench.run(&format!("{train} --task regression --label warmth,count --out run")).ok();
    let page = std::fs::read_to_string(bench.path("run/report.html")).unwrap();
    for part in ["Residuals of warmth", "predicted - true", "RMSE", "Worst images", "warmth: "] {
        assert!(page.contains(part), "{part}");
    }
    let eval = "eval --weights run --data list.csv --split val";
    let [plain, flipped] = ["none", "flip"].map(|tta| {
        let found = bench.run(&format!("{eval} --tta {tta} --report {tta}.html --json")).json().remove(0);
        found["targets"][0]["mae"].as_f64().unwrap()
    });
    assert_ne!(plain, flipped);
    bench.run("calibrate --weights run --data list.csv").refused(&["regression", "help:"]);
}

#[test]
fn a_trained_network_is_tuned_to_several_labels_and_to_numbers() {
    let bench = Bench::new().trained();
    list(&bench);
    let tune = "finetune --from run --data list.csv --batch-size 8 --epochs 1";
    let run = bench.run(&format!("{tune} --task multi-label --out labels"));
    assert!(run.stderr.contains("head alone: mAP ") && run.stderr.contains("epoch 0/1"), "{run:?}");
    run.ok();
    let found = bench.run("eval --weights labels --data list.csv --split val --json").json().remove(0);
    assert!(found["map"].as_f64().unwrap() > 0.8, "{found:?}");
    // Its recipe repeats it; from a network of the task no flag is needed, and its own head counts.
    bench.run("train --recipe labels/recipe.toml --threads 2 --out again").ok();
    assert_eq!(hashes(&bench.path("again/last.safetensors")), hashes(&bench.path("labels/last.safetensors")));
    let run = bench.run("finetune --from labels --data list.csv --head-only --out head");
    assert!(run.stderr.contains("head alone: mAP "), "{run:?}");
    run.ok();
    let run = bench.run(&format!("{tune} --task regression --label warmth,count --out numbers"));
    assert!(run.stderr.contains("head alone: MAE "), "{run:?}");
    run.ok();
    let found = bench.run("eval --weights numbers --data list.csv --split val --json").json().remove(0);
    assert!(found["targets"][0]["r2"].as_f64().unwrap() > 0.5, "{found:?}");
    // One of the targets, which keeps its standardisation, is another network's head.
    bench.run("finetune --from numbers --data list.csv --label warmth --head-only --out one").ok();
}

#[test]
fn numbers_go_from_a_list_to_predictions() {
    let bench = Bench::new();
    network(&bench, 2);
    list(&bench);
    let run =
        bench.run(&format!("{TRAIN} --task regression --label warmth,count --loss smooth-l1 --out run"));
    assert!(run.stderr.contains("MAE ") && run.stderr.contains("2 targets: warmth, count"), "{run:?}");
    run.ok();
    let eval = "eval --weights run/best.safetensors --data list.csv --split val";
    // The columns are those that the network was trained on.
    let found = bench.run(&format!("{eval} --json")).json().remove(0);
    assert_eq!(found["task"], "regression");
    let targets = found["targets"].as_array().unwrap();
    assert_eq!((&targets[0]["target"], &targets[1]["target"]), (&"warmth".into(), &"count".into()));
    assert!(
        targets[0]["mae"].as_f64().unwrap() < 3.0 && targets[0]["r2"].as_f64().unwrap() > 0.5,
        "{targets:?}"
    );
    assert!(bench.run(eval).ok().contains("RMSE"));
    let predict = "predict --weights run/best.safetensors photos/0.png photos/1.png";
    let found = bench.run(&format!("{predict} --json")).json();
    let warmth = |line: usize| found[line]["values"][0]["value"].as_f64().unwrap();
    assert!((warmth(0) - 20.5).abs() < 4.0 && (warmth(1) - 30.5).abs() < 4.0, "{found:?}");
    assert!(bench.run(predict).ok().contains("warmth  "));
    assert!(bench.run("inspect run/best.safetensors").ok().contains("regression of warmth, count"));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let bench = Bench::new();
    network(&bench, 2);
    list(&bench);
    bench.run(&format!("{TRAIN} --task regression --label label")).refused(&[
        "list.csv",
        "line 2",
        "finite number",
    ]);
    bench.run(&format!("{TRAIN} --task multi-label --loss mse")).refused(&["loss: mse", "help: "]);
    bench.run(&format!("{TRAIN} --task ranking")).refused(&["multi-label"]);
    bench.run(&format!("{TRAIN} --loss hinge")).refused(&["--loss", "focal"]);
    bench.run(&format!("{TRAIN} --task multi-label --class-weights pink=2")).refused(&["pink", "blue"]);
    bench.run(&format!("{TRAIN} --label blue,dark")).refused(&[
        "line 3",
        "columns of classes",
        "--task multi-label",
    ]);
    bench.run("train --resume run --task regression").refused(&["--resume"]);
}

#[test]
fn balanced_sampling_and_a_teacher_are_flags() {
    let bench = Bench::new().trained();
    let train = "train --model toy.toml --data data --epochs 1 --batch-size 5 --seed 4";
    let more = "--sampling balanced --class-weights balanced --loss focal --teacher run";
    for (flags, out) in [("", "plain"), (more, "taught"), (more, "again")] {
        bench.run(&format!("{train} {flags} --out {out}")).ok();
    }
    let of = |run: &str| hashes(&bench.path(run).join("last.safetensors"));
    assert_ne!(of("plain"), of("taught"));
    assert_eq!(of("taught"), of("again"));
    bench.run(&format!("{train} --teacher none.safetensors")).refused(&["none.safetensors"]);
}
