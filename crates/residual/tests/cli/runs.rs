//! `residual runs` and `residual recipes`, and what a training leaves for others to look at.

use std::fs;

use crate::toy::Bench;

const TRAIN: &str = "train --model toy.toml --data data --batch-size 5 --seed 9";

/// Three runs: one finished, one with another rate that was not trained to its end, one that diverged; and a folder that
/// is broken.
fn runs() -> Bench {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --epochs 3 --lr 0.05 --out all/finished")).ok();
    bench.run(&format!("{TRAIN} --epochs 2 --lr 0.02 --schedule constant --out all/more/stopped")).ok();
    // As a process leaves it that was killed in the last epoch.
    let metrics = bench.path("all/more/stopped/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, lines.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    bench.run(&format!("{TRAIN} --epochs 2 --lr 1e30 --out all/diverged")).refused(&["diverged"]);
    fs::create_dir_all(bench.path("all/broken")).unwrap();
    fs::write(bench.path("all/broken/recipe.toml"), "epochs = \"three\"\n").unwrap();
    bench
}

#[test]
fn runs_are_compared() {
    let bench = runs();
    let run = bench.run("runs all");
    assert!(run.stderr.contains("left out: ") && run.stderr.contains("broken"), "{run:?}");
    let text = run.ok();
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
    for (name, state, epochs) in
        [("finished", "done", " 3/3 "), ("stopped", "stopped", " 1/2 "), ("diverged", "diverged", " 0/2 ")]
    {
        assert!(line(name).contains(state) && line(name).contains(epochs), "{text}");
    }
    assert!(
        text.contains("stopped: epochs = 2, ") && text.contains("schedule.kind = \"constant\""),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 240), "{text}");

    let all = bench.run("runs all --json --sort name").json();
    let names: Vec<_> = all.iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["all/diverged", "all/finished", "all/more/stopped"]);
    assert_eq!((all[0]["state"].as_str(), all[1]["state"].as_str()), (Some("diverged"), Some("finished")));
    assert!(all[0]["error"].as_str().unwrap().contains("the training diverged"), "{all:?}");
    assert_eq!(all[1]["differs"]["lr"], "0.05");
    assert!(all[1]["parameters"].as_u64().unwrap() > 500 && all[1]["best"]["top1"].is_number(), "{all:?}");
    // The same run, by three ways.
    assert_eq!(bench.run("runs all all/finished all --json").json().len(), 3);
}

#[test]
fn runs_make_a_page() {
    let bench = runs();
    bench.run("runs all --out page.html").ok();
    let page = fs::read_to_string(bench.path("page.html")).unwrap();
    for part in ["<svg", "Accuracy or score", "finished", "diverged", "Left out", "prefers-color-scheme:dark"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
}

#[test]
fn a_place_without_runs_is_said() {
    let bench = Bench::new();
    bench.run("runs data").refused(&["data", "no runs in it", "help: "]);
    bench.run("runs nowhere").refused(&["nowhere"]);
}

#[test]
fn a_diverged_run_that_goes_on_is_one_no_more() {
    let bench = runs();
    let file = bench.path("all/finished/error.json");
    fs::write(&file, r#"{"diverged":true,"error":"loss"}"#).unwrap();
    assert_eq!(bench.run("runs all/finished --json").json()[0]["state"], "diverged");
    bench.run("train --resume all/finished").ok();
    assert!(!file.exists());
    assert_eq!(bench.run("runs all/finished --json").json()[0]["state"], "finished");
}

#[test]
fn recipes_are_listed_and_printed_and_trained_by() {
    let bench = Bench::new();
    let text = bench.run("recipes").ok();
    assert!(text.contains("cifar-he2015: 182 epochs") && text.contains("not run here"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let listed = bench.run("recipes --json").json();
    assert!(listed.iter().all(|recipe| !recipe["source"].as_str().unwrap().is_empty()));
    let toml = bench.run("recipes cifar-fast").ok();
    fs::write(bench.path("mine.toml"), toml).unwrap();
    let flags = "--model toy.toml --data data --epochs 1 --batch-size 5";
    bench.run(&format!("train --recipe cifar-fast {flags} --out named")).ok();
    bench.run(&format!("train --recipe mine.toml {flags} --out mine")).ok();
    let recipe = |run: &str| fs::read_to_string(bench.path(run).join("recipe.toml")).unwrap();
    assert!(recipe("named").contains("name = \"cifar-fast\"") && recipe("named").contains("[ema]"));
    assert_eq!(recipe("named"), recipe("mine"));
    bench.run("train --recipe cifar-fats").refused(&["cifar-fats", "known: first, cifar-he2015"]);
    bench.run("recipes cifar-fats").refused(&["cifar-fats"]);
}

#[test]
fn every_process_writes_an_event_file() {
    let bench = Bench::new();
    let count = |folder: &str| {
        let entries = fs::read_dir(bench.path(folder)).unwrap().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("events.out.tfevents."))
            .count()
    };
    bench.run(&format!("{TRAIN} --epochs 1 --schedule constant --out run --tensorboard")).ok();
    assert_eq!(count("run"), 1);
    bench.run("train --resume run --epochs 2 --tensorboard").ok();
    assert_eq!(count("run"), 2);
    bench.run(&format!("{TRAIN} --epochs 1 --out other --tensorboard logs/a")).ok();
    assert_eq!((count("other"), count("logs/a")), (0, 1));
    bench.run(&format!("{TRAIN} --epochs 1 --out third --tensorboard toy.toml")).refused(&["toy.toml"]);
}
