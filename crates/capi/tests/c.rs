//! The example in C, compiled with the system's compiler and run, and the functions called as C calls them.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::ptr::{null, null_mut};

use residual_arch::{Naming, families::family, names::names};
use residual_c::{
    Network, Status, residual_class_name, residual_classes, residual_free, residual_load, residual_message,
    residual_predict,
};
use residual_engine::{Options, Plan};
use residual_testkit::formula;
use residual_weights::{Checkpoint, Model, StateDict, Tensor};

fn trained() -> Checkpoint {
    let spec = family("cifar_resnet8").unwrap().with_classes(3);
    let tensors = names(&spec, spec.naming).into_iter().map(|tensor| {
        let values = formula::tensor(&tensor.name, &tensor.shape);
        (tensor.name, Tensor::new(tensor.shape, values).unwrap())
    });
    let tensors = StateDict::from_tensors(tensors).unwrap();
    let classes = ["cat", "dog", "ship"].map(String::from).into();
    Checkpoint { spec, classes, tensors, optimiser: StateDict::new(), state: None }
}

fn pixels() -> Vec<u8> {
    (0..32 * 32 * 3).map(|i| (i * 91 % 251) as u8).collect()
}

/// Class and probability that the engine gives.
fn expected(trained: &Checkpoint) -> (usize, f32) {
    let plan = Plan::compile(&Model::from_checkpoint(trained.clone()).unwrap(), &Options::default()).unwrap();
    let logits = plan.run(&pixels(), &mut plan.scratch()).unwrap().to_vec();
    let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
    let probabilities = logits.iter().map(|logit| logit.exp() / sum);
    probabilities.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
}

/// Compiles the example against the library that was built with this test; `None` without a C compiler.
fn compiled(folder: &Path) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libraries = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = folder.join("predict");
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root.join("include"))
        .arg(root.join("examples/predict.c"))
        .arg("-o")
        .arg(&program)
        .arg("-L")
        .arg(&libraries)
        .arg("-lresidual_c")
        .arg(format!("-Wl,-rpath,{}", libraries.display()))
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(program)
        }
        Err(error) => {
            eprintln!("skipped: no C compiler: {error}");
            None
        }
    }
}

#[test]
fn the_example_in_c_predicts_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = compiled(folder.path()) else { return };
    let trained = trained();
    let (weights, image) = (folder.path().join("net.safetensors"), folder.path().join("image.raw"));
    trained.write(&weights).unwrap();
    std::fs::write(&image, pixels()).unwrap();
    let run = |weights: &Path, side: &str| -> Output {
        Command::new(&program).arg(weights).args([side, side]).arg(&image).output().unwrap()
    };

    let output = run(&weights, "32");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let (class, probability) = expected(&trained);
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..2], [class.to_string().as_str(), trained.classes[class].as_str()]);
    assert!((words[2].parse::<f32>().unwrap() - probability).abs() < 1e-4, "{text}, {probability}");

    let failed = |output: Output, words: [&str; 2]| {
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    failed(run(&folder.path().join("absent.safetensors"), "32"), ["code 2", "absent.safetensors"]);
    // Longer or shorter than the dimensions say: never the image that was meant.
    failed(run(&weights, "31"), ["31 x 31", "2883 bytes"]);
    failed(run(&weights, "33"), ["33 x 33", "neither more nor fewer"]);
    for side in ["0", "-32", "32x", "", "99999999999999999999"] {
        failed(run(&weights, side), ["width and height", "1 to 65535"]);
    }
    // Without a resize in its preprocessing, the network takes an image of another size as `predict` does.
    std::fs::write(&image, vec![9; 40 * 40 * 3]).unwrap();
    let output = run(&weights, "40");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn message() -> String {
    // SAFETY: the text lives until this thread's next failure.
    unsafe { CStr::from_ptr(residual_message()) }.to_str().unwrap().to_owned()
}

fn load(path: &Path, model: Option<&str>) -> (Status, *mut Network) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    let model = model.map(|model| CString::new(model).unwrap());
    let mut network = null_mut();
    // SAFETY: texts that end, and a place for a pointer.
    let status = unsafe {
        residual_load(path.as_ptr(), model.as_ref().map_or(null(), |model| model.as_ptr()), 1, &mut network)
    };
    (status, network)
}

