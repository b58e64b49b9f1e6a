//! The example in C, compiled with the system's compiler and run, and the functions called as C calls them.

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::ptr::{null, null_mut};

use residual_arch::{Naming, NetSpec, RegressionTarget, Task, families::family};
use residual_c::{
    Image, Maps, Network, Status, residual_class_name, residual_classes, residual_embed,
    residual_embedding_length, residual_features, residual_free, residual_free_maps, residual_heat_map,
    residual_load, residual_load_bytes, residual_message, residual_predict, residual_task,
    residual_threshold,
};
use residual_predict::{Classifier, Model, Options};
use residual_testkit::networks;
use residual_weights::safetensors;

fn spec() -> NetSpec {
    family("cifar_resnet8").unwrap().with_classes(3)
}

fn trained() -> Model {
    let model = networks::model(&spec(), 1.0).unwrap();
    model.with_classes(["cat", "dog", "ship"].map(String::from).into()).unwrap()
}

fn pixels(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 91 % 251) as u8).collect()
}

/// The bytes of a PNG file.
fn encoded(pixels: &[u8], [width, height]: [u32; 2]) -> Vec<u8> {
    let image = image::RgbImage::from_raw(width, height, pixels.to_vec()).unwrap();
    let mut file = std::io::Cursor::new(Vec::new());
    image.write_to(&mut file, image::ImageFormat::Png).unwrap();
    file.into_inner()
}

