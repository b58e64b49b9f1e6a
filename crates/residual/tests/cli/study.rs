//! `residual study`: each study through the binary, on images that take no time.

use crate::toy::{Bench, file_hash};

const DEPTH: &str = "study depth --depths 8,14 --kinds plain,preact --steps 3 --seeds 2 --batch-size 5 --data data --evaluations 1";

/// The names in a folder.
fn files(bench: &Bench, folder: &str) -> Vec<String> {
    let names = std::fs::read_dir(bench.path(folder)).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(bench: &Bench, file: &str) -> String {
    std::fs::read_to_string(bench.path(file)).unwrap()
}

/// Every study has these, and nothing in the page is fetched.
fn complete(bench: &Bench, folder: &str) {
    let files = files(bench, folder);
    for name in ["study.toml", "results.jsonl", "report.html"] {
        assert!(files.iter().any(|file| file == name), "{name} is not in {files:?}");
    }
    assert!(files.iter().any(|file| file.ends_with(".svg")), "{files:?}");
    let page = read(bench, &format!("{folder}/report.html"));
    assert!(page.contains("<svg") && page.contains("<td>") && !page.contains("src="), "{page}");
    assert!(page.contains("prefers-color-scheme:dark"), "{page}");
}

#[test]
fn depth_goes_on_where_it_was_cut_off() {
    let bench = Bench::new();
    let out = bench.run(&format!("{DEPTH} --out whole")).ok();
    complete(&bench, "whole");
    assert!(out.contains("plain 8") && out.contains("preact 14") && out.contains("report.html"), "{out}");
    assert!(bench.path("whole/networks/plain-14-1.safetensors").is_file());
    let whole = read(&bench, "whole/results.jsonl");
    assert_eq!(whole.lines().count(), 8);

    // Killed after three cells, in the middle of a line.
    std::fs::create_dir(bench.path("cut")).unwrap();
    std::fs::copy(bench.path("whole/study.toml"), bench.path("cut/study.toml")).unwrap();
    let kept: String = whole.lines().take(3).map(|line| format!("{line}\n")).collect();
    std::fs::write(bench.path("cut/results.jsonl"), format!("{kept}{{\"kind\":\"pla")).unwrap();
    let again = bench.run(&format!("{DEPTH} --out cut"));
    assert!(!again.stderr.contains("plain 8, seed 0"), "a finished cell was trained again: {again:?}");
    again.ok();
    let found = read(&bench, "cut/results.jsonl");
    assert!(found.starts_with(&kept), "finished lines changed: {found}");
    let timeless = |text: &str| {
        let value = |line: &str| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            value.as_object_mut().unwrap().remove("seconds");
            value.to_string()
        };
        text.lines().map(value).collect::<Vec<_>>()
    };
    assert_eq!(timeless(&found), timeless(&whole));

    // Repeated from its folder, elsewhere: the same bits.
    bench.run("study depth --repeat whole --out repeated").ok();
    assert_eq!(timeless(&read(&bench, "repeated/results.jsonl")), timeless(&whole));
    let weights = |run: &str| file_hash(&bench.path(&format!("{run}/networks/preact-14-1.safetensors")));
    assert_eq!(weights("repeated"), weights("whole"));
    // A finished study runs in no time and says the same.
    assert_eq!(bench.run(&format!("{DEPTH} --out whole")).ok(), out);
}

