//! Ctrl-C and sudden ends, at whatever step they come.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::toy::{Bench, Run};

const TRAIN: &str =
    "train --model toy.toml --data data --epochs 60 --batch-size 5 --checkpoint-every 3 --seed 9";

/// Sends a signal to the process.
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid]).status().unwrap();
    assert!(status.success());
}

/// Waits until the run has finished so many passes, and a moment that is another one each time.
fn wait_for_passes(run: &Path, passes: usize) {
    let begin = Instant::now();
    let lines = || std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count());
    while lines() < passes {
        assert!(begin.elapsed() < Duration::from_secs(120), "the training does not get on");
        std::thread::sleep(Duration::from_millis(1));
    }
    let moment = begin.elapsed().subsec_nanos() % 7_000_000;
    std::thread::sleep(Duration::from_nanos(moment.into()));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --out whole")).ok();
    let mut call = format!("{TRAIN} --out stopped");
    for passes in [3, 20, 50] {
        let child = bench.command(&call).spawn().unwrap();
        wait_for_passes(&bench.path("stopped"), passes);
        signal(&child, "INT");
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(130), "{run:?}");
        assert!(run.stderr.contains("residual train --resume stopped"), "{run:?}");
        call = "train --resume stopped".to_owned();
    }
    bench.run(&call).ok();
    bench.same_as_whole("stopped");
}

/// Whether hangups are ignored here and so in every program that is started from here, as under `nohup`.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & 1 == 1)
}

#[test]
fn a_terminal_that_closes_saves_the_run() {
    if ignores_hangups() {
        eprintln!("skipped: hangups are ignored here");
        return;
    }
    let bench = Bench::new();
    let child = bench.command(&format!("{TRAIN} --out hung")).spawn().unwrap();
    wait_for_passes(&bench.path("hung"), 3);
    // A shell and the kernel each send one.
    signal(&child, "HUP");
    signal(&child, "HUP");
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.stderr.contains("residual train --resume hung"), "{run:?}");
    let resumed = bench.run("train --resume hung");
    assert!(!resumed.stderr.contains("after step 0 "), "{resumed:?}");
    resumed.ok();
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let bench = Bench::new();
    let mut shell = Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    shell.args(["-c", script, env!("CARGO_BIN_EXE_residual")]).args(TRAIN.split_whitespace());
    shell.args(["--out", "kept"]).current_dir(bench.path(""));
    let child = shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_passes(&bench.path("kept"), 3);
    signal(&child, "HUP");
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn a_killed_run_loses_no_checkpoint_and_goes_on_to_the_same_bits() {
    let bench = Bench::new();
    bench.run(&format!("{TRAIN} --out whole")).ok();
    let mut call = format!("{TRAIN} --out killed");
    for passes in [3, 20, 50] {
        let mut child = bench.command(&call).spawn().unwrap();
        wait_for_passes(&bench.path("killed"), passes);
        signal(&child, "KILL");
        assert_eq!(child.wait().unwrap().code(), None);
        bench.run("predict --weights killed/best.safetensors data/test").ok();
        call = "train --resume killed".to_owned();
    }
    bench.run(&call).ok();
    bench.same_as_whole("killed");
}

#[test]
fn an_interrupted_study_keeps_what_is_finished() {
    let bench = Bench::new();
    let call =
        "study depth --depths 8 --kinds plain --steps 4 --seeds 2000 --batch-size 5 --data data --out grid";
    let child = bench.command(call).spawn().unwrap();
    let results = bench.path("grid/results.jsonl");
    let lines = || std::fs::read_to_string(&results).map_or(0, |text| text.lines().count());
    let begin = Instant::now();
    while lines() < 2 {
        assert!(begin.elapsed() < Duration::from_secs(120), "the study does not get on");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "INT");
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{run:?}");
    assert!(run.stderr.contains("residual study depth --repeat grid --out grid"), "{run:?}");
    assert!((2..2000).contains(&lines()), "{run:?}");
    let page = std::fs::read_to_string(bench.path("grid/report.html")).unwrap();
    assert!(page.contains(&format!("{} of 2000 trainings", lines())), "{page}");
}
