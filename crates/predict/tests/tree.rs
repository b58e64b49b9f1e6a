//! What a program that predicts does not get into its tree.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Names of all packages that `package` is built with, by the resolved graph of the workspace; tests' own left out.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeMap<String, String> =
        packages.iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let is_built = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev")
    };
    let reads: BTreeMap<String, Vec<String>> = nodes
        .iter()
        .map(|node| {
            let built = node["deps"].as_array().unwrap().iter().filter(is_built);
            (text(&node["id"]), built.map(|dependency| text(&dependency["pkg"])).collect())
        })
        .collect();
    let root = names.iter().find(|(_, name)| *name == package).unwrap().0.clone();
    let (mut found, mut waiting) = (BTreeSet::new(), vec![root]);
    while let Some(id) = waiting.pop() {
        if found.insert(names[&id].clone()) {
            waiting.extend(reads[&id].iter().cloned());
        }
    }
    found
}

#[test]
fn there_is_no_framework_behind_prediction() {
    for package in ["residual-predict", "residual-capi"] {
        let found = tree(package);
        assert!(found.contains("residual-engine") && found.contains("residual-weights"), "{found:?}");
        let foreign = |name: &&String| {
            name.starts_with("burn")
                || ["residual-nn", "residual-train", "clap", "residual-testkit"].contains(&name.as_str())
        };
        assert_eq!(found.iter().find(foreign), None, "{package}");
    }
    // The test can fail: training has it.
    assert!(tree("residual-train").contains("burn"));
}
