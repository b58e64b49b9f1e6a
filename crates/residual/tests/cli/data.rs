//! `residual data`: what it says of images, the sheet that it draws of them, and input that is none.

use std::fs;

use serde_json::{Value, json};

use crate::toy::{Bench, file_hash, picture};

/// A photograph that a camera held on its side, 13x7 as it is stored.
fn fixture(name: &str) -> Vec<u8> {
    let folder = format!("{}/../data/tests/fixtures/photographs", env!("CARGO_MANIFEST_DIR"));
    fs::read(format!("{folder}/{name}")).unwrap()
}

/// The bench's images with one cut short, one twice in training under two labels, one in both splits, and a
/// photograph on its side.
fn faulty() -> Bench {
    let bench = Bench::new();
    let at = |name: &str| bench.path(&format!("data/{name}"));
    fs::copy(at("train/azure/03.png"), at("test/azure/90.png")).unwrap();
    fs::copy(at("train/azure/04.png"), at("train/brick/90.png")).unwrap();
    let whole = fs::read(at("train/azure/00.png")).unwrap();
    fs::write(at("train/azure/91.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("test/brick/92.jpg"), fixture("turned_jpeg_6.jpg")).unwrap();
    fs::write(at("test/brick/notes.heic"), "no image").unwrap();
    bench
}

#[test]
fn sound_images_are_counted_and_nothing_is_found() {
    let bench = Bench::new();
    let text = bench.run("data data --model toy.toml").ok();
    assert!(text.starts_with("data: 28 images (train 20, test 8) of 2 classes, "), "{text}");
    let rows: Vec<&str> = text.lines().filter(|line| line.contains('█')).collect();
    let [azure, brick] = rows[..] else { panic!("{text}") };
    assert!(azure.starts_with("azure  █") && azure.ends_with("10     4"), "{text}");
    assert!(brick.starts_with("brick  █"), "{text}");
    assert!(text.contains("sizes        8x8, all\n") && text.contains("formats      PNG 28\n"), "{text}");
    assert!(text.contains("as for toy: images of 8x8"), "{text}");
    assert!(text.contains("in training  pad_crop, horizontal_flip\n"), "{text}");
    assert!(text.ends_with("findings     nothing wrong found\n"), "{text}");
}

#[test]
fn what_is_wrong_is_counted_and_named() {
    let bench = faulty();
    let run = bench.run("data data --model toy.toml");
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let text = run.stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "note: left out 1 file in class folders",
        "often 8x8",
        "orientation 1 turned, by EXIF: 6 (clockwise) 1",
        "broken 1 of 32 train/azure/91.png: the image is truncated",
        "1 of 10 test images is also in train (the same bytes): test/azure/90.png is train/azure/03.png",
        "1 train image repeats another (1 the same bytes, 1 under another label): train/brick/90.png is",
        "1 turned upright",
        "1 an error in training, unless --skip-bad leaves them out",
        "fault: test/azure/90.png: images in both training and evaluation",
        "warning: train/azure/04.png: one image under two labels",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {text}");
    }

    let report = bench.run("data data --model toy.toml --json").json().remove(0);
    let at = |pointer: &str| Value::Object(report.clone()).pointer(pointer).cloned().unwrap_or_default();
    for (pointer, wanted) in [
        ("/images", json!(32)),
        ("/splits/0/counts", json!([11, 11])),
        ("/formats", json!({ "png": 31, "jpeg": 1 })),
        ("/orientations/6", json!(1)),
        ("/sizes/largest", json!({ "width": 13, "height": 7 })),
        ("/sizes/frequent/0", json!({ "width": 8, "height": 8, "images": 30 })),
        ("/broken/0/class", json!("azure")),
        ("/broken/0/found", json!("the image is truncated")),
        ("/not_images", json!({ ".heic": 1 })),
        ("/duplicates/across/0/same_bytes", json!(1)),
        ("/duplicates/groups/0/equal", json!("bytes")),
        ("/duplicates/groups/0/images/1/split", json!("test")),
        ("/loader/network", json!("toy")),
        ("/loader/turned", json!(1)),
        ("/loader/augment/0/kind", json!("pad_crop")),
    ] {
        assert_eq!(at(pointer), wanted, "{pointer}");
    }
    assert!(at("/broken/0/file").as_str().unwrap().ends_with("data/train/azure/91.png"));
    let kinds: Vec<Value> =
        at("/findings").as_array().unwrap().iter().map(|found| found["kind"].clone()).collect();
    assert_eq!(kinds, ["two_labels", "overlap", "bad_image", "turned_photographs"]);
    // The doctor has the same findings.
    let doctor = bench.run("doctor toy.toml --data data --json").json().remove(0);
    let doctor = doctor["findings"].as_array().unwrap();
    for kind in ["two_labels", "overlap", "turned_photographs"] {
        let of = |findings: &[Value]| findings.iter().find(|found| found["kind"] == kind).cloned();
        assert_eq!(of(doctor), of(at("/findings").as_array().unwrap()), "{kind}");
    }
}

#[test]
fn the_handling_follows_the_network_and_the_recipe() {
    let bench = Bench::new().trained();
    let loader = |flags: &str| {
        let report = bench.run(&format!("data data --json {flags}")).json().remove(0);
        report["loader"].clone()
    };
    let small = loader("");
    assert_eq!((&small["network"], &small["enlarged"]), (&"small".into(), &28.into()));
    let large = loader("--model resnet18");
    assert_eq!(
        (&large["sizes"][0]["width"], &large["augment"][0]["kind"]),
        (&224.into(), &"random_resized_crop".into())
    );
    for weights in ["run/best.safetensors", "run"] {
        let own = loader(&format!("--model {weights}"));
        assert_eq!((&own["network"], &own["as_they_are"]), (&"toy".into(), &28.into()), "{weights}");
    }
    let recipe = loader("--recipe run/recipe.toml");
    assert_eq!((&recipe["network"], &recipe["as_they_are"]), (&"toy".into(), &28.into()));
    fs::write(bench.path("plain.toml"), "model = \"small\"\naugment = []\n").unwrap();
    let text = bench.run("data data --recipe plain.toml").ok();
    assert!(text.contains("in training  none\n"), "{text}");
    let other = loader("--recipe plain.toml --model toy.toml");
    assert_eq!((&other["network"], &other["augment"]), (&"toy".into(), &Value::Array(Vec::new())));
}

#[test]
fn a_contact_sheet_is_drawn_of_classes_and_augmentations() {
    let bench = Bench::new();
    let call = "data data --model toy.toml --show sheet.png";
    bench.run(call).ok();
    let sheet = image::open(bench.path("sheet.png")).unwrap().into_rgb8();
    assert_eq!(sheet.width(), 1200);
    // Two rows of classes, as stored, preprocessed, two augmentations, all together four times: ten rows.
    assert!(sheet.height() > 10 * 104, "{}", sheet.height());
    // A row of blue images, and below it one of red ones.
    let first =
        |wanted: fn([u8; 3]) -> bool| (0..sheet.height()).find(|&y| wanted(sheet.get_pixel(300, y).0));
    let blue = first(|[r, _, b]| b > 150 && r < 110).expect("a blue image");
    let red = first(|[r, _, b]| r > 150 && b < 110).expect("a red image");
    assert_eq!(red - blue, 112);
    // The same call draws the same; another seed draws other images; an earlier sheet is replaced.
    let before = file_hash(&bench.path("sheet.png"));
    bench.run(call).ok();
    assert_eq!(file_hash(&bench.path("sheet.png")), before);
    bench.run(&format!("{call} --seed 1 --threads 1")).ok();
    assert_ne!(file_hash(&bench.path("sheet.png")), before);
    bench.run(&format!("{call} --seed 0 --threads 3")).ok();
    assert_eq!(file_hash(&bench.path("sheet.png")), before);
}

#[test]
fn a_contact_sheet_replaces_nothing_and_is_no_image_of_the_data() {
    let bench = Bench::new();
    picture(0, 1, 8).save(bench.path("mine.png")).unwrap();
    let before = file_hash(&bench.path("mine.png"));
    for (out, parts) in [
        ("mine.png", &["mine.png: exists, and is no contact sheet", "--show"][..]),
        ("sheet.jpg", &["sheet.jpg: the contact sheet is a PNG image"]),
        ("nowhere/sheet.png", &["nowhere/sheet.png: nowhere is no folder"]),
        ("data/train/azure/sheet.png", &["sheet.png: is inside the data"]),
        ("data/sheet.jpg", &["a PNG image"]),
    ] {
        // Before any work: the data are not there, or not looked at.
        let run = bench.run(&format!("data data --show {out}"));
        run.refused(parts);
        assert_eq!(run.stdout, "");
    }
    assert_eq!(file_hash(&bench.path("mine.png")), before);
    assert!(!bench.path("data/train/azure/sheet.png").exists());
}

#[test]
fn input_that_is_none() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    bench.run("data nowhere").refused(&["nowhere: no such file"]);
    bench.run("data empty").refused(&["empty: no classes found"]);
    bench.run("data data --model resnet19").refused(&["resnet18"]);
    bench.run("data data --model nowhere.pth").refused(&["nowhere.pth"]);
    bench.run("data data --recipe nowhere.toml").refused(&["nowhere.toml"]);
    bench.run("data data/train --validation 1.5").refused(&["1.5"]);
    bench.run("data toy.toml").refused(&["toy.toml"]);
    assert_eq!(bench.run("data").code, Some(2));
    // One class, which no training takes, can be looked at; of one image each none can be held out.
    bench.images("one", &["azure"], 3, 0);
    let text = bench.run("data one/train").ok();
    assert!(text.contains("of 1 class,"), "{text}");
}