/// Pixels as C gives them.
fn raw(data: &[u8], [width, height, channels]: [usize; 3]) -> Image {
    Image { data: data.as_ptr(), length: data.len(), width, height, channels }
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
    let (weights, photo) = (folder.path().join("net.safetensors"), folder.path().join("photo.png"));
    trained.save(&weights).unwrap();
    // Without a resize in its preprocessing, the network takes an image of another size as `predict` does.
    std::fs::write(&photo, encoded(&pixels(50 * 40 * 3), [50, 40])).unwrap();
    let run = |weights: &Path, photo: &Path, more: &[&Path]| -> Output {
        Command::new(&program).arg(weights).arg(photo).args(more).output().unwrap()
    };

    let output = run(&weights, &photo, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let explained = Classifier::new(trained.clone(), Options::new()).unwrap().explain(&photo).unwrap();
    let best = explained.prediction.best();
    let mut lines = text.lines();
    let wanted = format!("{} {} {:.6}", best.index, best.class, best.probability);
    assert_eq!(lines.next(), Some(wanted.as_str()));
    let row = |row: &[f32]| row.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = explained.map.values.chunks(explained.map.size[1]).map(row).collect();
    assert_eq!(lines.collect::<Vec<_>>(), rows);

    // Bare weights with a specification's file.
    let (bare, toml) = (folder.path().join("bare.safetensors"), folder.path().join("mine.toml"));
    safetensors::write(&bare, &trained.to_state_dict(Naming::Sequential).unwrap()).unwrap();
    spec().write(&toml).unwrap();
    let output = run(&bare, &photo, &[&toml]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("{} - {:.6}\n", best.index, best.probability)), "{text}");

    let failed = |output: Output, words: [&str; 2]| {
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    failed(run(&folder.path().join("absent.safetensors"), &photo, &[]), ["code 2", "absent.safetensors"]);
    failed(run(&weights, &folder.path().join("absent.png"), &[]), ["absent.png", "cannot be read"]);
    failed(run(&weights, &weights, &[]), ["code 4", "the image"]);
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

/// A network that is loaded and freed.
struct Loaded(*mut Network);

impl Loaded {
    fn new(path: &Path, model: Option<&str>) -> Self {
        let (status, network) = load(path, model);
        assert_eq!(status, Status::Ok, "{}", message());
        Self(network)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: a network, freed once.
        unsafe { residual_free(self.0) };
    }
}

/// Rows that a function fills for images.
fn rows(
    function: unsafe extern "C" fn(*const Network, *const Image, usize, *mut f32, usize) -> Status,
    network: &Loaded,
    images: &[Image],
    each: usize,
) -> (Status, Vec<f32>) {
    let mut room = vec![0.0; images.len() * each];
    // SAFETY: a network, images with their data, and room.
    let status = unsafe { function(network.0, images.as_ptr(), images.len(), room.as_mut_ptr(), room.len()) };
    (status, room)
}

fn same(found: &[f32], wanted: &[f64]) {
    assert_eq!(found, wanted.iter().map(|&p| p as f32).collect::<Vec<_>>());
}

#[test]
fn answers_are_the_classifiers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    trained().save(&path).unwrap();
    let (network, classifier) = (Loaded::new(&path, None), Classifier::open(&path).unwrap());
    let width = classifier.embedding_length();
    // SAFETY: a network or null.
    unsafe {
        assert_eq!((residual_embedding_length(network.0), residual_embedding_length(null())), (64, 0));
        assert_eq!((residual_classes(network.0), residual_classes(null())), (3, 0));
        assert_eq!(CStr::from_ptr(residual_class_name(network.0, 2)).to_str(), Ok("ship"));
        assert!(residual_class_name(network.0, 3).is_null() && residual_class_name(null(), 0).is_null());
    }
    for size in [[32, 32, 3], [400, 300, 3], [31, 90, 3], [16, 16, 1]] {
        let pixels = pixels(size.iter().product());
        let image = residual_predict::Image::new(size[0], size[1], size[2], pixels.clone()).unwrap();
        let given = [raw(&pixels, size)];
        let (status, found) = rows(residual_predict, &network, &given, 3);
        assert_eq!(status, Status::Ok, "{size:?}: {}", message());
        same(&found, classifier.classify(&image).unwrap().probabilities());
        let (status, found) = rows(residual_embed, &network, &given, width);
        assert_eq!((status, found), (Status::Ok, classifier.embed(&image).unwrap()));

        let mut maps = Maps { channels: 9, height: 9, width: 9, values: null_mut() };
        // SAFETY: a network, an image, a layer's name, room for maps that are freed.
        unsafe {
            assert_eq!(residual_features(network.0, &given[0], c"stage2".as_ptr(), &mut maps), Status::Ok);
            let wanted = classifier.features(&image, "stage2").unwrap();
            assert_eq!([maps.channels, maps.height, maps.width], wanted.shape);
            assert_eq!(std::slice::from_raw_parts(maps.values, wanted.values.len()), wanted.values);
            residual_free_maps(&mut maps);
            assert!(maps.values.is_null() && maps.channels == 0);
            residual_free_maps(&mut maps);
            residual_free_maps(null_mut());
            for class in [1, usize::MAX] {
                assert_eq!(residual_heat_map(network.0, &given[0], class, &mut maps), Status::Ok);
                let wanted = match class {
                    1 => classifier.heat_map(&image, 1).unwrap(),
                    _ => classifier.explain(&image).unwrap().map,
                };
                assert_eq!([maps.channels, maps.height, maps.width], [1, wanted.size[0], wanted.size[1]]);
                assert_eq!(std::slice::from_raw_parts(maps.values, wanted.values.len()), wanted.values);
                residual_free_maps(&mut maps);
            }
        }
    }
}

#[test]
fn the_task_of_a_network_says_what_its_numbers_are() {
    let folder = tempfile::tempdir().unwrap();
    let targets = ["x", "y", "z"].map(|name| RegressionTarget::new(name, 10.0, 2.0)).into();
    let (task, threshold) = (residual_task, residual_threshold);
    for (kind, wanted, least) in [
        (Task::SingleLabel, "single_label", f32::NAN),
        (Task::MultiLabel { threshold: 0.25 }, "multi_label", 0.25),
        (Task::Regression { targets }, "regression", f32::NAN),
    ] {
        let path = folder.path().join(format!("{wanted}.safetensors"));
        networks::model(&spec().with(|net| net.task = kind), 1.0).unwrap().save(&path).unwrap();
        let (network, classifier) = (Loaded::new(&path, None), Classifier::open(&path).unwrap());
        // SAFETY: a network or null.
        unsafe {
            assert_eq!(CStr::from_ptr(task(network.0)).to_str(), Ok(wanted));
            let found = threshold(network.0);
            assert!(found == least || (found.is_nan() && least.is_nan()), "{found}");
            assert!(task(null()).is_null() && threshold(null()).is_nan());
        }
        let pixels = pixels(32 * 32 * 3);
        let (status, found) = rows(residual_predict, &network, &[raw(&pixels, [32, 32, 3])], 3);
        assert_eq!(status, Status::Ok, "{}", message());
        let image = residual_predict::Image::new(32, 32, 3, pixels).unwrap();
        let answer = classifier.classify(image).unwrap();
        let numbers = answer.probabilities().iter().copied();
        let numbers: Vec<f64> = numbers.chain(answer.values().map(|value| value.value)).collect();
        assert_eq!(numbers.len(), 3);
        same(&found, &numbers);
    }
}

#[test]
fn a_batch_of_pixels_and_files_is_answered_image_by_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    trained().save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut network = null_mut();
    // SAFETY: bytes, no name, a place for a pointer.
    let status = unsafe { residual_load_bytes(bytes.as_ptr(), bytes.len(), null(), 2, &mut network) };
    assert_eq!(status, Status::Ok, "{}", message());
    let (network, classifier) = (Loaded(network), Classifier::open(&path).unwrap());
    let plain = pixels(32 * 32 * 3);
    let (png, bad) = (encoded(&pixels(50 * 40 * 3), [50, 40]), b"no image".to_vec());
    let images = [
        raw(&plain, [32, 32, 3]),
        raw(&png, [0; 3]),
        raw(&bad, [0; 3]),
        raw(&plain, [3, 3, 3]),
        raw(&png, [0; 3]),
    ];
    let inputs: Vec<residual_predict::Input<'static>> = vec![
        residual_predict::Image::new(32, 32, 3, plain.clone()).unwrap().into(),
        png.clone().into(),
        png.clone().into(),
    ];
    let wanted: Vec<_> = classifier.classify_all(inputs).map(Result::unwrap).collect();
    let (status, found) = rows(residual_predict, &network, &images, 3);
    assert_eq!(status, Status::Image);
    assert!(message().starts_with("image 2: "), "{}", message());
    for (row, answer) in [0, 1, 4].into_iter().zip(&wanted) {
        same(&found[3 * row..][..3], answer.probabilities());
    }
    assert!(found[6..12].iter().all(|value| value.is_nan()), "{found:?}");
    // No images are no failure.
    assert_eq!(rows(residual_predict, &network, &[], 3).0, Status::Ok);
}

