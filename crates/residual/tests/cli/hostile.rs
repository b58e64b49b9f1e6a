//! Specifications, lists and names that somebody else made: bounded, escaped, told apart.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use residual::weights::Checkpoint;

use crate::toy::{Bench, NETWORK, Run, picture};

/// Every command that reads a specification.
const READERS: [&str; 6] = [
    "summary SPEC",
    "doctor SPEC",
    "train --model SPEC --data data --epochs 1 --batch-size 5 --out run",
    "bench infer --model SPEC --seconds 0",
    "bench train --model SPEC --steps 1",
    "study gradflow --model SPEC --data data --batch-size 4 --out study",
];

fn each_refuses(bench: &Bench, spec: &str, parts: &[&str]) {
    for reader in READERS {
        let run = bench.run(&reader.replace("SPEC", spec));
        run.refused(parts);
        assert!(run.stderr.len() < 1000, "{run:?}");
    }
    assert!(!bench.path("run").exists() && !bench.path("study").exists());
}

#[test]
fn specifications_are_read_up_to_a_limit() {
    let bench = Bench::new();
    fs::write(bench.path("long.toml"), format!("# {}\n{NETWORK}", "x".repeat(5 << 20))).unwrap();
    each_refuses(&bench, "long.toml", &["long.toml: cannot read", "4194304 is the most"]);
    fs::File::create(bench.path("sparse.json")).unwrap().set_len(1 << 40).unwrap();
    each_refuses(&bench, "sparse.json", &["sparse.json: cannot read", "1099511627776 bytes"]);
    fs::create_dir(bench.path("folder.toml")).unwrap();
    each_refuses(&bench, "folder.toml", &["folder.toml: cannot read: a folder"]);
    fs::write(bench.path("bytes.toml"), b"name = \"\xff\"").unwrap();
    each_refuses(&bench, "bytes.toml", &["bytes.toml: cannot read: not text: byte 8"]);
    fs::write(bench.path("deep.json"), "[".repeat(1 << 20)).unwrap();
    each_refuses(&bench, "deep.json", &["deep.json"]);
    fs::write(bench.path("deep.toml"), format!("name = {}", "[".repeat(1 << 20))).unwrap();
    each_refuses(&bench, "deep.toml", &["deep.toml"]);
    let huge = NETWORK.replace("stride = 2", "stride = 2, repeat = 1000000000000");
    fs::write(bench.path("huge.toml"), huge).unwrap();
    each_refuses(&bench, "huge.toml", &["huge.toml", "more than 100000 blocks"]);
}

