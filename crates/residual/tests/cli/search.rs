//! `residual search`, and near duplicates by `residual data --duplicates`.

use image::imageops::FilterType;

use crate::toy::Bench;

/// A network and an index of the images in `data`.
fn indexed() -> Bench {
    let bench = Bench::new().trained();
    bench.run("embed data --weights run --out data.parquet").ok();
    bench
}

#[test]
fn an_image_of_the_index_is_the_most_similar_to_itself() {
    let bench = indexed();
    let said = bench.run("search data.parquet data/train/brick/04.png --top 3").ok();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "data/train/brick/04.png"));
    assert!(lines[1].starts_with("   1.0000  train/brick/04.png") && lines[1].ends_with("brick"), "{said}");
    let found =
        bench.run("search data.parquet data/train/brick/04.png data/test/azure/01.png --top 2 --json").json();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["hits"][0]["path"], "train/brick/04.png");
    assert_eq!(found[1]["hits"][0]["path"], "test/azure/01.png");
    assert_eq!(found[1]["hits"][0]["split"], "test");
    assert!(found[1]["hits"][0]["similarity"].as_f64().unwrap() > 0.9999);
}

#[test]
fn a_row_is_searched_for_by_number_and_path_and_is_not_among_its_own_hits() {
    let bench = indexed();
    let by_path = bench.run("search data.parquet --path train/azure/00.png --json").json();
    let by_row = bench.run("search data.parquet --row 0 --json").json();
    assert_eq!(by_path, by_row);
    let hits = by_row[0]["hits"].as_array().unwrap();
    assert!(hits.len() == 10 && hits.iter().all(|hit| hit["row"] != 0), "{hits:?}");
    bench.run("search data.parquet --row 28").refused(&["no row 28; it has 28"]);
    bench.run("search data.parquet --path none").refused(&["no row with the path `none`"]);
    bench.run("search data.parquet").refused(&["nothing to search for"]);
}

#[test]
fn a_sheet_shows_the_query_and_what_was_found() {
    let bench = indexed();
    bench.run("search data.parquet data/test/azure/01.png --row 3 --show found.png").ok();
    assert!(image::open(bench.path("found.png")).unwrap().height() > 200);
    bench.run("search data.parquet --row 3 --show found.png").ok();
    std::fs::copy(bench.path("data/test/azure/01.png"), bench.path("mine.png")).unwrap();
    bench.run("search data.parquet --row 3 --show mine.png").refused(&["is no sheet of an earlier call"]);
    bench.run("search data.parquet --row 3 --show found.jpg").refused(&["ends in .png"]);
    std::fs::rename(bench.path("data"), bench.path("gone")).unwrap();
    bench
        .run("search data.parquet --row 3 --show found.png")
        .refused(&["its images are not where they were"]);
    bench.run("search data.parquet --row 3").ok();
}

#[test]
fn other_weights_are_refused_and_its_own_are_found() {
    let bench = indexed();
    bench.run("train --model toy.toml --data data --epochs 1 --batch-size 5 --seed 9 --out other").ok();
    let query = "search data.parquet data/train/brick/04.png";
    bench.run(&format!("{query} --weights other")).refused(&["SHA-256", "best.safetensors", "help: "]);
    bench.run(&format!("{query} --weights run")).ok();
    std::fs::rename(bench.path("run"), bench.path("moved")).unwrap();
    bench.run(query).refused(&["no longer there", "--weights"]);
    bench.run(&format!("{query} --weights moved")).ok();
    bench.run(&format!("{query} --weights moved --crop 4")).refused(&["prepared in another way"]);
}

#[test]
fn a_bad_image_does_not_keep_the_others_from_their_answers() {
    let bench = indexed();
    std::fs::write(bench.path("bad.png"), b"no image").unwrap();
    let run = bench.run("search data.parquet bad.png data/test/azure/01.png --top 1");
    run.refused(&["bad.png"]);
    assert!(run.stdout.contains("test/azure/01.png"), "{run:?}");
}

#[test]
fn the_approximate_index_is_made_once_and_looked_at_whole_is_exact() {
    let bench = indexed();
    let exact = bench.run("search data.parquet --row 3 --json --exact").ok();
    let first = bench.run("search data.parquet --row 3 --json --approximate --probes 16");
    assert!(first.stderr.contains("making the approximate index data.parquet.clusters"), "{first:?}");
    assert!(first.stderr.contains("100.0% of the 10 nearest"), "{first:?}");
    assert_eq!(first.ok(), exact);
    let second = bench.run("search data.parquet --row 3 --json --approximate");
    assert_eq!(second.stderr, "");
    // Of an index that is made anew, the approximate one is another's.
    bench.images("data", &["azure"], 11, 4);
    bench.run("embed data --weights run --out data.parquet").ok();
    bench
        .run("search data.parquet --row 3 --approximate")
        .refused(&["made of another index", "help: remove it"]);
    bench.run("search data.parquet --row 3 --exact --approximate").refused(&["cannot be used with"]);
}

