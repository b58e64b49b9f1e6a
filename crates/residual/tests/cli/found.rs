//! What is found in a folder of data: what commands say of it, and what they leave out.

use std::fs;

use crate::toy::{Bench, picture};

const TRAIN: &str = "train --model toy.toml --epochs 1 --batch-size 5";

#[test]
fn a_training_begins_with_the_names_of_its_classes() {
    let bench = Bench::new();
    fs::rename(bench.path("data/train"), bench.path("data/Training")).unwrap();
    fs::rename(bench.path("data/test"), bench.path("data/seg_test")).unwrap();
    fs::rename(bench.path("data/Training"), bench.path("data/seg_train")).unwrap();
    fs::write(bench.path("data/seg_train/azure/1.heic"), "x").unwrap();
    fs::create_dir_all(bench.path("data/extra")).unwrap();
    picture(0, 1, 8).save(bench.path("data/extra/1.png")).unwrap();
    let run = bench.run(&format!("{TRAIN} --data data --out run"));
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines[0], "2 classes: azure, brick");
    assert!(run.stderr.contains("/data: 20 images, 8 more (test) to evaluate on\n"), "{run:?}");
    assert_eq!(lines[1], "left out, beside the splits: extra (1 image)");
    assert_eq!(
        lines[2],
        "left out 1 file in class folders that is not named as an image: 1 .heic (seg_train/azure/1.heic)"
    );
    run.ok();
    for command in ["doctor toy.toml --data data", "eval --weights run/best.safetensors --data data"] {
        let run = bench.run(command);
        assert!(run.stderr.contains("left out 1 file in class folders"), "{run:?}");
    }
    let run = bench.run("doctor toy.toml --data data --json");
    assert!(run.stderr.starts_with("data: 2 classes: azure, brick\n"), "{run:?}");
    run.json();
}

#[test]
fn a_run_inside_the_data_is_no_class() {
    let bench = Bench::new();
    fs::rename(bench.path("data/train"), bench.path("photos")).unwrap();
    let train = |out: &str| bench.run(&format!("{TRAIN} --data photos --out {out}"));
    train("photos/runs/1").ok();
    let again = train("photos/runs/2");
    assert!(again.stderr.starts_with("2 classes: azure, brick\n"), "{again:?}");
    assert!(again.stderr.contains("left out 1 folder of a training run: not data (runs/1)"), "{again:?}");
    again.ok();
    bench.run("train --resume photos/runs/1").ok();
}

#[cfg(unix)]
#[test]
fn special_files_keep_no_command_waiting() {
    let bench = Bench::new().trained();
    let fifo = bench.path("data/test/azure/f.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let predict = "predict --weights run/best.safetensors --json";
    for arguments in ["data/test", "data/test/azure/f.jpg data/test"] {
        let run = bench.run(&format!("{predict} {arguments}"));
        run.refused(&["f.jpg: a FIFO, not a regular file"]);
        assert_eq!(run.json().len(), 8);
    }
    bench.run(&format!("{predict} /dev/zero")).refused(&["/dev/zero: a device, not a regular file"]);
    bench.run(&format!("{TRAIN} --data data --out next")).refused(&["f.jpg: a FIFO"]);
    assert!(!bench.path("next").exists());
    let eval = "eval --weights run/best.safetensors --data data";
    bench.run(eval).refused(&["f.jpg: a FIFO"]);
    let run = bench.run(&format!("{eval} --skip-bad"));
    assert!(run.stderr.contains("left out 1 file or folder that cannot be read: "), "{run:?}");
    run.ok();
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_named_itself() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new().trained();
    let closed = bench.path("data/test/brick");
    let mode = |mode| fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    mode(0);
    let readable = fs::read_dir(&closed).is_ok();
    let run = bench.run("predict --weights run/best.safetensors --json data/test");
    mode(0o755);
    if readable {
        println!("skipped: this user may read everything");
        return;
    }
    run.refused(&["data/test/brick: cannot read"]);
    assert_eq!(run.json().len(), 4);
}

#[test]
fn a_folder_called_sample_is_said() {
    let bench = Bench::new();
    fs::rename(bench.path("data"), bench.path("sample")).unwrap();
    let run = bench.run("doctor toy.toml --data ./sample");
    assert!(run.stderr.starts_with("./sample: 2 classes: azure, brick"), "{run:?}");
    let run = bench.run("doctor small --data sample");
    assert!(run.stderr.starts_with("sample: 10 classes: airplane"), "{run:?}");
    assert!(run.stderr.contains("`sample` is the sample that is built in"), "{run:?}");
}