#[cfg(unix)]
#[test]
fn special_files_are_refused_at_once() {
    let bench = Bench::new().trained();
    assert!(std::process::Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    for (file, target, kind) in [("fifo", "fifo", "a FIFO"), ("zero", "/dev/zero", "a device")] {
        for name in [format!("{file}.toml"), format!("{file}.json"), format!("{file}.png")] {
            std::os::unix::fs::symlink(target, bench.path(&name)).unwrap();
        }
        for spec in [format!("{file}.toml"), format!("{file}.json")] {
            bench.run(&format!("summary {spec}")).refused(&[&spec, kind]);
            bench.run(&format!("doctor {spec}")).refused(&[&spec, kind]);
        }
        bench.run(&format!("verify {file}.json")).refused(&[file, kind]);
        let run = bench.run(&format!("predict --json --weights run/best.safetensors {file}.png data/test"));
        run.refused(&[&format!("{file}.png: {kind}, not a regular file")]);
        assert_eq!(run.json().len(), 8);
        fs::create_dir(bench.path(&format!("study-{file}"))).unwrap();
        std::os::unix::fs::symlink(
            bench.path(&format!("{file}.toml")),
            bench.path(&format!("study-{file}/study.toml")),
        )
        .unwrap();
        bench
            .run(&format!("study gradflow --repeat study-{file} --out again"))
            .refused(&["study.toml", kind]);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    let bench = Bench::new();
    fs::write(bench.path("marked.toml"), format!("\u{feff}{NETWORK}")).unwrap();
    let wanted = bench.run("summary toy.toml").ok();
    assert_eq!(bench.run("summary marked.toml").ok(), wanted);
    bench.run("doctor marked.toml").ok();
    let json = residual::arch::NetSpec::from_toml(NETWORK).unwrap().to_json().unwrap();
    fs::write(bench.path("marked.json"), format!("\u{feff}{json}")).unwrap();
    assert_eq!(bench.run("summary marked.json").ok(), wanted);
}

#[test]
fn errors_are_short_and_on_one_line() {
    let bench = Bench::new();
    let long = "x".repeat(100_000);
    for (text, part) in [
        (format!("{NETWORK}\n[{long}"), "line"),
        (NETWORK.replace("name = \"toy\"", &format!("name = \"{long}\" \"")), "line"),
        (NETWORK.replace("kernel", &long), "unknown field"),
        (NETWORK.replace("\"basic\"", &format!("\"{long}\"")), "unknown variant"),
    ] {
        fs::write(bench.path("long.toml"), text).unwrap();
        for reader in ["summary long.toml", "doctor long.toml", "-v summary long.toml"] {
            let run = bench.run(reader);
            run.refused(&["long.toml", part]);
            assert!(run.stderr.lines().all(|line| line.chars().count() <= 620), "{}", run.stderr.len());
        }
        assert_eq!(bench.run("summary long.toml").stderr.lines().count(), 1);
    }
    bench.run(&format!("summary {}", &long[..20_000])).refused(&["no network is called"]);
}

#[test]
fn names_cannot_command_the_terminal() {
    let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\rnet";
    let bench = Bench::new().trained();
    let mut trained = Checkpoint::read(bench.path("run/best.safetensors")).unwrap();
    trained.classes = vec![format!("{evil}0"), format!("{evil}\n1")];
    trained.spec.name = evil.to_owned();
    trained.write(bench.path("evil.safetensors")).unwrap();
    fs::write(bench.path("evil.toml"), trained.spec.to_toml().unwrap()).unwrap();
    let file = format!("{evil}\n.png");
    picture(0, 1, 8).save(bench.path(&file)).unwrap();
    fs::write(bench.path(&format!("{evil}2.png")), "no image").unwrap();
    let list = bench.path("list");
    fs::write(&list, format!("{evil}2.png\n{evil}3.png\n")).unwrap();
    for call in [
        "predict --weights evil.safetensors --explain maps .",
        "predict --weights evil.safetensors --json .",
        "predict --weights evil.safetensors -",
        "summary evil.toml",
        "summary evil.safetensors --json",
        "doctor evil.toml --json",
        "doctor evil.toml",
        "doctor --weights evil.safetensors --data data",
        "eval --weights evil.safetensors --data data",
        "bench infer --model evil.toml --seconds 0",
        "train --model evil.toml --data data --epochs 1 --batch-size 5 --out r",
        "convert evil.safetensors /nowhere/\u{1b}.safetensors",
        "summary \u{1b}[31m.toml",
    ] {
        let run = Run::of(bench.command(call).stdin(fs::File::open(&list).unwrap()).output().unwrap());
        let is_plain = |text: &str| text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}'));
        assert!(is_plain(&run.stdout) && is_plain(&run.stderr), "{call}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{call}: {run:?}");
        assert!(!(run.stdout.clone() + &run.stderr).is_empty(), "{call}");
    }
    let json = bench.run("predict --weights evil.safetensors --json .").json();
    let answered = json.iter().any(|line| line["file"].as_str().unwrap().ends_with(&file));
    assert!(answered, "{json:?}");
    assert!(json[0]["top"][0]["class"].as_str().unwrap().contains(evil), "{json:?}");
}

#[test]
fn images_of_another_number_of_channels_are_refused() {
    let bench = Bench::new();
    let four =
        NETWORK.replace("[3, 8, 8]", "[4, 8, 8]") + "[preprocess]\nmean = [0, 0, 0, 0]\nstd = [1, 1, 1, 1]\n";
    fs::write(bench.path("spec.toml"), four).unwrap();
    assert_eq!(bench.run("doctor spec.toml").code, Some(0));
    for call in
        ["doctor spec.toml --data data", "train --model spec.toml --data data --batch-size 5 --out run"]
    {
        bench.run(call).refused(&["channels, where 4 are expected"]);
    }
    assert!(!bench.path("run").exists());
}

#[test]
fn the_doctor_refuses_what_training_refuses() {
    let bench = Bench::new();
    let preprocess = |text: &str| {
        format!("{NETWORK}\n[preprocess]\nmean = [0.5, 0.5, 0.5]\nstd = [1.0, 1.0, 1.0]\n{text}\n")
    };
    let cases = [
        (preprocess("resize = { shorter_side = 0 }"), "impossible"),
        (preprocess("resize = { shorter_side = 1000000000000 }"), "impossible"),
        (preprocess("resize = { exact = [0, 8] }"), "impossible"),
        (preprocess("resize = { shorter_side = 4096 }"), "impossible"),
        (preprocess("resize = { exact = [8, 9223372036854775807] }"), "impossible"),
        (preprocess("crop = [0, 0]"), "impossible"),
        (preprocess("crop = [1000000, 1000000]"), "impossible"),
        (NETWORK.replace("[3, 8, 8]", "[3, 1000000, 1000000]"), "impossible"),
        (NETWORK.replace("[3, 8, 8]", "[3, 0, 8]"), "impossible"),
        (NETWORK.replace("classes = 2", "classes = 1000000000000"), "too_large"),
        (NETWORK.replace("kernel = 3", "kernel = 1000001, padding = 500000"), "too_large"),
    ];
    for (text, kind) in cases {
        fs::write(bench.path("spec.toml"), &text).unwrap();
        for call in ["doctor spec.toml --json", "doctor spec.toml --data data --json"] {
            let run = bench.run(call);
            assert_eq!(run.code, Some(1), "{call}, {text}: {run:?}");
            let report = run.json().remove(0);
            let found = report["findings"].as_array().unwrap().iter().any(|finding| finding["kind"] == kind);
            assert!(found, "{call}, {text}: {report:?}");
        }
        if kind == "too_large" {
            continue;
        }
        let train = bench.run("train --model spec.toml --data data --epochs 1 --batch-size 5 --out run");
        train.refused(&[]);
        assert!(!bench.path("run").exists(), "{text}");
    }
}

#[test]
fn networks_beyond_all_memory_are_refused_with_their_size() {
    let bench = Bench::new();
    fs::write(bench.path("wide.toml"), NETWORK.replace("classes = 2", "classes = 1000000000000")).unwrap();
    for call in ["bench infer --model wide.toml", "bench train --model wide.toml"] {
        bench.run(call).refused(&["`toy` with 9,000,000,0", "needs", " TB"]);
    }
    bench.run("bench infer --model toy.toml --batch 18446744073709551615").refused(&["needs"]);
    bench.run("bench train --model toy.toml --batch 4294967295 --size 8192").refused(&["needs"]);
    // Its table needs none.
    bench.run("summary wide.toml").ok();
}

#[test]
fn a_list_that_is_none_is_an_error_and_no_hang() {
    let bench = Bench::new().trained();
    let mut command = bench.command("predict --json --weights run/best.safetensors -");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut list = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || {
        list.write_all(b"data/test/azure/00.png\n").unwrap();
        let piece = vec![0u8; 1 << 20];
        // Without end, until nobody reads.
        while list.write_all(&piece).is_ok() {}
    });
    let run = Run::of(child.wait_with_output().unwrap());
    feed.join().unwrap();
    run.refused(&["standard input, line 2: longer than any path"]);
    assert_eq!(run.json().len(), 1);
}

#[test]
fn a_study_leaves_other_files_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.path("mine")).unwrap();
    fs::write(bench.path("mine/report.html"), "my report").unwrap();
    bench.run("study bottleneck --depths 8 --runs 1 --batch 1 --out mine").refused(&["mine", "--out"]);
    assert_eq!(fs::read_to_string(bench.path("mine/report.html")).unwrap(), "my report");
    assert_eq!(fs::read_dir(bench.path("mine")).unwrap().count(), 1);
}
