//! What is read and yet refused: integers, a run without weights, truncated files, special files.

mod pickler;

use std::fs;
use std::path::Path;

use pickler::{Py, archive, items, legacy, storage, tensor};
use residual_arch::{NetSpec, families::family, names::names};
use residual_weights::{
    Checkpoint, Error, StateDict, Tensor, Weights, check_values, map, match_tensors, read, read_bytes,
    safetensors, scheme, weights_file, with_classes_of,
};

fn state_of(spec: &NetSpec, naming: residual_arch::Naming) -> StateDict {
    let tensors = names(spec, naming).into_iter().map(|tensor| {
        let count = tensor.shape.iter().product();
        (tensor.name, Tensor::new(tensor.shape, vec![0.5; count]).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

fn trained() -> Checkpoint {
    let spec = family("cifar_resnet8").unwrap().with_classes(2);
    let tensors = state_of(&spec, spec.naming);
    let classes = vec!["cat".to_owned(), "dog".to_owned()];
    Checkpoint { spec, classes, tensors, optimiser: StateDict::new(), state: None }
}

/// A safetensors file of one tensor with two elements.
fn one(name: &str, dtype: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{}]}}}}"#, data.len());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn integers_are_no_weights() {
    let expected = [("fc.bias".to_owned(), vec![2])];
    let whole = [
        ("I8", "int8", 1),
        ("U8", "uint8", 1),
        ("BOOL", "bool", 1),
        ("I16", "int16", 2),
        ("I32", "int32", 4),
        ("I64", "int64", 8),
        ("U64", "uint64", 8),
    ];
    for (dtype, name, size) in whole {
        let state = read_bytes(&one("fc.bias", dtype, &vec![0; 2 * size])).unwrap();
        let error = match_tensors(&expected, &state).unwrap_err();
        assert!(matches!(error, Error::Integers { .. }), "{error}");
        assert!(error.to_string().contains(&format!("fc.bias is {name}")), "{error}");
    }
    for (dtype, size) in [("F64", 8), ("F32", 4), ("F16", 2), ("BF16", 2)] {
        let state = read_bytes(&one("fc.bias", dtype, &vec![0; 2 * size])).unwrap();
        match_tensors(&expected, &state).unwrap();
    }
}

#[test]
fn integers_of_pytorch_are_no_weights_but_counters_may_be() {
    let of = |class, size: usize| {
        let value = tensor(storage(class, "0", 2), 0, &[2], &[1]);
        let object = Py::Dict(items([("bn.weight", value.clone()), ("bn.num_batches_tracked", value)]));
        let bytes = vec![0; 2 * size];
        [archive(&object, &[("0", bytes.clone())]), legacy(&object, &[("0", 2, bytes)])]
    };
    let weight = [("bn.weight".to_owned(), vec![2])];
    let counter = [("bn.num_batches_tracked".to_owned(), vec![2])];
    for (class, name, size) in [
        ("CharStorage", "int8", 1),
        ("BoolStorage", "bool", 1),
        ("LongStorage", "int64", 8),
        ("ByteStorage", "uint8", 1),
    ] {
        for file in of(class, size) {
            let state = read_bytes(&file).unwrap();
            let error = match_tensors(&weight, &state).unwrap_err().to_string();
            assert!(error.contains(&format!("bn.weight is {name}")), "{error}");
            let mut counted = state.clone();
            counted.remove("bn.weight");
            match_tensors(&counter, &counted).unwrap();
        }
    }
    for file in of("HalfStorage", 2) {
        match_tensors(&weight, &read_bytes(&file).unwrap()).unwrap();
    }
}

#[test]
fn names_are_read_as_they_are_with_the_metadata() {
    let tensor = Tensor::new(vec![2], vec![1.0, 2.0]).unwrap();
    let mut state = StateDict::from_tensors([("module.a".to_owned(), tensor)]).unwrap();
    state.metadata.insert("k".to_owned(), "v".to_owned());
    let read = read_bytes(&safetensors::to_bytes(&state).unwrap()).unwrap();
    assert_eq!(read, state);
    assert_eq!(read.metadata.get("k").map(String::as_str), Some("v"));
}

