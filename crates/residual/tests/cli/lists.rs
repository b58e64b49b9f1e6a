//! Lists of images as data: `train`, `eval` and `doctor`.

use residual::arch::families::family;
use residual_testkit::networks;

use crate::toy::{Bench, hashes};

/// The bench's images as a list, in the order of the folder.
fn list(bench: &Bench, split: &str, count: usize) {
    let line = |class: &str, index| format!("{split}/{class}/{index:02}.png;{class}\n");
    let lines =
        ["azure", "brick"].into_iter().flat_map(|class| (0..count).map(move |index| line(class, index)));
    let text = String::from("photo;colour\n") + &lines.collect::<String>();
    std::fs::write(bench.path(&format!("lists/{split}.csv")), text).unwrap();
}

#[test]
fn a_list_trains_as_the_folder_does() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("lists")).unwrap();
    list(&bench, "train", 10);
    list(&bench, "test", 4);
    let train = "train --model toy.toml --epochs 2 --batch-size 5 --seed 3";
    // Columns of other names are found by what is in them.
    bench.run(&format!("{train} --data lists/train.csv")).refused(&["line 2", "--root"]);
    let columns = "--columns path=photo,label=colour";
    bench.run(&format!("{train} --data lists/train.csv {columns}")).refused(&["line 2", "--root"]);
    let run = bench.run(&format!("{train} --data lists/train.csv {columns} --root data --out listed"));
    assert!(run.stderr.contains("read as the other splits: ") && run.stderr.contains("test.csv"), "{run:?}");
    assert!(run.stderr.contains("20 images, 8 more (test)"), "{run:?}");
    run.ok();
    bench.run(&format!("{train} --data data --out folder")).ok();
    let weights = |name: &str| hashes(&bench.path(name).join("best.safetensors"));
    assert_eq!(weights("listed"), weights("folder"));
    // The recipe repeats it, from anywhere.
    let recipe = std::fs::read_to_string(bench.path("listed/recipe.toml")).unwrap();
    assert!(recipe.contains("[data.columns]") && recipe.contains("root = \"/"), "{recipe}");
    bench.run("train --recipe listed/recipe.toml --out again").ok();
    assert_eq!(weights("again"), weights("listed"));

    let eval = |data: &str| {
        bench.run(&format!("eval --weights listed/best.safetensors --json --data {data}")).json().remove(0)
    };
    assert_eq!(eval(&format!("lists/test.csv {columns} --root data")), eval("data"));
    let doctor = bench.run(&format!("doctor toy.toml --data lists/train.csv {columns} --root data"));
    assert!(doctor.stderr.contains("2 classes: azure, brick"), "{doctor:?}");
}

#[test]
fn a_network_of_published_classes_is_judged_on_some_of_them() {
    let bench = Bench::new();
    networks::model(&family("cifar_resnet8").unwrap(), 1.0)
        .unwrap()
        .save(bench.path("net.safetensors"))
        .unwrap();
    let lines = |names: [&str; 3]| {
        let line = |(i, name): (usize, &&str)| format!("data/test/brick/{i:02}.png,{name}\n");
        String::from("path,label\n") + &names.iter().enumerate().map(line).collect::<String>()
    };
    std::fs::write(bench.path("test.csv"), lines(["truck", "cat", "truck"])).unwrap();
    let eval = bench.run("eval --weights net.safetensors --data test.csv --json").json().remove(0);
    assert_eq!(eval["total"], 3, "{eval:?}");
    std::fs::write(bench.path("test.csv"), lines(["truck", "owl", "ant"])).unwrap();
    bench
        .run("eval --weights net.safetensors --data test.csv")
        .refused(&["2 classes (ant, owl) are not among the known classes (airplane"]);
}
