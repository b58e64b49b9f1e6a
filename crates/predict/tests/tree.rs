//! What a program that predicts does not get into its tree.

use std::collections::BTreeSet;
use std::process::Command;

/// Names of all packages that `package` is built with on this machine, with all its features; tests' own left out.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--all-features", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
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
