//! `residual predict --explain`: no file of somebody else is lost, and no two images share an overlay.

use std::fs;

use crate::toy::{Bench, Run, file_hash, picture};

const PREDICT: &str = "predict --weights run/best.safetensors --top 1";

fn save(bench: &Bench, name: &str, number: u32) {
    fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
    picture(number % 2, number, 8).save(bench.path(name)).unwrap();
}

/// The overlays of a JSON answer, which all exist.
fn overlays(bench: &Bench, run: Run) -> Vec<String> {
    let of =
        |line: &serde_json::Map<String, serde_json::Value>| Some(line.get("explain")?.as_str()?.to_owned());
    let overlays: Vec<String> = run.json().iter().filter_map(of).collect();
    for overlay in &overlays {
        assert_eq!(image::open(bench.path(overlay)).unwrap().width(), 224, "{overlay}");
    }
    overlays
}

#[test]
fn an_image_is_never_replaced_by_its_overlay() {
    let bench = Bench::new().trained();
    save(&bench, "photo.png", 1);
    save(&bench, "other.png", 2);
    fs::hard_link(bench.path("photo.png"), bench.path("hard.png")).unwrap();
    fs::create_dir(bench.path("folder")).unwrap();
    let hashes = || ["photo.png", "other.png"].map(|name| file_hash(&bench.path(name)));
    let before = hashes();
    for out in ["photo.png", "./photo.png", "folder/../photo.png", "hard.png"] {
        // Before any work: the weights are not there.
        let run = bench.run(&format!("predict --weights nowhere.safetensors photo.png --explain {out}"));
        run.refused(&[out, "is an image to look at"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("photo.png", bench.path("soft.png")).unwrap();
        bench.run(&format!("{PREDICT} photo.png --explain soft.png")).refused(&["soft.png", "is an image"]);
    }
    bench
        .run(&format!("{PREDICT} photo.png --explain other.png"))
        .refused(&["other.png: exists, and is no overlay"]);
    assert_eq!(hashes(), before);
    // In a folder an image may stand in the overlay's place as well.
    save(&bench, "maps/photo.png.png", 3);
    let taken = file_hash(&bench.path("maps/photo.png.png"));
    let run = bench.run(&format!("{PREDICT} --json photo.png other.png --explain maps"));
    run.refused(&["photo.png: no overlay", "maps/photo.png.png: exists, and is no overlay"]);
    assert_eq!(run.stdout.lines().count(), 2, "{run:?}");
    assert_eq!(overlays(&bench, run), ["maps/other.png.png"]);
    assert_eq!(file_hash(&bench.path("maps/photo.png.png")), taken);
    assert_eq!(hashes(), before);
}

#[test]
fn the_same_command_works_again() {
    let bench = Bench::new().trained();
    save(&bench, "photos/a.png", 1);
    save(&bench, "photos/b.png", 2);
    for call in ["photos/a.png --explain where.png", "photos --explain maps", ". --explain photos"] {
        let first = overlays(&bench, bench.run(&format!("{PREDICT} --json {call}")));
        assert!(!first.is_empty(), "{call}");
        let again = bench.run(&format!("{PREDICT} --json {call}"));
        assert_eq!(again.code, Some(0), "{again:?}");
        // `.` holds the overlays of the calls before; its own are no images of the second call.
        assert_eq!(overlays(&bench, again), first, "{call}");
    }
    // The overlay of another image is replaced too.
    bench.run(&format!("{PREDICT} photos/b.png --explain where.png")).ok();
}

#[test]
fn no_two_images_share_an_overlay() {
    let bench = Bench::new().trained();
    let whole = bench.path("elsewhere/a/b.png");
    let images = ["a/b.png", "a_b.png", "a/b.jpg", "b.png", "x/a/b.png"];
    for (number, name) in images.into_iter().enumerate() {
        save(&bench, name, number as u32);
    }
    save(&bench, "elsewhere/a/b.png", 9);
    let call = format!("{PREDICT} --json --explain out {} {}", images.join(" "), whole.display());
    let mut found = overlays(&bench, bench.run(&call));
    assert_eq!(found[..2], ["out/a/b.png.png", "out/a_b.png.png"]);
    // An absolute path into the current folder is the relative one.
    assert_eq!(found[5], "out/elsewhere/a/b.png.png");
    let mut command = bench.command(&format!(
        "predict --weights ../run/best.safetensors --json --explain ../out2 b.png ../b.png {}",
        whole.display()
    ));
    fs::write(bench.path("a/b.png.png"), "").unwrap();
    save(&bench, "x/b.png", 7);
    let run = Run::of(command.current_dir(bench.path("x")).output().unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    let paths: Vec<String> =
        run.json().iter().map(|line| line["explain"].as_str().unwrap().to_owned()).collect();
    assert!(paths.iter().all(|path| bench.path("x").join(path).is_file()), "{paths:?}");
    found.extend(paths);
    let count = found.len();
    found.sort();
    found.dedup();
    assert_eq!((found.len(), count), (9, 9), "{found:?}");
    let text = bench.run(&format!("{PREDICT} --explain out a/b.png a_b.png")).ok();
    assert!(text.contains("\n  explained in out/a/b.png.png\n"), "{text}");
}

#[test]
fn one_overlay_that_cannot_be_written_keeps_no_answer() {
    let bench = Bench::new().trained();
    let long = "n".repeat(251) + ".png";
    save(&bench, &format!("photos/{long}"), 1);
    save(&bench, "photos/a/b.png", 2);
    save(&bench, "photos/z.png", 3);
    let found = overlays(&bench, bench.run(&format!("{PREDICT} --json photos --explain maps")));
    assert_eq!(found.len(), 3);
    assert!(found[1].starts_with("maps/photos/nnnn") && found[1].len() < 230, "{found:?}");
    fs::create_dir(bench.path("bad")).unwrap();
    fs::create_dir(bench.path("bad/photos")).unwrap();
    fs::write(bench.path("bad/photos/a"), "a file where a folder should be").unwrap();
    let run = bench.run(&format!("{PREDICT} --json photos --explain bad"));
    run.refused(&["photos/a/b.png: no overlay", "cannot make the folder"]);
    assert_eq!(run.stdout.lines().count(), 3, "{run:?}");
    assert_eq!(overlays(&bench, run).len(), 2);
}

#[test]
fn a_png_is_no_place_for_several() {
    let bench = Bench::new().trained();
    bench
        .run(&format!("{PREDICT} data/test --explain where.png"))
        .refused(&["where.png", "give --explain a folder"]);
    assert!(!bench.path("where.png").exists());
    // A folder will do for one image.
    fs::create_dir(bench.path("maps")).unwrap();
    bench.run(&format!("{PREDICT} data/test/azure/00.png --explain maps")).ok();
    assert!(bench.path("maps/data/test/azure/00.png.png").is_file());
}

#[test]
fn a_conversion_does_not_replace_what_it_reads() {
    let bench = Bench::new().trained();
    let before = file_hash(&bench.path("run/best.safetensors"));
    fs::hard_link(bench.path("run/best.safetensors"), bench.path("hard.safetensors")).unwrap();
    for out in ["run/best.safetensors", "run/../run/best.safetensors", "hard.safetensors"] {
        bench
            .run(&format!("convert run/best.safetensors {out} --names timm"))
            .refused(&[out, "the file to read"]);
    }
    assert_eq!(file_hash(&bench.path("run/best.safetensors")), before);
}
