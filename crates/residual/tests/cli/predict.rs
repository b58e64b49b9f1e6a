//! `residual predict`: lists, streams and overlays. What it answers is tested in `training`.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use residual::predict::Options;
use residual::{Classifier, Model};

use crate::toy::{Bench, Run, picture};

const PREDICT: &str = "predict --weights run/best.safetensors";

#[test]
fn a_list_on_standard_input_is_answered_line_by_line() {
    let bench = Bench::new().trained();
    let mut command = bench.command(&format!("{PREDICT} --json -"));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut list = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    // Each answer is there before the next question is asked.
    for name in ["data/test/azure/00.png", "data/test/brick/01.png"] {
        writeln!(list, "{name}\n").unwrap();
        let answer = answers.next().unwrap().unwrap();
        assert!(answer.contains(name), "{answer}");
    }
    writeln!(list, "data/test\nnowhere.png").unwrap();
    drop(list);
    assert_eq!(answers.map(Result::unwrap).count(), 8);
    let run = Run::of(child.wait_with_output().unwrap());
    run.refused(&["nowhere.png"]);
}

#[test]
fn answers_come_in_order_whatever_the_sizes() {
    let bench = Bench::new().trained();
    bench.images("many", &["azure", "brick"], 40, 1);
    picture(1, 7, 30).save(bench.path("many/train/azure/07a.png")).unwrap();
    std::fs::write(bench.path("many/train/azure/07b.png"), "no image").unwrap();
    let run = bench.run(&format!("{PREDICT} --json many/train data/test/azure/00.png"));
    run.refused(&["07b.png"]);
    let files: Vec<String> =
        run.json().iter().map(|line| line["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 82);
    assert!(files[..81].is_sorted() && files[81].ends_with("test/azure/00.png"), "{files:?}");
}

#[test]
fn threads_and_company_change_no_answer() {
    let bench = Bench::new().trained();
    let answers = |arguments: &str| bench.run(&format!("{PREDICT} --json {arguments}")).ok();
    let wanted = answers("--threads 1 data/test");
    assert_eq!(answers("--threads 2 data/test"), wanted);
    assert_eq!(answers("--threads 5 data/test/azure data/test/brick"), wanted);
}

#[test]
fn the_command_and_the_library_give_one_answer() {
    let bench = Bench::new().trained();
    let weights = bench.path("run/best.safetensors");
    picture(1, 9, 50).save(bench.path("large.png")).unwrap();
    for (images, options) in [("large.png", Options::new().batch(1)), ("data/test large.png", Options::new())]
    {
        let classifier = Classifier::new(Model::open(&weights).unwrap(), options).unwrap();
        let answers = bench.run(&format!("{PREDICT} --json --logits {images}")).json();
        let files: Vec<_> =
            answers.iter().map(|answer| bench.path(answer["file"].as_str().unwrap())).collect();
        for (answer, wanted) in answers.iter().zip(classifier.classify_all(files)) {
            let wanted = wanted.unwrap();
            let top = answer["top"].as_array().unwrap();
            assert_eq!(top.len(), classifier.classes().len());
            for (found, wanted) in top.iter().zip(wanted.top(5)) {
                assert_eq!(found["class"], wanted.class);
                assert_eq!(found["probability"], wanted.probability);
            }
            let logits =
                answer["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap() as f32);
            assert_eq!(logits.collect::<Vec<_>>(), wanted.logits());
        }
        assert!(!answers.is_empty());
    }
}

#[test]
fn an_overlay_is_written() {
    let bench = Bench::new().trained();
    bench.run(&format!("{PREDICT} data/test/azure/00.png --explain where.png")).ok();
    let overlay = image::open(bench.path("where.png")).unwrap();
    assert_eq!((overlay.width(), overlay.height()), (224, 224));

    bench.run(&format!("{PREDICT} data/test --explain overlays")).ok();
    for class in ["azure", "brick"] {
        let folder = bench.path("overlays/data/test").join(class);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4);
    }
    assert!(bench.path("overlays/data/test/brick/03.png.png").is_file());

    bench
        .run(&format!("{PREDICT} data/test/azure/00.png --explain where.jpg"))
        .refused(&["where.jpg", "PNG"]);
    bench.run(&format!("{PREDICT} data/test --explain where.png")).refused(&["where.png", "folder"]);
    bench.run(&format!("{PREDICT} data/test/azure/00.png --explain no/where.png")).refused(&["no/where.png"]);
}