#[test]
fn gradflow_shows_the_network_and_its_twins() {
    let bench = Bench::new();
    let call =
        "study gradflow --model toy.toml --data data --batch-size 4 --no-norm --steps 2 --out flow --json";
    let rows = bench.run(call).json();
    complete(&bench, "flow");
    // Three networks, with and without norms, before and after.
    assert_eq!(rows.len(), 12);
    for row in &rows {
        let blocks = row["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 2, "{row:?}");
        let plain = row["kind"] == "plain";
        assert!(blocks.iter().all(|block| block["identity"].is_null() == plain), "{row:?}");
        assert!(blocks.iter().all(|block| block["input"].as_f64().unwrap() > 0.0), "{row:?}");
    }
    let table = bench.run("study gradflow --repeat flow --out flow").ok();
    assert!(table.contains("plain twin") && table.contains("preact twin"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn anatomy_of_a_trained_network() {
    let bench = Bench::new();
    bench.run(&format!("{DEPTH} --out grid")).ok();
    let weights = "grid/networks/preact-14-0.safetensors";
    let rows = bench
        .run(&format!("study lesion --weights {weights} --data data --images 8 --out lesion --json"))
        .json();
    complete(&bench, "lesion");
    // Intact, six blocks dropped, and one pair alike in stage 1 alone: the others change the shape.
    assert_eq!(rows.len(), 8, "{rows:?}");
    assert_eq!(rows[0]["change"], "intact");
    let eval = bench.run(&format!("eval --weights {weights} --data data --json")).json().remove(0);
    let wrong = 1.0 - eval["top1_correct"].as_f64().unwrap() / 8.0;
    assert_eq!(rows[0]["judgement"]["error"].as_f64(), Some(wrong));
    let losses: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row["judgement"]["loss"].to_string()).collect();
    assert!(losses.len() >= 7, "lesions change nothing: {losses:?}");

    let other = "grid/networks/plain-14-0.safetensors";
    let call = format!(
        "study landscape --weights {weights} --weights {other} --data data --side 3 --images 8 --json"
    );
    let rows = bench.run(&format!("{call} --out land")).json();
    complete(&bench, "land");
    assert_eq!(rows.len(), 6);
    assert_eq!(bench.run(&format!("{call} --out again")).json(), rows, "the directions are drawn anew");
    let middle = rows[1]["losses"][1].as_f64().unwrap();
    assert!(middle.is_finite() && rows[0]["losses"][0].as_f64() != Some(middle), "{rows:?}");
}

#[test]
fn bottlenecks_are_counted_and_timed() {
    let bench = Bench::new();
    let rows = bench.run("study bottleneck --depths 20 --runs 1 --batch 1 --out b --json").json();
    complete(&bench, "b");
    let counts: Vec<_> =
        rows.iter().map(|row| (row["network"].as_str().unwrap(), row["role"].as_str().unwrap())).collect();
    assert_eq!(counts[0], ("cifar_preact20_basic", "basic"));
    assert_eq!(counts[1], ("cifar_preact20_bottleneck", "equal depth"));
    let macs = |index: usize| rows[index]["macs"].as_f64().unwrap();
    assert!((macs(2) / macs(0) - 1.0).abs() < 0.3, "{rows:?}");
    assert!(rows.iter().all(|row| row["milliseconds"].as_f64().unwrap() > 0.0));
}

#[test]
fn wrong_studies_are_refused_in_a_line() {
    let bench = Bench::new().trained();
    let refused = |call: &str, parts: &[&str]| bench.run(call).refused(parts);
    refused("study depth --depths 21 --steps 1 --data data", &["cifar_plain21", "6n + 2"]);
    refused("study depth --depths 8 --steps 0 --data data", &["steps", "1 or more"]);
    refused("study depth --depths 8 --seeds 0 --data data", &["seeds"]);
    refused("study depth --depths 8 --steps 1 --data nowhere", &["nowhere"]);
    refused("study depth --repeat nowhere", &["nowhere", "study.toml"]);
    refused("study gradflow --model resnet19 --data data", &["resnet19", "resnet18"]);
    refused("study lesion --weights toy.toml --data data", &["toy.toml"]);
    refused("study landscape --weights run/best.safetensors --data data --side 4", &["side", "odd"]);
    refused("study bottleneck --depths 21", &["cifar_preact21_basic"]);
    let first =
        "study depth --depths 8 --kinds plain --seeds 1 --steps 1 --batch-size 5 --data data --out one";
    bench.run(first).ok();
    refused(&first.replace("--steps 1", "--steps 2"), &["one", "another study"]);
    refused("study gradflow --repeat one", &["depth"]);
    std::fs::write(bench.path("one/results.jsonl"), "{}\n").unwrap();
    refused(first, &["results.jsonl", "line 1"]);
    std::fs::write(bench.path("one/study.toml"), "study = \"none\"\n").unwrap();
    refused(first, &["study.toml"]);
}