#[test]
fn a_training_warns_of_images_in_both_splits() {
    let bench = faulty();
    let train = "train --model toy.toml --data data --epochs 1 --batch-size 5 --skip-bad";
    let run = bench.run(&format!("{train} --out run"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let wanted =
        "1 of 10 test images is also in train (the same bytes; test/azure/90.png is train/azure/03.png)";
    assert!(run.stderr.contains(wanted) && run.stderr.contains("`residual data`"), "{run:?}");
    let sound = Bench::new().run("train --model toy.toml --data data --epochs 1 --batch-size 5 --out run");
    assert!(!sound.stderr.contains("also in"), "{sound:?}");
}

#[test]
fn every_augmentation_of_a_recipe_has_its_row_and_mixing_too() {
    let bench = Bench::new();
    let recipe = "model = \"small\"\naugment = [{ kind = \"random_resized_crop\" }, { kind = \"rand_augment\" }, \
                  { kind = \"random_erasing\" }]\n[mix]\nmixup = 0.4\ncutmix = 1.0\n";
    fs::write(bench.path("recipe.toml"), recipe).unwrap();
    let text = bench.run("data data --recipe recipe.toml --show sheet.png").ok();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("in training random_resized_crop, rand_augment, random_erasing, mixed"), "{text}");
    let rows = |name: &str| image::open(bench.path(name)).unwrap().height();
    fs::write(bench.path("plain.toml"), "model = \"small\"\naugment = []\n").unwrap();
    bench.run("data data --recipe plain.toml --show plain.png").ok();
    // Three augmentations, all together four times, mixed four times; labels may make a row higher.
    assert!(rows("sheet.png") >= rows("plain.png") + 11 * 112, "{} {}", rows("sheet.png"), rows("plain.png"));
    let loader = bench.run("data data --recipe recipe.toml --json").json().remove(0)["loader"].clone();
    assert_eq!(loader["mix"]["cutmix"], json!(1.0));
}

/// Labels of other tasks: how many images have each, and the spread of numbers.
#[test]
fn several_labels_and_numbers_are_summed_up() {
    let bench = Bench::new();
    let mut text = "path,tags,age,split\n".to_owned();
    for index in 0..12u32 {
        picture(index % 2, index, 8).save(bench.path(&format!("{index}.png"))).unwrap();
        let tags = ["red", "red|dark", ""][index as usize % 3];
        text += &format!("{index}.png,{tags},{}.5,{}\n", 20 + index, if index < 9 { "train" } else { "val" });
    }
    fs::write(bench.path("list.csv"), text).unwrap();
    let text =
        bench.run("data list.csv --model toy.toml --task multi-label --label tags --show tags.png").ok();
    assert!(text.starts_with("list.csv: 12 images (train 9, val 3) of 2 classes, "), "{text}");
    let row =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{text}"));
    assert!(row("dark ").ends_with("    3    1") && row("red ").ends_with("    6    2"), "{text}");
    assert!(text.contains("train: up to 2 labels an image, mean 1.00; 3 images have none\n"), "{text}");
    let text = bench.run("data list.csv --model toy.toml --task regression --label age --show age.png").ok();
    assert!(text.starts_with("list.csv: 12 images (train 9, val 3) of 1 target, "), "{text}");
    let rows: Vec<Vec<&str>> =
        text.lines().skip(2).take(3).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["target", "split", "least", "mean", "deviation", "greatest"]);
    assert_eq!(rows[1], ["age", "train", "20.5", "24.5", "2.582", "28.5"]);
    assert_eq!(rows[2], ["age", "val", "29.5", "30.5", "0.8165", "31.5"]);
    let run = bench.run("data list.csv --model toy.toml --task regression --label age --json").ok();
    let found: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(found["task"], "regression");
    assert_eq!(found["splits"][0]["targets"][0]["least"], json!(20.5));
    assert!(fs::metadata(bench.path("tags.png")).unwrap().len() > 1000);
    assert!(fs::metadata(bench.path("age.png")).unwrap().len() > 1000);
    bench.run("data list.csv --task ranking").refused(&["multi-label"]);
}