#[test]
fn every_failure_has_a_code_and_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    trained().save(&path).unwrap();
    let network = Loaded::new(&path, None);
    let data = pixels(32 * 32 * 3);
    let good = raw(&data, [32, 32, 3]);
    let fails = |found: Status, wanted: Status, word: &str| {
        assert_eq!(found, wanted, "{}", message());
        assert!(message().contains(word), "{}", message());
    };
    let mut room = [0.0; 8];
    let mut predict = |network: *const Network, image: *const Image, length: usize| {
        // SAFETY: a network or null, an image whose data are as long as it says or null, room enough.
        unsafe { residual_predict(network, image, 1, room.as_mut_ptr(), length) }
    };
    let (argument, network) = (Status::InvalidArgument, network.0);
    fails(predict(null(), &good, 3), argument, "network is NULL");
    fails(predict(network, null(), 3), argument, "images is NULL");
    fails(predict(network, &good, 4), argument, "room for 4 probabilities");
    fails(predict(network, &Image { data: null(), ..good }, 3), argument, "data is NULL");
    fails(predict(network, &Image { height: usize::MAX, ..good }, 3), argument, "larger than any");
    fails(predict(network, &Image { width: 31, ..good }, 3), Status::Image, "not 3072 bytes");
    fails(predict(network, &Image { channels: 2, width: 48, ..good }, 3), Status::Image, "2 channels");
    fails(predict(network, &Image { width: 0, length: 0, ..good }, 3), Status::Image, "0x32");
    let mut maps = Maps { channels: 0, height: 0, width: 0, values: null_mut() };
    // SAFETY: null, a network, or an image throughout.
    unsafe {
        fails(residual_predict(network, &good, 1, null_mut(), 3), argument, "probabilities is NULL");
        fails(residual_predict(network, &good, usize::MAX, null_mut(), 3), argument, "images");
        fails(residual_load(null(), null(), 1, &mut null_mut()), argument, "path is NULL");
        fails(residual_load(c"x".as_ptr(), null(), 1, null_mut()), argument, "network is NULL");
        fails(residual_load(c"\xff".as_ptr(), null(), 1, &mut null_mut()), argument, "UTF-8");
        fails(residual_load_bytes(null(), 9, null(), 1, &mut null_mut()), argument, "bytes is NULL");
        fails(residual_load_bytes(null(), 0, null(), 1, &mut null_mut()), Status::File, "empty");
        fails(residual_features(network, &good, null(), &mut maps), argument, "layer is NULL");
        fails(residual_features(network, &good, c"stage9".as_ptr(), &mut maps), argument, "stage3.block0");
        fails(residual_features(network, &good, c"stem".as_ptr(), null_mut()), argument, "maps is NULL");
        fails(residual_heat_map(network, &good, 3, &mut maps), argument, "class 3");
        fails(residual_heat_map(network, null(), 0, &mut maps), argument, "image is NULL");
        residual_free(null_mut());
    }
    assert!(maps.values.is_null());
}

