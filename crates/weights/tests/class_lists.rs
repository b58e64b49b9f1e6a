//! Lists of class names that lie beside bare weights.

mod pickler;
mod tiny;

use std::path::Path;

use residual_weights::{Model, safetensors};
use tiny::state;

/// The model of the tiny network's weights, with a file beside them.
fn beside(folder: &Path, name: &str, text: &str) -> Model {
    let weights = folder.join("weights.safetensors");
    safetensors::write(&weights, &state()).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
    Model::open(weights).unwrap()
}

#[test]
fn every_form_of_a_list_names_the_classes() {
    let forms = [
        ("classes.txt", "cat\ndog\nred panda\n"),
        ("labels.txt", "\u{feff}0 cat\r\n1 dog\r\n2 red panda\r\n\r\n"),
        ("class_names.txt", "0: cat\n1: dog\n2: red panda"),
        ("imagenet_classes.txt", "0,cat\n1,dog\n2,red panda"),
        ("classes.json", r#"["cat", "dog", "red panda"]"#),
        ("class_names.json", r#"{"0": "cat", "2": "red panda", "1": "dog"}"#),
        ("class_to_idx.json", r#"{"dog": 1, "red panda": 2, "cat": 0}"#),
        (
            "imagenet_class_index.json",
            r#"{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "red panda"]}"#,
        ),
    ];
    for (name, text) in forms {
        let folder = tempfile::tempdir().unwrap();
        let model = beside(folder.path(), name, text);
        assert_eq!(model.classes().unwrap(), ["cat", "dog", "red panda"], "{name}");
        let line = format!("class names from {name} beside the file");
        assert!(model.notes().contains(&line), "{name}: {:?}", model.notes());
    }
}

#[test]
fn names_that_begin_with_a_number_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let model = beside(folder.path(), "classes.txt", "1 euro\n2 euros\n5 euros\n");
    assert_eq!(model.classes().unwrap(), ["1 euro", "2 euros", "5 euros"]);
}

#[test]
fn what_does_not_fit_is_said_and_not_used() {
    let lists = [
        ("classes.txt", "cat\ndog\n", "2 names for 3 outputs"),
        ("classes.txt", "cat\n\ndog\n", "a name on every line"),
        ("classes.txt", "", "a name on every line"),
        ("classes.json", "{", "not JSON"),
        ("classes.json", r#"{"cat": 0, "dog": 0, "cow": 1}"#, "no list of class names"),
        ("classes.json", "[1, 2, 3]", "no list of class names"),
    ];
    for (name, text, reason) in lists {
        let folder = tempfile::tempdir().unwrap();
        let model = beside(folder.path(), name, text);
        assert_eq!(model.classes(), None, "{text}");
        let said =
            |line: &String| line.starts_with(name) && line.contains("not used") && line.contains(reason);
        assert!(model.notes().iter().any(said), "{text}: {:?}", model.notes());
    }
}

#[test]
fn of_several_lists_the_one_that_fits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("classes.txt"), "cat\ndog\n").unwrap();
    let model = beside(folder.path(), "labels.txt", "cat\ndog\nred panda\n");
    assert_eq!(model.classes().unwrap(), ["cat", "dog", "red panda"]);
}

#[test]
fn a_checkpoint_keeps_its_own_names() {
    let folder = tempfile::tempdir().unwrap();
    let model = beside(folder.path(), "classes.txt", "cat\ndog\nred panda\n");
    let named = model.with_classes(["a", "b", "c"].map(String::from).into()).unwrap();
    named.save(folder.path().join("own.safetensors")).unwrap();
    let opened = Model::open(folder.path().join("own.safetensors")).unwrap();
    assert_eq!(opened.classes().unwrap(), ["a", "b", "c"]);
}
