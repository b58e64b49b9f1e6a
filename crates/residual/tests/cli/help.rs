//! What every command has in common: help, width, JSON alone, closed and full outputs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::toy::{Bench, Run, file_hash};

const COMMANDS: [&str; 23] = [
    "train",
    "finetune",
    "lr-find",
    "eval",
    "calibrate",
    "predict",
    "quantize",
    "summary",
    "draw",
    "verify",
    "models",
    "get",
    "inspect",
    "convert",
    "average",
    "export",
    "import",
    "bench",
    "data",
    "doctor",
    "study",
    "recipes",
    "runs",
];

#[test]
fn every_command_has_help_with_an_example() {
    let bench = Bench::new();
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let help = bench.run(&format!("{command} {flag}")).ok();
            let example = help.split("Example").nth(1).unwrap_or_default();
            assert!(example.contains(&format!("residual {command}")), "{help}");
        }
    }
    let top = bench.run("--help").ok();
    assert!(COMMANDS.iter().all(|command| top.contains(command)), "{top}");
}

#[test]
fn everything_fits_80_columns() {
    let bench = Bench::new().trained();
    let mut calls = vec![
        "models".to_owned(),
        "summary resnext101_64x4d".into(),
        "summary cifar_preact164 --input 3x64x64".into(),
        "summary seresnet152".into(),
        "summary resnet50.a1_in1k --toml".into(),
        "get --list".into(),
        "eval --weights run/best.safetensors --data data".into(),
        "predict --weights run/best.safetensors data/test".into(),
        format!("verify {}/../testkit/golden", env!("CARGO_MANIFEST_DIR")),
        "doctor --weights run/best.safetensors --data data".into(),
        "data data --model resnet18".into(),
        "train --model toy.toml --data data --epochs 2 --batch-size 5 --out narrow".into(),
    ];
    calls.push("bench infer --help".into());
    calls.push("bench data --help".into());
    for study in ["depth", "gradflow", "lesion", "landscape", "bottleneck"] {
        calls.push(format!("study {study} --help"));
    }
    calls.push("bench infer --model toy.toml --seconds 0 --layers".into());
    calls.extend(COMMANDS.map(|command| format!("{command} --help")));
    for call in calls {
        let run = bench.run(&call);
        for line in run.stdout.lines().chain(run.stderr.lines()) {
            assert!(line.chars().count() <= 80, "{call}: {line}");
        }
        assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'), "{call}: colours in a pipe");
        run.ok();
    }
}

#[test]
fn json_is_alone_on_standard_output() {
    let bench = Bench::new().trained();
    let golden = format!("{}/../testkit/golden/basic_block_32.json", env!("CARGO_MANIFEST_DIR"));
    let calls: [(&str, &[&str]); 7] = [
        ("models --json", &["model", "parameters", "macs"]),
        ("summary resnet18 --json", &["parameters", "macs", "blocks"]),
        (
            "eval --weights run/best.safetensors --data data --json",
            &["top1_correct", "top5_correct", "total", "loss"],
        ),
        ("predict --weights run/best.safetensors data/test --json", &["file", "top"]),
        (&format!("verify {golden} --json"), &["model", "ok", "worst"]),
        ("data data --json", &["data", "images", "classes", "splits", "duplicates", "loader", "findings"]),
        (
            "bench infer --model toy.toml --seconds 0 --json",
            &["median_ms", "min_ms", "images_per_s", "gflops", "peak_rss_mib"],
        ),
    ];
    for (call, fields) in calls {
        let objects = bench.run(call).json();
        assert!(!objects.is_empty(), "{call}");
        for object in objects {
            assert!(fields.iter().all(|field| object.contains_key(*field)), "{call}: {object:?}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    for call in ["models", "models --json", "summary cifar_resnet1202", "draw resnet18 --out -", "data data"]
    {
        let mut child = bench.command(call).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // The pipe is closed here, most of the output unread.
        let run = Run::of(child.wait_with_output().unwrap());
        assert!(!line.is_empty());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{call}");
    }
}

#[test]
fn a_training_goes_on_when_nobody_reads_any_more() {
    let bench = Bench::new();
    let call = "train --model toy.toml --data data --epochs 3 --batch-size 5 --out";
    bench.run(&format!("{call} whole")).ok();
    let mut child = bench.command(&format!("{call} run")).spawn().unwrap();
    // As `2>&1 | head -1` does.
    let (mut line, stderr) = (String::new(), child.stderr.take().unwrap());
    BufReader::new(stderr).read_line(&mut line).unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "{line}");
    let weights = |run: &str| file_hash(&bench.path(run).join("best.safetensors"));
    assert_eq!(weights("run"), weights("whole"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_residual"));
    let output = command.args(["models", "--json"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    Run::of(output).refused(&["standard output", "No space left"]);
}

#[test]
fn causes_are_shown_when_asked_for() {
    let bench = Bench::new();
    let plain = bench.run("summary nowhere.toml");
    plain.refused(&["nowhere.toml"]);
    assert_eq!(plain.stderr.lines().count(), 1, "{plain:?}");
    bench.run("-v verify nowhere.json").refused(&["nowhere.json", "caused by: No such file"]);
}

#[test]
fn a_wrong_call_is_exit_code_2() {
    let bench = Bench::new();
    let calls =
        ["", "nonsense", "train --epochs x", "summary", "summary small --input 3x32", "eval --data data"];
    for call in calls {
        assert_eq!(bench.run(call).code, Some(2), "{call}");
    }
}