#[test]
fn every_failure_has_a_code_and_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    trained().write(&path).unwrap();
    let (status, network) = load(&path, None);
    assert_eq!(status, Status::Ok, "{}", message());
    let image = pixels();
    let predict = |network: *const Network, pixels: *const u8, [w, h, c]: [usize; 3], length: usize| {
        let mut room = [0.0; 8];
        // SAFETY: a network or null, pixels for every size that gets past the checks or null, room enough.
        let status = unsafe { residual_predict(network, pixels, w, h, c, room.as_mut_ptr(), length) };
        (status, room[..3].iter().sum::<f32>())
    };
    let (status, sum) = predict(network, image.as_ptr(), [32, 32, 3], 3);
    assert!(status == Status::Ok && (sum - 1.0).abs() < 1e-6);
    let fails = |found: Status, wanted: Status, word: &str| {
        assert_eq!(found, wanted, "{}", message());
        assert!(message().contains(word), "{}", message());
    };
    let argument = Status::InvalidArgument;
    fails(predict(null(), image.as_ptr(), [32, 32, 3], 3).0, argument, "network is NULL");
    fails(predict(network, null(), [32, 32, 3], 3).0, argument, "pixels");
    fails(predict(network, image.as_ptr(), [32, 32, 3], 4).0, argument, "3 classes");
    fails(predict(network, image.as_ptr(), [usize::MAX, 32, 3], 3).0, argument, "larger than any");
    fails(predict(network, image.as_ptr(), [32, 32, 2], 3).0, Status::Image, "2 channels");
    fails(predict(network, image.as_ptr(), [0, 32, 3], 3).0, Status::Image, "0x32");
    // SAFETY: null or a network throughout, freed once.
    unsafe {
        assert_eq!((residual_classes(network), residual_classes(null())), (3, 0));
        assert_eq!(CStr::from_ptr(residual_class_name(network, 2)).to_str(), Ok("ship"));
        assert!(residual_class_name(network, 3).is_null() && residual_class_name(null(), 0).is_null());
        fails(residual_load(null(), null(), 1, &mut null_mut()), argument, "path is NULL");
        fails(residual_load(c"x".as_ptr(), null(), 1, null_mut()), argument, "network is NULL");
        fails(residual_load(c"\xff".as_ptr(), null(), 1, &mut null_mut()), argument, "UTF-8");
        residual_free(network);
        residual_free(null_mut());
    }
}

/// Probabilities that the library gives for an image of bytes.
fn probabilities(
    network: *const Network,
    pixels: &[u8],
    size: [usize; 3],
    classes: usize,
) -> (Status, Vec<f32>) {
    let mut room = vec![0.0; classes];
    let [width, height, channels] = size;
    assert_eq!(pixels.len(), width * height * channels);
    // SAFETY: a network, pixels for the size, room for the classes.
    let status = unsafe {
        residual_predict(network, pixels.as_ptr(), width, height, channels, room.as_mut_ptr(), classes)
    };
    (status, room)
}

#[test]
fn a_photograph_is_resized_for_weights_that_take_images_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let trained = trained();
    trained.write(&path).unwrap();
    let (status, network) = load(&path, None);
    assert_eq!(status, Status::Ok, "{}", message());
    let plan = Plan::compile(&Model::from_checkpoint(trained.clone()).unwrap(), &Options::default()).unwrap();
    for size in [[400, 300, 3], [300, 400, 3], [31, 90, 3], [16, 16, 1], [33, 32, 3]] {
        let [width, height, channels] = size;
        let pixels: Vec<u8> = (0..width * height * channels).map(|i| (i * 91 % 251) as u8).collect();
        let (status, found) = probabilities(network, &pixels, size, 3);
        assert_eq!(status, Status::Ok, "{size:?}: {}", message());
        let resized = residual_arch::Preprocess {
            resize: Some(residual_arch::Resize::ShorterSide(32)),
            crop: Some([32, 32]),
            ..trained.spec.preprocess.clone()
        };
        let image = residual_data::Image::new(width, height, channels, pixels).unwrap();
        let image = residual_data::Preprocessor::new(&resized).unwrap().fit(image, "x").unwrap();
        let logits = plan.run(image.pixels(), &mut plan.scratch()).unwrap().to_vec();
        let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
        for (found, logit) in found.iter().zip(&logits) {
            assert!((found - logit.exp() / sum).abs() < 1e-5, "{size:?}: {found}");
        }
    }
    // SAFETY: a network, freed once.
    unsafe { residual_free(network) };
}

