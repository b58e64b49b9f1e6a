//! Shards as data: `train`, `eval` and `doctor`.

use crate::toy::{Bench, hashes};

/// The bench's images of a split as shards of WebDataset of so many images each, in the order of the folder.
fn shards(bench: &Bench, split: &str, count: usize, each: usize) {
    let images = ["azure", "brick"].into_iter().flat_map(|class| (0..count).map(move |index| (class, index)));
    let images: Vec<_> = images.enumerate().collect();
    for (number, shard) in images.chunks(each).enumerate() {
        let mut tar = tar::Builder::new(
            std::fs::File::create(bench.path(&format!("shards/{split}-{number}.tar"))).unwrap(),
        );
        for &(key, (class, index)) in shard {
            let image = bench.path(&format!("data/{split}/{class}/{index:02}.png"));
            tar.append_path_with_name(image, format!("{key:06}.png")).unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_size(class.len() as u64);
            tar.append_data(&mut header, format!("{key:06}.cls"), class.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }
}

#[test]
fn shards_train_as_the_folder_does() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("shards")).unwrap();
    shards(&bench, "train", 10, 7);
    shards(&bench, "test", 4, 8);
    let data = "{train-{0..2},test-0}.tar";
    let train = "train --model toy.toml --epochs 2 --batch-size 5 --seed 3";
    bench.run(&format!("{train} --data shards/train-{{0..3}}.tar")).refused(&["train-3.tar: no such file"]);
    let run = bench.run(&format!("{train} --data shards/{data} --out sharded"));
    assert!(run.stderr.contains("20 images, 8 more (test)"), "{run:?}");
    run.ok();
    bench.run(&format!("{train} --data data --out folder")).ok();
    let weights = |name: &str| hashes(&bench.path(name).join("best.safetensors"));
    assert_eq!(weights("sharded"), weights("folder"));
    // The recipe repeats it, and the folder of the shards is the same.
    bench.run("train --recipe sharded/recipe.toml --out again").ok();
    bench.run(&format!("{train} --data shards --out of_folder")).ok();
    assert_eq!((weights("again"), weights("of_folder")), (weights("sharded"), weights("sharded")));

    let eval = |data: &str| {
        bench.run(&format!("eval --weights sharded/best.safetensors --json --data {data}")).json().remove(0)
    };
    assert_eq!(eval("shards/test-0.tar"), eval("data"));
    let doctor = bench.run(&format!("doctor toy.toml --data shards/{data}"));
    assert!(doctor.stderr.contains("2 classes: azure, brick"), "{doctor:?}");
}