#[test]
fn what_is_no_index_is_refused() {
    let bench = indexed();
    std::fs::write(bench.path("no.parquet"), b"no").unwrap();
    bench.run("search no.parquet --row 0").refused(&["no.parquet", "too short"]);
    bench.run("search none.parquet --row 0").refused(&["none.parquet: no such file"]);
    let whole = std::fs::read(bench.path("data.parquet")).unwrap();
    std::fs::write(bench.path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    bench.run("search cut.parquet --row 0").refused(&["cut.parquet"]);
}

/// A picture with a shape, of which copies can be told.
fn shaped(number: u32) -> image::RgbImage {
    let random = |at: u32| {
        let mut bits = (number * 7919 + at).wrapping_mul(0x9e37_79b9);
        bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
        bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
        f64::from((bits ^ (bits >> 16)) >> 8) / f64::from(1 << 24)
    };
    let waves: Vec<[f64; 3]> = (0..40).map(|wave| [0, 1, 2].map(|part| random(3 * wave + part))).collect();
    image::RgbImage::from_fn(128, 96, |x, y| {
        let (x, y) = (f64::from(x) / 128.0, f64::from(y) / 96.0);
        let wave = |[a, b, c]: &[f64; 3]| (25.0 * ((a - 0.5) * x + (b - 0.5) * y) + 7.0 * c).sin();
        let value = 128.0 + 10.0 * waves.iter().map(wave).sum::<f64>();
        image::Rgb([value as u8, (value * 0.8) as u8, 90])
    })
}

/// Pictures of two classes and two splits, with a copy, a copy in another format, a smaller one in another split, and a
/// single colour twice.
fn with_twins() -> Bench {
    let bench = Bench::new();
    for (place, number) in [
        ("train/azure/a", 1),
        ("train/azure/b", 2),
        ("train/brick/c", 3),
        ("test/azure/d", 4),
        ("test/brick/e", 5),
    ] {
        let path = bench.path(&format!("twins/{place}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        shaped(number).save(&path).unwrap();
    }
    let at = |name: &str| bench.path(&format!("twins/{name}"));
    std::fs::copy(at("train/azure/a.png"), at("train/azure/a2.png")).unwrap();
    shaped(2).save(at("train/brick/b2.png")).unwrap();
    image::imageops::resize(&shaped(3), 64, 48, FilterType::Triangle).save(at("test/brick/c.png")).unwrap();
    for name in ["train/brick/flat.png", "test/azure/flat.png"] {
        image::RgbImage::from_pixel(20, 20, image::Rgb([9, 9, 9])).save(at(name)).unwrap();
    }
    bench
}

#[test]
fn near_duplicates_are_grouped_by_their_looks_and_splits_are_marked() {
    let bench = with_twins();
    let said = bench.run("data twins --duplicates --show sheet.png").ok();
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let found = bench.run("data twins --duplicates --json").json();
    let groups = found[0]["groups"].as_array().unwrap();
    let paths = |group: &serde_json::Value| -> Vec<String> {
        let images = group["images"].as_array().unwrap();
        images.iter().map(|image| image["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(groups.len(), 4, "{groups:?}");
    assert_eq!(paths(&groups[0]), ["train/azure/a.png", "train/azure/a2.png"]);
    assert_eq!(groups[0]["images"][1]["relation"], "bytes");
    assert_eq!(groups[1]["other_labels"], true);
    assert_eq!(paths(&groups[2]), ["train/brick/c.png", "test/brick/c.png"]);
    assert_eq!((&groups[2]["across"], &groups[0]["across"]), (&true.into(), &false.into()));
    assert!(groups[2]["images"][1]["relation"]["distance"].as_u64().is_some_and(|bits| bits <= 4));
    assert_eq!(paths(&groups[3]), ["train/brick/flat.png", "test/azure/flat.png"]);
    assert_eq!((found[0]["repeated"].as_u64(), found[0]["across"].as_u64()), (Some(4), Some(2)));
    assert!(image::open(bench.path("sheet.png")).unwrap().height() > 400);
}

#[test]
fn near_duplicates_are_found_by_embedding_and_in_folders_without_classes() {
    let bench = with_twins().trained();
    let found = bench.run("data twins --duplicates --weights run --similarity 0.99999 --json").json();
    assert_eq!(found[0]["near"]["by"], "embedding");
    let groups = found[0]["groups"].as_array().unwrap();
    let of = |name: &str| groups.iter().find(|group| group.to_string().contains(name)).unwrap().to_string();
    assert!(
        of("a.png").contains("a2.png")
            && of("\"path\":\"train/brick/flat.png\"").contains("test/azure/flat.png")
    );
    let loose = bench.run("data twins/train/azure --duplicates").ok();
    assert!(loose.contains("3 images, 2 of them in 1 group") && loose.contains("same bytes"), "{loose}");
    let none = bench.run("data twins/test/brick --duplicates").ok();
    assert!(none.contains("2 images, none repeated"), "{none}");
}

#[test]
fn flags_of_near_duplicates_are_checked() {
    let bench = with_twins();
    bench.run("data twins --distance 3").refused(&["--duplicates"]);
    bench.run("data twins --duplicates --distance 16").refused(&["15 are the most"]);
    bench.run("data twins --duplicates --similarity 0.9").refused(&["--weights"]);
    bench.run("data twins --duplicates --weights none").refused(&["none"]);
    std::fs::write(bench.path("twins/train/azure/broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    let run = bench.run("data twins --duplicates");
    assert!(run.stderr.contains("left out: ") && run.stdout.contains("1 cannot be decoded"), "{run:?}");
}