#[test]
fn bare_weights_have_the_classes_of_the_file_under_every_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let (path, json) = (folder.path().join("bare.safetensors"), folder.path().join("mine.json"));
    family("cifar_resnet8").unwrap().write(&json).unwrap();
    let model = networks::model(&family("cifar_resnet8").unwrap().with_classes(7), 1.0).unwrap();
    for naming in [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential] {
        safetensors::write(&path, &model.to_state_dict(naming).unwrap()).unwrap();
        for name in ["cifar_resnet8", json.to_str().unwrap()] {
            let network = Loaded::new(&path, Some(name));
            // SAFETY: a network.
            assert_eq!(unsafe { residual_classes(network.0) }, 7, "{naming:?}");
        }
    }
}

#[test]
fn weights_and_answers_that_are_not_finite_are_failures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    for (tensor, name, value) in [
        ("head.linear.bias", "linear.bias", f32::NAN),
        ("head.linear.weight", "linear.weight", f32::INFINITY),
        ("stem.conv0.weight", "conv1.weight", f32::NAN),
        ("stage1.block0.norm1.running_var", "layer1.0.bn1.running_var", -1.0),
        ("stage1.block0.norm1.running_mean", "layer1.0.bn1.running_mean", f32::NEG_INFINITY),
    ] {
        let mut spoilt = trained();
        spoilt.tensor_mut(tensor.parse().unwrap()).unwrap()[0] = value;
        spoilt.save(&path).unwrap();
        let (status, network) = load(&path, None);
        assert!(status == Status::Network && network.is_null(), "{tensor}: {}", message());
        assert!(message().contains(name) && message().contains("net.safetensors"), "{}", message());
    }
    // Finite weights whose answer is not.
    let mut overflowing = trained();
    for tensor in ["head.linear.weight", "head.linear.bias"] {
        overflowing.tensor_mut(tensor.parse().unwrap()).unwrap().fill(f32::MAX);
    }
    overflowing.save(&path).unwrap();
    let data = pixels(32 * 32 * 3);
    let (status, _) = rows(residual_predict, &Loaded::new(&path, None), &[raw(&data, [32, 32, 3])], 3);
    assert!(status == Status::Network && message().contains("not finite"), "{}", message());
}

#[test]
fn the_folder_of_a_run_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    trained().save(folder.path().join("best.safetensors")).unwrap();
    Loaded::new(folder.path(), None);
}

#[test]
fn bare_weights_are_told_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    safetensors::write(&path, &trained().to_state_dict(Naming::Cifar).unwrap()).unwrap();
    // SAFETY: a network.
    unsafe { assert_eq!(residual_classes(Loaded::new(&path, None).0), 3) };
    for unknown in ["resnet", "nowhere.toml"] {
        assert_eq!(load(&path, Some(unknown)).0, Status::InvalidArgument, "{}", message());
        assert!(message().contains(unknown), "{}", message());
    }
    let (status, _) = load(&path, Some("cifar_resnet20"));
    assert!(status == Status::Network && message().contains("missing"), "{}", message());
    let network = Loaded::new(&path, Some("cifar_resnet8"));
    // SAFETY: a network.
    unsafe {
        assert_eq!(residual_classes(network.0), 3);
        assert!(residual_class_name(network.0, 0).is_null(), "the file has no names");
    }
}

#[test]
fn classes_of_published_networks_have_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    let model = networks::model(&family("cifar_resnet8").unwrap(), 1.0).unwrap();
    safetensors::write(&path, &model.to_state_dict(Naming::Cifar).unwrap()).unwrap();
    let network = Loaded::new(&path, Some("cifar_resnet8"));
    let name = |class| {
        // SAFETY: a network; a name lives as long as it.
        let name = unsafe { residual_class_name(network.0, class) };
        // SAFETY: a text that ends in a zero, where it is not null.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_str().unwrap())
    };
    assert_eq!([0, 3, 9, 10].map(name), [Some("airplane"), Some("cat"), Some("truck"), None]);
}
