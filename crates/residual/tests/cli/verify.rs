//! `residual verify`.

use serde_json::Value;

use crate::toy::Bench;

fn golden(name: &str) -> String {
    format!("{}/../testkit/golden/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A golden file with a change, as `changed.json`.
fn changed(bench: &Bench, name: &str, change: impl FnOnce(&mut Value)) {
    let mut file: Value = serde_json::from_str(&std::fs::read_to_string(golden(name)).unwrap()).unwrap();
    change(&mut file);
    std::fs::write(bench.path("changed.json"), file.to_string()).unwrap();
}

#[test]
fn the_golden_files_hold() {
    let bench = Bench::new();
    let files = std::fs::read_dir(golden("")).unwrap().count();
    for path in ["stock", "fused"] {
        let lines = bench.run(&format!("verify --path {path} {} --json", golden(""))).json();
        assert!(lines.len() == files && lines.iter().all(|line| line["ok"] == true), "{lines:?}");
    }
}

#[test]
fn the_engine_holds_them_too() {
    let bench = Bench::new();
    let files = std::fs::read_dir(golden("")).unwrap().count();
    let call = format!("verify {} --path engine --json", golden(""));
    let lines = bench.run(&call).json();
    assert_eq!(lines.len(), files);
    assert!(lines.iter().all(|line| line["ok"] == true), "{lines:?}");
    assert!(lines.iter().all(|line| line["worst"]["tensor"] == "eval_output"), "{lines:?}");

    changed(&bench, "basic_block_32.json", |file| file["eval_output"]["sum"] = 1e3.into());
    assert_eq!(bench.run("verify changed.json --path engine").code, Some(1));
    changed(&bench, "small_resnet.json", |file| file["input_shape"] = serde_json::json!([4, 3, 0, 32]));
    bench.run("verify changed.json --path engine").refused(&["changed.json", "at least one"]);
    changed(&bench, "basic_block_32.json", |file| file["input_shape"] = serde_json::json!([2, 16, 8, 8]));
    bench.run("verify changed.json --path engine").refused(&["changed.json"]);
}

#[test]
fn a_wrong_number_fails_and_is_named() {
    let bench = Bench::new();
    // Whatever sides the values before its ReLUs are on.
    changed(&bench, "small_resnet.json", |file| file["grads"]["head.2.weight"]["sum"] = 1e3.into());
    let run = bench.run("verify changed.json --path fused --json");
    assert_eq!(run.code, Some(1), "{run:?}");
    let line = run.json().remove(0);
    assert_eq!((&line["model"], &line["ok"]), (&"small_resnet".into(), &false.into()));
    assert_eq!(
        (&line["worst"]["tensor"], &line["worst"]["part"]),
        (&"grads.head.2.weight".into(), &"sum".into())
    );

    let run = bench.run(&format!("verify changed.json {}", golden("basic_block_32.json")));
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("FAILED  small_resnet") && run.stdout.contains("1 of 2 hold"), "{run:?}");
}

#[test]
fn wrong_counts_names_and_shapes_fail() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 4] = [
        ("parameters", |file| file["parameters"] = 1.into()),
        ("MACs", |file| file["macs_per_image"] = 1.into()),
        ("no such tensor", |file| {
            drop(file["running"].as_object_mut().unwrap().remove("stem.1.running_mean"))
        }),
        ("shape", |file| file["eval_output"]["shape"] = serde_json::json!([4, 11])),
    ];
    let bench = Bench::new();
    for (part, change) in changes {
        changed(&bench, "small_resnet.json", change);
        let run = bench.run("verify changed.json");
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.stdout.contains(part), "{run:?}");
    }
}

#[test]
fn what_cannot_be_checked_is_an_error_and_the_rest_goes_on() {
    let bench = Bench::new();
    std::fs::write(bench.path("broken.json"), "{").unwrap();
    let run = bench.run(&format!("verify broken.json {} --json", golden("basic_block_32.json")));
    run.refused(&["broken.json", "not a golden reference"]);
    assert_eq!(run.json().len(), 1);
    changed(&bench, "small_resnet.json", |file| file["model"] = "smal".into());
    bench.run("verify changed.json").refused(&["changed.json", "did you mean `small`"]);
    changed(&bench, "small_resnet.json", |file| file["input_shape"] = serde_json::json!([4, 3, 0, 32]));
    bench.run("verify changed.json").refused(&["changed.json", "at least one"]);
    changed(&bench, "small_resnet.json", |file| {
        file["input_shape"] = serde_json::json!([4, 3, 1_u64 << 40, 32])
    });
    bench.run("verify changed.json").refused(&["changed.json", "expected at most"]);
    std::fs::create_dir(bench.path("empty")).unwrap();
    bench.run("verify empty").refused(&["empty", "no golden files"]);
}

#[test]
fn networks_that_are_not_known_are_skipped_in_a_folder() {
    let bench = Bench::new();
    let folder = bench.path("folder");
    std::fs::create_dir(&folder).unwrap();
    changed(&bench, "small_resnet.json", |file| file["model"] = "timm_resnet9000".into());
    std::fs::rename(bench.path("changed.json"), folder.join("later.json")).unwrap();
    bench.run("verify folder").refused(&["later.json", "timm_resnet9000", "nothing was checked"]);
    std::fs::copy(golden("basic_block_32.json"), folder.join("block.json")).unwrap();
    for path in ["engine", "fused"] {
        let run = bench.run(&format!("verify folder --path {path}"));
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("1 of 1 hold, 1 skipped"), "{run:?}");
        assert!(run.stderr.contains("skipped") && run.stderr.contains("later.json"), "{run:?}");
    }
}

/// PyTorch's own float32 error, where a file states it, widens the tolerance of that part of that group.
#[test]
fn a_stated_float32_error_is_allowed_ten_times() {
    let bench = Bench::new();
    let code = |stated: Value| {
        changed(&bench, "basic_block_32.json", |file| {
            let sum = file["grad_input"]["l2"].as_f64().unwrap();
            let head = &mut file["grad_input"]["head"][0];
            *head = (head.as_f64().unwrap() + 0.02 * sum / 64.0).into();
            file["float32"] = stated;
        });
        ["stock", "fused"].map(|path| bench.run(&format!("verify changed.json --path {path}")).code)
    };
    assert_eq!(code(serde_json::json!({})), [Some(1); 2]);
    assert_eq!(code(serde_json::json!({ "grad_input": { "head": 0.05 } })), [Some(0); 2]);
    assert_eq!(code(serde_json::json!({ "grad_input": { "l2": 0.05 } })), [Some(1); 2]);
    assert_eq!(code(serde_json::json!({ "grads": { "head": 0.05 } })), [Some(1); 2]);
}