#[test]
fn bare_weights_have_the_classes_of_the_file_under_every_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    for naming in [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential] {
        let spec = family("cifar_resnet8").unwrap().with_classes(7);
        let tensors = names(&spec, naming).into_iter().map(|tensor| {
            let values = formula::tensor(&tensor.name, &tensor.shape);
            (tensor.name, Tensor::new(tensor.shape, values).unwrap())
        });
        residual_weights::safetensors::write(&path, &StateDict::from_tensors(tensors).unwrap()).unwrap();
        let (status, network) = load(&path, Some("cifar_resnet8"));
        assert_eq!(status, Status::Ok, "{naming:?}: {}", message());
        // SAFETY: a network, freed once.
        unsafe {
            assert_eq!(residual_classes(network), 7, "{naming:?}");
            residual_free(network);
        }
    }
}

#[test]
fn weights_and_answers_that_are_not_finite_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let spoilt = |part: &str, value: f32| {
        let mut trained = trained();
        let name = trained.tensors.names().find(|name| name.ends_with(part)).unwrap().to_owned();
        trained.tensors.get_mut(&name).unwrap().data_mut()[0] = value;
        trained.write(&path).unwrap();
        name
    };
    for (part, value) in [
        ("linear.bias", f32::NAN),
        ("linear.weight", f32::INFINITY),
        ("conv1.weight", f32::NAN),
        ("bn1.running_var", -1.0),
        ("bn1.running_mean", f32::NEG_INFINITY),
    ] {
        let name = spoilt(part, value);
        let (status, network) = load(&path, None);
        assert!(status == Status::Network && network.is_null(), "{part}");
        assert!(message().contains(&name) && message().contains("net.safetensors"), "{}", message());
    }
    // Finite weights whose answer is not.
    let mut overflowing = trained();
    for part in ["linear.weight", "linear.bias"] {
        let name = overflowing.tensors.names().find(|name| name.ends_with(part)).unwrap().to_owned();
        overflowing.tensors.get_mut(&name).unwrap().data_mut().fill(f32::MAX);
    }
    overflowing.write(&path).unwrap();
    let (status, network) = load(&path, None);
    assert_eq!(status, Status::Ok, "{}", message());
    let (status, _) = probabilities(network, &pixels(), [32, 32, 3], 3);
    assert!(status == Status::Network && message().contains("not finite"), "{}", message());
    // SAFETY: a network, freed once.
    unsafe { residual_free(network) };
}

#[test]
fn the_folder_of_a_run_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    trained().write(folder.path().join("best.safetensors")).unwrap();
    let (status, network) = load(folder.path(), None);
    assert_eq!(status, Status::Ok, "{}", message());
    // SAFETY: a network, freed once.
    unsafe { residual_free(network) };
}

#[test]
fn bare_weights_need_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    residual_weights::safetensors::write(&path, &trained().tensors).unwrap();
    let (status, network) = load(&path, None);
    assert!(status == Status::File && network.is_null() && message().contains("bare"), "{}", message());
    let (status, _) = load(&path, Some("resnet"));
    assert_eq!(status, Status::InvalidArgument);
    let (status, _) = load(&path, Some("cifar_resnet20"));
    assert!(status == Status::Network && message().contains("missing"), "{}", message());
    let (status, network) = load(&path, Some("cifar_resnet8"));
    assert_eq!(status, Status::Ok, "{}", message());
    // SAFETY: a network, freed once.
    unsafe {
        assert_eq!(residual_classes(network), 3);
        assert!(residual_class_name(network, 0).is_null(), "the file has no names");
        residual_free(network);
    }
}
