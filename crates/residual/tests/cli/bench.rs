//! `residual bench`.

use crate::toy::Bench;

#[test]
fn the_speed_of_a_network_is_told() {
    let bench = Bench::new();
    let call = "bench infer --model cifar_resnet8 --batch 3 --threads 2 --seconds 0 --layers --json";
    let found = bench.run(call).json().remove(0);
    let number = |field: &str| found[field].as_f64().unwrap();
    // No more threads than this machine runs at once.
    let threads = std::thread::available_parallelism().unwrap().get().min(2);
    assert_eq!((number("batch"), number("threads")), (3.0, threads as f64));
    let many =
        bench.run("bench infer --model cifar_resnet8 --threads 1000 --seconds 0 --json").json().remove(0);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(many["threads"].as_u64().unwrap() as usize, cores);
    assert!(number("min_ms") > 0.0 && number("median_ms") >= number("min_ms"), "{found:?}");
    assert!((number("images_per_s") * number("median_ms") / 3e3 - 1.0).abs() < 1e-9, "{found:?}");
    // 12.5 million multiplications and additions each, in an image.
    assert!((number("gflops") / number("images_per_s") - 0.025).abs() < 0.002, "{found:?}");
    #[cfg(target_os = "linux")]
    assert!(number("peak_rss_mib") > 1.0);
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.last().unwrap()["name"], "head");

    let table = bench.run("bench infer --model toy.toml --seconds 0 --layers").ok();
    assert!(table.contains("images/s") && table.contains("stage1.block0.conv1"), "{table}");
}

#[test]
fn what_was_measured_is_kept_in_the_cache_folder() {
    let bench = Bench::new();
    let tune = || {
        let mut command = bench.command("bench infer --model cifar_resnet8 --seconds 0 --tune --threads 1");
        crate::toy::Run::of(command.env("XDG_CACHE_HOME", bench.path("cache")).output().unwrap())
    };
    tune().ok();
    let kept = std::fs::read_to_string(bench.path("cache/residual/tuned.json")).unwrap();
    assert!(kept.contains("1x16x32x32 to 16"), "{kept}");
    std::fs::write(bench.path("cache/residual/tuned.json"), "milk, eggs").unwrap();
    tune().refused(&["tuned.json", "not a file of measured choices"]);
}

#[test]
fn trained_weights_say_what_they_are() {
    let bench = Bench::new().trained();
    let found = bench.run("bench infer --weights run/best.safetensors --seconds 0 --json").json().remove(0);
    assert_eq!(found["model"], "toy");
    bench.run("bench infer --model resnet18 --weights run/best.safetensors").refused(&["`toy`"]);
    bench.run("bench infer --model resnet19").refused(&["resnet18"]);
    for call in ["bench", "bench infer", "bench infer --model small --batch 0"] {
        assert_eq!(bench.run(call).code, Some(2), "{call}");
    }
}

#[test]
fn the_speed_from_files_to_batches_is_told() {
    let bench = Bench::new();
    let call = "bench data data --epochs 3 --batch-size 8 --json";
    let found = bench.run(call).json().remove(0);
    assert_eq!((&found["images"], &found["split"]), (&20.into(), &"train".into()));
    // Small images keep their size.
    assert_eq!(found["shape"], serde_json::json!([3, 8, 8]));
    assert!(found["open_ms"].as_f64().unwrap() > 0.0, "{found:?}");
    let runs = found["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["threads"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for run in runs {
        assert!(run["cache"].as_str().unwrap().contains("all 20 images"), "{run}");
        for field in ["images_per_s", "first_thousand_per_s", "last_thousand_per_s", "first_batch_ms"] {
            assert!(run[field].as_f64().unwrap() > 0.0, "{field}: {run}");
        }
        let stages = run["stages"].as_object().unwrap();
        let sum: f64 = stages.values().map(|ms| ms.as_f64().unwrap()).sum();
        let all = 1e3 * run["threads"].as_f64().unwrap() / run["images_per_s"].as_f64().unwrap();
        assert!(stages["decode_ms"].as_f64().unwrap() > 0.0 && (sum / all - 1.0).abs() < 1e-6, "{run}");
    }
    let table = bench.run("bench data data --threads 1 --size 80 --cache off").ok();
    assert!(table.contains("64x3x80x80") && table.contains("cache: off"), "{table}");
    for stage in ["read", "decode", "resize", "augment", "normalise", "hand over", "last thousand"] {
        assert!(table.contains(stage), "{stage}: {table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    bench.run("bench data nowhere").refused(&["nowhere"]);
    let wrong = bench.run("bench data data --cache plenty");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("auto, off, or a size"), "{wrong:?}");
}

#[test]
fn a_recipe_says_how_images_become_batches() {
    let bench = Bench::new();
    let recipe = "batch_size = 5\naugment = []\n[preprocess]\nresize = { exact = [6, 4] }\n\
                  mean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n";
    std::fs::write(bench.path("mine.toml"), recipe).unwrap();
    let found = bench.run("bench data data --recipe mine.toml --threads 1 --json").json().remove(0);
    assert_eq!((&found["batch_size"], &found["shape"]), (&5.into(), &serde_json::json!([3, 6, 4])));
    bench.run("bench data data --recipe none.toml").refused(&["none.toml"]);
}
