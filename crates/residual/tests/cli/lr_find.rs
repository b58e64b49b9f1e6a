//! `residual lr-find`: the suggestion, what is written, and what is refused.

use crate::toy::{Bench, hashes};

const FIND: &str = "lr-find --model toy.toml --data data --batch-size 5 --seed 3";

#[test]
fn a_rate_is_suggested_and_nothing_else_changes() {
    let bench = Bench::new().trained();
    let before = hashes(&bench.path("run/best.safetensors"));
    let first = bench.run(&format!("{FIND} --threads 1 --json")).json().remove(0);
    let points = first["points"].as_array().unwrap();
    let rate = first["suggestion"].as_f64().unwrap();
    assert!(points.len() > 10 && rate > 1e-6 && rate < 1.001, "{first:?}");
    // A tenth of a rate that was tried.
    assert!(
        points.iter().any(|point| (point["lr"].as_f64().unwrap() / rate - 10.0).abs() < 1e-9),
        "{first:?}"
    );
    // The same for any number of threads.
    assert_eq!(bench.run(&format!("{FIND} --threads 2 --json")).json().remove(0), first);

    // A run's recipe and its weights, which stay as they are.
    let run = bench.run("lr-find --recipe run/recipe.toml --init run --steps 20 --out rates.html");
    assert!(run.stdout.contains("suggested: --lr") || run.stdout.contains("no rate"), "{run:?}");
    assert!(
        run.stdout.lines().count() > 10 && run.stdout.lines().all(|line| line.chars().count() <= 80),
        "{run:?}"
    );
    run.ok();
    assert_eq!(hashes(&bench.path("run/best.safetensors")), before);
    let page = std::fs::read_to_string(bench.path("rates.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("Smith 2017") && !page.contains("<script"), "{page}");
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_loss_that_diverges_ends_the_test() {
    let bench = Bench::new();
    let found = bench.run(&format!("{FIND} --optimiser sgd --to 1e9 --json")).json().remove(0);
    assert_eq!(found["diverged"], true);
    assert!(found["points"].as_array().unwrap().len() < 100);
}

#[test]
fn what_is_no_test_is_refused() {
    let bench = Bench::new();
    for (flags, part) in [
        ("--from 1 --to 0.1", "to: 0.1"),
        ("--from 0", "from: 0"),
        ("--steps 2", "steps: 2"),
        ("--out rates.txt", ".html or .svg"),
        ("--data gone", "gone"),
    ] {
        let rest = if flags.contains("--data") { "lr-find --model toy.toml" } else { FIND };
        bench.run(&format!("{rest} {flags}")).refused(&[part]);
    }
    bench.run("lr-find --resume run").refused(&["--recipe"]);
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap_or_default());
    let own = format!("residual-range-test-{}", std::process::id());
    assert!(names.into_iter().all(|name| !name.starts_with(&own)));
}
