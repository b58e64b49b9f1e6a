//! Trained networks in one file.

use residual_arch::NetSpec;
use residual_weights::{Checkpoint, Error, StateDict, Tensor, Weights, read, safetensors};
use serde_json::json;

fn spec() -> NetSpec {
    serde_json::from_value(json!({
        "name": "tiny",
        "input": [3, 8, 8],
        "stochastic_depth": 0.1,
        "stem": { "convs": [{ "channels": 4, "kernel": 3 }] },
        "stages": [{ "blocks": [{ "kind": "basic", "channels": 8, "stride": 2, "repeat": 2 }] }],
        "head": { "classes": 2 },
        "preprocess": { "resize": { "exact": [8, 8] }, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6] },
    }))
    .unwrap()
}

fn trained() -> Checkpoint {
    let one = |name: &str, value: f32| {
        let tensor = Tensor::new(vec![2], vec![value, -value]).unwrap();
        StateDict::from_tensors([(name.to_owned(), tensor)]).unwrap()
    };
    Checkpoint {
        spec: spec(),
        classes: vec!["chat \"é\"".to_owned(), "dog".to_owned()],
        tensors: one("fc.bias", 0.5),
        optimiser: one("momentum.fc.bias", 0.25),
        state: Some(json!({ "step": u64::MAX, "best": 0.1 + 0.2, "order": [1, 2] })),
    }
}

fn round_trip(checkpoint: &Checkpoint) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    checkpoint.write(&path).unwrap();
    Checkpoint::read(&path).unwrap()
}

#[test]
fn a_checkpoint_comes_back_whole() {
    assert_eq!(round_trip(&trained()), trained());
    let mut lean = trained();
    lean.optimiser = StateDict::new();
    lean.state = None;
    lean.tensors.metadata.insert("author".to_owned(), "me".to_owned());
    assert_eq!(round_trip(&lean), lean);
}

#[test]
fn equal_checkpoints_are_equal_files() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    trained().write(&first).unwrap();
    round_trip(&trained()).write(&second).unwrap();
    assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
}

#[test]
fn it_is_a_safetensors_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    trained().write(&path).unwrap();
    let state = read(&path).unwrap();
    assert_eq!(state.names().collect::<Vec<_>>(), ["fc.bias", "optimiser.momentum.fc.bias"]);
    assert_eq!(
        state.metadata.keys().collect::<Vec<_>>(),
        ["residual.checksum", "residual.classes", "residual.spec", "residual.state", "residual.version"]
    );
}

#[test]
fn plain_weights_ask_for_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.safetensors");
    safetensors::write(&path, &trained().tensors).unwrap();
    let error = Checkpoint::read(&path).unwrap_err();
    assert!(matches!(error.cause(), Error::NoSpec { .. }));
    let text = error.to_string();
    assert!(
        text.contains("plain.safetensors") && text.contains("help: ") && text.contains("--model"),
        "{text}"
    );
}

#[test]
fn one_read_tells_trained_from_plain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    trained().write(&path).unwrap();
    assert_eq!(Weights::read(&path).unwrap(), Weights::Trained(Box::new(trained())));
    let mut damaged = read(&path).unwrap();
    safetensors::write(&path, &trained().tensors).unwrap();
    assert_eq!(Weights::read(&path).unwrap(), Weights::Plain(trained().tensors));
    damaged.metadata.insert("residual.classes".to_owned(), "[]".to_owned());
    safetensors::write(&path, &damaged).unwrap();
    let error = Weights::read(&path).unwrap_err();
    assert!(error.to_string().contains("weights.safetensors: damaged checkpoint"), "{error}");
}

#[test]
fn damaged_metadata_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    trained().write(&path).unwrap();
    let sound = read(&path).unwrap();
    let cases: [(&str, Option<&str>); 8] = [
        ("residual.version", None),
        ("residual.version", Some("2")),
        ("residual.spec", Some("{}")),
        ("residual.spec", Some("not json")),
        ("residual.classes", None),
        ("residual.classes", Some("[1, 2]")),
        ("residual.classes", Some("[\"only one\"]")),
        ("residual.state", Some("{")),
    ];
    for (damaged, text) in cases {
        let mut state = sound.clone();
        match text {
            Some(text) => state.metadata.insert(damaged.to_owned(), text.to_owned()),
            None => state.metadata.remove(damaged),
        };
        let error = Checkpoint::from_state_dict(state).unwrap_err();
        assert!(
            matches!(error, Error::Metadata { key, .. } if key == damaged),
            "{damaged} {text:?}: {error}"
        );
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let refused = |change: fn(&mut Checkpoint)| {
        let mut checkpoint = trained();
        change(&mut checkpoint);
        checkpoint.write(&path).unwrap_err()
    };
    let callers = |error: Error| matches!(error.cause(), Error::Unwritable { .. });
    assert!(callers(refused(|c| c.classes.truncate(1))));
    assert!(callers(refused(|c| c.spec.preprocess.std[1] = 0.0)));
    assert!(callers(refused(|c| c.spec.preprocess.mean[1] = f32::NAN)));
    assert!(callers(refused(|c| c.spec.preprocess.mean.truncate(1))));
    let error = refused(|c| c.tensors.rename("fc.bias", "optimiser.fc").unwrap());
    assert!(matches!(error.cause(), Error::ReservedName { .. }));
    assert!(!path.exists());
}

#[test]
fn a_changed_byte_of_a_training_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    trained().write(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for place in header..good.len() {
        let mut bent = good.clone();
        bent[place] ^= 4;
        std::fs::write(&path, bent).unwrap();
        let error = Checkpoint::read(&path).unwrap_err();
        let is_checksum = matches!(error.cause(), Error::Metadata { key: "residual.checksum", .. });
        assert!(is_checksum && error.to_string().contains("last.safetensors"), "byte {place}: {error}");
    }
    // The state counts as well.
    let text = std::str::from_utf8(&good[8..header]).unwrap().replace("order", "ordes");
    std::fs::write(&path, [&good[..8], text.as_bytes(), &good[header..]].concat()).unwrap();
    assert!(matches!(Checkpoint::read(&path).unwrap_err().cause(), Error::Metadata { .. }));
}

#[test]
fn a_training_without_a_checksum_is_read_and_other_files_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.safetensors");
    trained().write(&path).unwrap();
    let mut state = read(&path).unwrap();
    assert_eq!(state.metadata.remove("residual.checksum").map(|sum| sum.len()), Some(16));
    safetensors::write(&path, &state).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap(), trained());
    Checkpoint { state: None, ..trained() }.write(&path).unwrap();
    assert!(!read(&path).unwrap().metadata.contains_key("residual.checksum"));
}