#[test]
fn the_folder_of_a_run_stands_for_its_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    for error in [read(&run).unwrap_err(), map(&run).unwrap_err(), Checkpoint::read(&run).unwrap_err()] {
        assert!(
            matches!(error.cause(), Error::NoWeightsInFolder) && error.to_string().contains("run: a folder")
        );
    }
    let (mut best, mut last) = (trained(), trained());
    best.classes[0] = "best".to_owned();
    last.classes[0] = "last".to_owned();
    last.write(run.join("last.safetensors")).unwrap();
    assert_eq!(weights_file(&run).unwrap(), run.join("last.safetensors"));
    assert_eq!(Checkpoint::read(&run).unwrap().classes[0], "last");
    best.write(run.join("best.safetensors")).unwrap();
    assert_eq!(weights_file(&run).unwrap(), run.join("best.safetensors"));
    assert_eq!(Checkpoint::read(&run).unwrap().classes[0], "best");
    for weights in [Weights::read(&run).unwrap(), Weights::map(&run).unwrap()] {
        assert!(matches!(weights, Weights::Trained(trained) if trained.classes[0] == "best"));
    }
    assert_eq!(weights_file(run.join("x.pth")).unwrap(), run.join("x.pth"));
}

#[test]
fn a_truncated_file_says_what_can_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let cut = |path: &Path| {
        trained().write(path).unwrap();
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        read(path).unwrap_err().to_string()
    };
    let error = cut(&at("last.safetensors"));
    assert!(error.contains("help: download or copy it again"), "{error}");
    trained().write(at("best.safetensors")).unwrap();
    let error = cut(&at("last.safetensors"));
    assert!(error.contains("best.safetensors is beside it") && error.contains("--init"), "{error}");
    let error = cut(&at("other.safetensors"));
    assert!(error.contains("help: download or copy it again"), "{error}");
    fs::write(at("last.safetensors"), b"").unwrap();
    let error = read(at("last.safetensors")).unwrap_err().to_string();
    assert!(error.contains("empty") && error.contains("best.safetensors is beside it"), "{error}");
}

#[cfg(unix)]
#[test]
fn special_files_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo.safetensors");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let link = folder.path().join("zero.pth");
    std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
    for (path, kind) in [(&fifo, "a FIFO, not a regular file"), (&link, "a device, not a regular file")] {
        for error in [read(path).unwrap_err(), map(path).unwrap_err(), Weights::map(path).unwrap_err()] {
            assert!(error.to_string().contains(kind), "{error}");
        }
    }
}

#[test]
fn classes_are_those_of_the_file_under_every_scheme() {
    use residual_arch::Naming;
    let spec = family("cifar_resnet8").unwrap();
    for naming in [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential] {
        let state = state_of(&spec.clone().with_classes(7), naming);
        let found = with_classes_of(spec.clone(), &state);
        assert_eq!(found.head.classes, 7, "{naming:?}");
        let named = names(&found, scheme(&found, &state));
        assert!(named.iter().all(|tensor| state.get(&tensor.name).is_some()), "{naming:?}");
    }
}

#[test]
fn writing_too_few_class_names_is_the_callers_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let mut checkpoint = trained();
    checkpoint.classes.truncate(1);
    let error = checkpoint.write(&path).unwrap_err();
    assert!(matches!(error.cause(), Error::Unwritable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("1 class names for a network of 2 classes") && !text.contains("damaged"), "{text}");
    assert!(!path.exists());
}

#[test]
fn names_are_printed_without_control_characters() {
    let state = read_bytes(&one("a\\u001b[31mb", "F32", &[0; 8])).unwrap();
    let error = match_tensors(&[("fc.bias".to_owned(), vec![2])], &state).unwrap_err().to_string();
    assert!(error.contains("a\\u{1b}[31mb") && !error.contains('\x1b'), "{error}");
    let error = read("a\x1b[31m.pth").unwrap_err().to_string();
    assert!(error.starts_with("a\\u{1b}[31m.pth: "), "{error}");
}

#[test]
fn values_are_checked_by_the_names_of_the_file() {
    let mut state = trained().tensors;
    check_values(state.names(), &state).unwrap();
    let name = state.names().find(|name| name.ends_with("running_var")).unwrap().to_owned();
    state.get_mut(&name).unwrap().data_mut()[0] = -0.1;
    let error = check_values(state.names(), &state).unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("negative"), "{error}");
}
