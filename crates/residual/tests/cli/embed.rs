//! `residual embed`: an index of the embeddings of images.

use residual::search::Index;

use crate::toy::{Bench, file_hash, picture};

#[test]
fn an_index_has_a_row_for_every_image_of_every_split() {
    let bench = Bench::new().trained();
    let said = bench.run("embed data --weights run --out data.parquet").ok();
    assert!(said.starts_with("data.parquet: 28 embeddings of 8 numbers in "), "{said}");
    let index = Index::open(bench.path("data.parquet")).unwrap();
    let facts = index.facts();
    assert_eq!((index.len(), facts.length, facts.network.as_str(), facts.normalised), (28, 8, "toy", false));
    assert_eq!(facts.weights.file, bench.path("run/best.safetensors").canonicalize().unwrap());
    let row = index.row(index.find("test/brick/03.png").unwrap()).unwrap();
    assert_eq!((row.split.as_deref(), row.label.as_deref()), (Some("test"), Some("brick")));
    // The same numbers as of the library.
    let classifier = residual::Classifier::open(bench.path("run")).unwrap();
    let alone = classifier.embed(bench.path("data/test/brick/03.png")).unwrap();
    let found = index.vector(index.find("test/brick/03.png").unwrap()).unwrap();
    assert!(
        alone.iter().zip(&found).all(|(a, b)| (a - b).abs() <= 1e-5 * a.abs().max(1.0)),
        "{alone:?} {found:?}"
    );
}

#[test]
fn an_index_has_the_same_bits_for_any_number_of_threads_and_replaces_an_earlier_one() {
    let bench = Bench::new().trained();
    bench.run("embed data --weights run --out data.parquet --threads 1").ok();
    let first = file_hash(&bench.path("data.parquet"));
    bench.run("embed data --weights run --out data.parquet --threads 2").ok();
    assert_eq!(first, file_hash(&bench.path("data.parquet")));
    let lines = bench.run("embed data --weights run --out data.parquet --normalise --json").json();
    assert_eq!((lines[0]["rows"].as_u64(), lines[0]["length"].as_u64()), (Some(28), Some(8)));
    assert!(Index::open(bench.path("data.parquet")).unwrap().facts().normalised);
}

#[test]
fn loose_images_are_embedded_without_labels() {
    let bench = Bench::new().trained();
    let folder = bench.path("loose/below");
    std::fs::create_dir_all(&folder).unwrap();
    picture(0, 1, 8).save(folder.join("b.png")).unwrap();
    picture(1, 2, 8).save(bench.path("loose/a.png")).unwrap();
    std::fs::remove_dir_all(bench.path("loose/below")).unwrap();
    picture(0, 3, 8).save(bench.path("loose/b.png")).unwrap();
    bench.run("embed loose --weights run --out loose.parquet").ok();
    let rows = Index::open(bench.path("loose.parquet")).unwrap().rows().unwrap();
    assert_eq!(rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["a.png", "b.png"]);
    assert!(rows.iter().all(|row| row.label.is_none() && row.split.is_none()));
}

#[test]
fn a_broken_image_is_named_and_nothing_is_left_behind() {
    let bench = Bench::new().trained();
    std::fs::write(bench.path("data/train/azure/03.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    let run = bench.run("embed data --weights run --out data.parquet");
    run.refused(&["train/azure/03.png", "--skip-bad"]);
    let left = std::fs::read_dir(bench.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("parquet")).collect();
    assert!(left.is_empty(), "{left:?}");
    let run = bench.run("embed data --weights run --out data.parquet --skip-bad");
    assert!(run.stderr.contains("left out: ") && run.stderr.contains("03.png"), "{run:?}");
    assert!(run.ok().contains("27 embeddings of 8 numbers"));
}

#[test]
fn nothing_but_an_index_is_replaced() {
    let bench = Bench::new().trained();
    std::fs::write(bench.path("mine.parquet"), b"mine").unwrap();
    bench.run("embed data --weights run --out mine.parquet").refused(&["is no index of an earlier call"]);
    assert_eq!(std::fs::read(bench.path("mine.parquet")).unwrap(), b"mine");
    bench.run("embed data --weights run --out mine.csv").refused(&["ends in .parquet"]);
    bench.run("embed none --weights run --out x.parquet").refused(&["none: no such file"]);
    bench.run("embed data --out x.parquet").refused(&["no weights"]);
    bench.run("embed data --weights run --out none/x.parquet").refused(&["none/x.parquet"]);
}
