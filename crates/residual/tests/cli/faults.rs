//! Faults in the middle of a training: two processes, things that vanish, and ends at any moment.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::toy::{Bench, Run, file_hash};

const TRAIN: &str =
    "train --model toy.toml --data data --batch-size 5 --checkpoint-every 3 --seed 9 --cache off";

fn wait_for(path: &Path) {
    let begin = Instant::now();
    while !path.exists() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_second_process_is_refused() {
    let bench = Bench::new();
    let mut first = bench.command(&format!("{TRAIN} --epochs 100000 --out run")).spawn().unwrap();
    wait_for(&bench.path("run/best.safetensors"));
    bench.run("train --resume run").refused(&["run", "another process"]);
    bench.run(&format!("{TRAIN} --epochs 1 --out run")).refused(&["run"]);
    // Who only looks is let in, and disturbs nobody.
    assert_eq!(bench.run("runs run --json").json()[0]["state"], "running");
    assert!(first.try_wait().unwrap().is_none(), "the first process goes on");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(bench.run("runs run --json").json()[0]["state"], "interrupted");
}

#[test]
fn a_vanished_image_is_an_error_and_nothing_is_lost() {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --epochs 40 --out whole")).ok();
    let child = bench.command(&format!("{TRAIN} --epochs 40 --out run")).spawn().unwrap();
    wait_for(&bench.path("run/best.safetensors"));
    let classes = fs::read_dir(bench.path("data/train")).unwrap().next().unwrap().unwrap().path();
    let image = fs::read_dir(classes).unwrap().next().unwrap().unwrap().path();
    let away = bench.path("away.png");
    fs::rename(&image, &away).unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    run.refused(&[image.file_name().unwrap().to_str().unwrap()]);
    assert_eq!(bench.run("runs run --json").json()[0]["state"], "failed");
    fs::rename(&away, &image).unwrap();
    bench.run("train --resume run").ok();
    bench.same_as_whole("run");
    assert_eq!(bench.run("runs run --json").json()[0]["state"], "finished");
}

#[test]
fn a_folder_that_is_removed_is_an_error() {
    let bench = Bench::new();
    let child = bench.command(&format!("{TRAIN} --epochs 100000 --out run")).spawn().unwrap();
    wait_for(&bench.path("run/best.safetensors"));
    fs::rename(bench.path("run"), bench.path("elsewhere")).unwrap();
    Run::of(child.wait_with_output().unwrap()).refused(&["run"]);
    // What was saved is where the folder is now.
    bench.run("predict --weights elsewhere/best.safetensors data/test").ok();
}

#[test]
fn recipes_with_all_kinds_of_state_are_killed_and_go_on_to_the_same_bits() {
    let bench = Bench::new();
    let train = "train --recipe cifar-fast --optimiser adamw --mixup 0.2 --model toy.toml --data data --epochs 30 \
                 --batch-size 5 --checkpoint-every 2";
    bench.run(&format!("{train} --out whole")).ok();
    let mut call = format!("{train} --out run");
    let mut state = 1u64;
    for _ in 0..10 {
        let mut child = bench.command(&call).spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(20 + (state >> 33) % 300));
        let _ = child.kill();
        child.wait().unwrap();
        if bench.path("run/recipe.toml").exists() {
            call = "train --resume run".to_owned();
        }
    }
    bench.run(&call).ok();
    bench.same_as_whole("run");
}

/// Interrupts a study in the folder `grid` again and again, at least once in the middle of a training, until it is done.
fn interrupt_to_the_end(bench: &Bench, call: &str) {
    let mut kept = 0;
    for round in 0.. {
        assert!(round < 200, "the study does not get on");
        let child = bench.command(call).spawn().unwrap();
        wait_for(&bench.path("grid/study.toml"));
        std::thread::sleep(Duration::from_millis(300 + 37 * round));
        let pid = child.id().to_string();
        let _ = Command::new("sh").args(["-c", "kill -s INT \"$0\" 2>/dev/null", &pid]).status().unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        if run.code == Some(0) {
            break;
        }
        assert_eq!(run.code, Some(130), "{run:?}");
        kept += usize::from(bench.path("grid/cell.safetensors").exists());
    }
    assert!(kept > 0, "no interruption came in the middle of a training");
    assert!(!bench.path("grid/cell.safetensors").exists());
}

#[test]
fn a_training_of_gradflow_goes_on_where_it_was_interrupted() {
    let bench = Bench::new();
    let call = "study gradflow --model toy.toml --data data --batch-size 5 --no-norm --steps 100 --out";
    bench.run(&format!("{call} whole")).ok();
    interrupt_to_the_end(&bench, &format!("{call} grid"));
    let lines = |run: &str| fs::read_to_string(bench.path(run).join("results.jsonl")).unwrap();
    assert_eq!(lines("grid"), lines("whole"));
}

#[test]
fn a_cell_of_a_study_goes_on_where_it_was_interrupted() {
    let bench = Bench::new();
    let call = "study depth --depths 8 --kinds residual --steps 150 --seeds 1 --evaluations 3 --batch-size 5 --data data";
    bench.run(&format!("{call} --out whole")).ok();
    interrupt_to_the_end(&bench, &format!("{call} --out grid"));
    let network = |run: &str| file_hash(&bench.path(run).join("networks/residual-8-0.safetensors"));
    assert_eq!(network("grid"), network("whole"));
    let points = |run: &str| {
        let text = fs::read_to_string(bench.path(run).join("results.jsonl")).unwrap();
        let cell: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        cell["points"].clone()
    };
    assert_eq!(points("grid"), points("whole"));
}

#[test]
fn a_terminal_shows_bars_and_curves() {
    let bench = Bench::new();
    let train = format!("{TRAIN} --epochs 60 --out run");
    let run = |setting: &str| {
        let call = format!("{setting} exec {} {train}", env!("CARGO_BIN_EXE_residual"));
        let mut script = Command::new("script");
        let output = script.args(["-qec", &call, "/dev/null"]).current_dir(bench.path(".")).output();
        fs::remove_dir_all(bench.path("run")).ok();
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(text) = run("stty cols 70 rows 20; LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=") else {
        eprintln!("skipped: no program `script` that lends a terminal");
        return;
    };
    for part in ["━", "▁", " of 60  ", " left", "img/s", "data ", "\u{1b}[36m", "best "] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("\u{1b}[?25l"), "the cursor stays visible");
    let colourless = run("stty cols 70 rows 20; LC_ALL=C.UTF-8 TERM=xterm NO_COLOR=1").unwrap();
    assert!(colourless.contains('━') && !colourless.contains("\u{1b}[36m"), "{colourless}");
    let dumb = run("TERM=dumb").unwrap();
    assert!(dumb.contains("epoch 60/60  test") && !dumb.contains('\u{1b}'), "{dumb}");
    let ascii = run("stty cols 30 rows 20; LC_ALL=C TERM=xterm").unwrap();
    assert!(!ascii.contains('━') && ascii.contains("epoch "), "{ascii}");
}
