//! A classifier as a program uses it: every kind of image, many at once, from many threads, and what goes wrong.

use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, RgbImage};
use residual_arch::families::family;
use residual_arch::{Naming, NetSpec, RegressionTarget, Task};
use residual_data::Preprocessor;
use residual_engine::{Images, Options as PlanOptions, Plan};
use residual_predict::{Classifier, Error, Image, Input, Model, Options, Prediction};
use residual_testkit::networks;
use residual_weights::{Tensor, safetensors};

const CLASSES: [&str; 3] = ["cat", "dog", "ship"];

fn spec() -> NetSpec {
    family("cifar_resnet8").unwrap().with_classes(3)
}

fn model() -> Model {
    networks::model(&spec(), 1.0).unwrap().with_classes(CLASSES.map(String::from).into()).unwrap()
}

fn classifier() -> Classifier {
    Classifier::new(model(), Options::new().threads(2)).unwrap()
}

fn pixels(width: usize, height: usize, seed: usize) -> Vec<u8> {
    (0..width * height * 3).map(|i| ((i * 91 + seed * 37 + i / 97 * seed) % 251) as u8).collect()
}

fn picture(width: usize, height: usize, seed: usize) -> Image {
    Image::new(width, height, 3, pixels(width, height, seed)).unwrap()
}

fn rgb(image: &Image) -> RgbImage {
    RgbImage::from_raw(image.width() as u32, image.height() as u32, image.pixels().to_vec()).unwrap()
}

/// Files of pictures of two sizes, `NUMBER.png`.
fn photos(folder: &Path, count: usize) -> Vec<PathBuf> {
    let photo = |number: usize| {
        let path = folder.join(format!("{number}.png"));
        let [width, height] = if number % 3 == 2 { [40, 50] } else { [32, 32] };
        rgb(&picture(width, height, number)).save(&path).unwrap();
        path
    };
    (0..count).map(photo).collect()
}

fn bits(prediction: &Prediction) -> Vec<u64> {
    prediction.probabilities().iter().map(|p| p.to_bits()).collect()
}

#[test]
fn a_path_its_bytes_its_pixels_and_a_tensor_get_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let classifier = classifier();
    for size in [[32, 32], [61, 47], [20, 90]] {
        let (path, image) = (folder.path().join("photo.png"), picture(size[0], size[1], 5));
        rgb(&image).save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let wanted = classifier.classify(&path).unwrap();
        assert_eq!(wanted.file(), Some(path.as_path()));
        let same: [Input<'_>; 9] = [
            path.to_str().unwrap().into(),
            path.to_str().unwrap().to_owned().into(),
            path.as_path().into(),
            (&bytes).into(),
            (&image).into(),
            image.clone().into(),
            rgb(&image).into(),
            (&DynamicImage::from(rgb(&image))).into(),
            // Alpha is left out.
            DynamicImage::ImageRgba8(DynamicImage::from(rgb(&image)).to_rgba8()).into(),
        ];
        for input in same {
            let found = format!("{input:?}").chars().take(40).collect::<String>();
            assert_eq!(bits(&classifier.classify(input).unwrap()), bits(&wanted), "{found}");
        }
        // Normalised elsewhere, the values differ in their last bits.
        let fitted = residual_data::Fit::new(&spec()).unwrap().fit(image, "x").unwrap();
        let (values, shape) = Preprocessor::new(&spec().preprocess).unwrap().apply(fitted, "x").unwrap();
        for shape in [shape.to_vec(), [&[1], &shape[..]].concat()] {
            let tensor = Tensor::new(shape, values.clone()).unwrap();
            let found = classifier.classify(&tensor).unwrap();
            let pairs = found.probabilities().iter().zip(wanted.probabilities());
            assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {wanted:?}");
        }
    }
}

#[test]
fn grey_images_stay_grey() {
    let grey = GrayImage::from_fn(32, 32, |x, y| image::Luma([(x * 7 + y * 3) as u8]));
    let classifier = classifier();
    let wanted = Image::new(32, 32, 1, grey.as_raw().clone()).unwrap();
    let wanted = classifier.classify(wanted).unwrap();
    assert_eq!(bits(&classifier.classify(DynamicImage::from(grey.clone())).unwrap()), bits(&wanted));
    assert_eq!(bits(&classifier.classify(grey).unwrap()), bits(&wanted));
}

#[test]
fn answers_are_the_task_s() {
    let image = picture(32, 32, 1);
    let with = |task: Task| {
        let spec = spec().with(|net| net.task = task);
        Classifier::new(networks::model(&spec, 1.0).unwrap(), Options::new().threads(1)).unwrap()
    };
    let logits = classifier().classify(&image).unwrap().logits().to_vec();
    let sigmoid = |z: f32| 1.0 / (1.0 + (-f64::from(z)).exp());
    let threshold = sigmoid(logits[1]);
    let found = with(Task::MultiLabel { threshold }).classify(&image).unwrap();
    for (found, &logit) in found.probabilities().iter().zip(&logits) {
        assert!((found - sigmoid(logit)).abs() < 1e-12);
    }
    let wanted = logits.iter().filter(|&&logit| logit >= logits[1]).count();
    assert_eq!(found.labels().count(), wanted, "one of the threshold's probability has the class");
    let targets: Vec<_> = ["x", "y", "z"].map(|name| RegressionTarget::new(name, 10.0, 2.0)).into();
    let classifier = with(Task::Regression { targets });
    assert_eq!(classifier.classes(), ["x", "y", "z"], "the targets' names, where the file has none");
    let found = classifier.classify(&image).unwrap();
    let values: Vec<f64> = found.values().map(|value| value.value).collect();
    let wanted: Vec<f64> = logits.iter().map(|&logit| 10.0 + 2.0 * f64::from(logit)).collect();
    assert_eq!(values, wanted);
    assert_eq!(classifier.explain(&image).unwrap().class, 0);
}

#[test]
fn answers_are_the_softmax_of_the_engines_logits() {
    let (model, image) = (model(), picture(32, 32, 1));
    let plan = Plan::compile(&model, &PlanOptions::default()).unwrap();
    let mut scratch = plan.scratch();
    let pixels = Images::Interleaved(image.pixels());
    let logits = plan.run(pixels, &mut scratch).unwrap().to_vec();
    let classifier = Classifier::new(model, Options::new()).unwrap();
    let found = classifier.classify(&image).unwrap();
    assert_eq!(found.probabilities(), residual_predict::softmax(&logits));
    assert!((found.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let best = found.best();
    assert_eq!(best.class, CLASSES[best.index]);
    assert!(found.top(5).map(|score| score.probability).is_sorted_by(|a, b| a >= b));
    assert_eq!(classifier.embed(&image).unwrap(), plan.embed(pixels, &mut scratch).unwrap());
    assert_eq!(classifier.logits(pixels, [32, 32]).unwrap().len(), 3);
    let maps = classifier.features(&image, "stage2").unwrap();
    assert_eq!((maps.shape, maps.values.len()), ([32, 16, 16], 32 * 16 * 16));
    assert_eq!(maps.values, plan.features(pixels, "stage2", &mut scratch).unwrap().values);
    // The mean of a heat map is the logit without its bias.
    let bias = classifier.model().tensor("head.linear.bias".parse().unwrap()).unwrap().data().to_vec();
    let explained = classifier.explain(&image).unwrap();
    assert_eq!((explained.class, &explained.image), (best.index, &Some(image.clone())));
    for class in 0..3 {
        let map = classifier.heat_map(&image, class).unwrap();
        let mean = map.values.iter().sum::<f32>() / map.values.len() as f32;
        assert!((mean + bias[class] - logits[class]).abs() < 1e-4, "{class}");
        assert_eq!(class == explained.class, map == explained.map);
    }
    let overlay = explained.overlay().unwrap();
    assert_eq!((overlay.width(), overlay.height(), overlay.channels()), (224, 224, 3));
}

#[test]
fn answers_with_embeddings_and_those_of_a_ready_batch_are_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (classifier, files) = (classifier(), photos(folder.path(), 40));
    assert_eq!(
        (classifier.batch(), Classifier::new(model(), Options::new().batch(3)).unwrap().batch()),
        (16, 3)
    );
    let answers: Vec<_> = classifier.classify_all(files.clone()).map(Result::unwrap).collect();
    let embeddings: Vec<_> = classifier.embed_all(files.clone()).map(Result::unwrap).collect();
    let both: Vec<_> = classifier.classify_and_embed_all(files.clone()).map(Result::unwrap).collect();
    // Several batches go through the network side by side where there is more than one thread.
    let narrow = Classifier::new(model(), Options::new().threads(1)).unwrap();
    assert_eq!(narrow.classify_and_embed_all(files).map(Result::unwrap).collect::<Vec<_>>(), both);
    assert_eq!(both, answers.into_iter().zip(embeddings).collect::<Vec<_>>());

    let images: Vec<Image> = (0..16).map(|seed| picture(32, 32, seed)).collect();
    let together: Vec<u8> = images.iter().flat_map(|image| image.pixels().to_vec()).collect();
    let ready = Images::Interleaved(&together);
    let expected: Vec<_> = classifier.classify_and_embed_all(images).map(Result::unwrap).collect();
    let answers = classifier.classify_ready(ready, [32, 32]).unwrap();
    let embeddings = classifier.embed_ready(ready, [32, 32]).unwrap();
    for ((answer, vector), (found, row)) in
        expected.iter().zip(answers.iter().zip(embeddings.chunks_exact(classifier.embedding_length())))
    {
        assert_eq!((bits(answer), &vector[..]), (bits(found), row));
    }
    assert!(classifier.classify_ready(Images::Interleaved(&together[1..]), [32, 32]).is_err());
}

/// `relu(x)`.
fn relu(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| value.max(0.0)).collect()
}

#[test]
fn every_layer_gives_its_maps() {
    let image = picture(32, 32, 2);
    for name in ["cifar_resnet8", "cifar_preact8", "cifar_preact11"] {
        let model = networks::model(&family(name).unwrap(), 1.0).unwrap();
        let classifier = Classifier::new(model, Options::new()).unwrap();
        let network = classifier.model().network().clone();
        let features = |layer: &str| classifier.features(&image, layer).unwrap();
        for layer in network.layers() {
            let found = features(&layer.path().to_string());
            assert_eq!(found.shape, layer.output(), "{name} {}", layer.path());
            assert_eq!(found.values.len(), found.shape.iter().product::<usize>());
        }
        let close = |found: &[f32], wanted: &[f32], what: &str| {
            let largest = wanted.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * largest.max(1e-3);
            assert!(found.iter().zip(wanted).all(near), "{name}: {what}");
        };
        // The result of the last layer of a part is the part's; an activation is that of the norm before it.
        for (place, blocks) in [("stage1.block0", 0), ("stage3.block0", 2)] {
            let (_, _, layers) = network.blocks().nth(blocks).unwrap();
            let last = layers.last().unwrap().path().to_string();
            close(&features(&last).values, &features(place).values, &last);
        }
        let [norm, act] = ["norm1", "act1"].map(|part| features(&format!("stage2.block0.{part}")).values);
        assert!(norm.iter().any(|&value| value < 0.0));
        close(&act, &relu(&norm), "act1");
        let embedding = classifier.embed(&image).unwrap();
        assert_eq!(features("head.pool").values, embedding);
        assert_eq!(classifier.logits(Images::Interleaved(image.pixels()), [32, 32]).unwrap().len(), 10);
    }
    let error = classifier().features(&image, "stage1.block0.conv9").unwrap_err().to_string();
    assert!(error.contains("stage1.block0.conv9"), "{error}");
}

#[test]
fn many_images_are_answered_in_order_and_a_bad_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = photos(folder.path(), 40);
    std::fs::write(&files[7], b"no image").unwrap();
    files.insert(11, folder.path().join("absent.png"));
    // One plan for all calls: the same bits alone and together.
    let classifier = Classifier::new(model(), Options::new().batch(8)).unwrap();
    let answers: Vec<_> = classifier.classify_all(files.clone()).collect();
    assert_eq!(answers.len(), 41);
    for (file, answer) in files.iter().zip(&answers) {
        match (answer, classifier.classify(file)) {
            (Ok(answer), Ok(alone)) => assert_eq!(answer, &alone),
            (Err(error), Err(alone)) => {
                assert_eq!(error.to_string(), alone.to_string());
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(error.to_string().contains(name), "{error}");
            }
            (answer, alone) => panic!("{answer:?} {alone:?}"),
        }
    }
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 2);
    let embedded: Vec<_> = classifier.embed_all(files.clone()).map(Result::ok).collect();
    let explained: Vec<_> = classifier.explain_all(files.clone()).map(Result::ok).collect();
    for ((file, embedded), explained) in files.iter().zip(embedded).zip(explained) {
        assert_eq!(embedded, classifier.embed(file).ok());
        assert_eq!(explained, classifier.explain(file).ok());
    }
}

#[test]
fn an_image_that_its_source_cannot_give_keeps_its_place() {
    let images = [Ok(picture(32, 32, 1)), Err("the camera is off"), Ok(picture(32, 32, 2))];
    let answers: Vec<_> = classifier().classify_all(images).collect();
    assert!(answers[0].is_ok() && answers[2].is_ok());
    let error = answers[1].as_ref().unwrap_err();
    assert!(matches!(error, Error::Source(_)) && error.to_string() == "the camera is off");
    // Images in memory are called by their number.
    let answers: Vec<_> = classifier().classify_all([vec![1_u8, 2], vec![3]]).collect();
    assert!(answers[1].as_ref().unwrap_err().to_string().starts_with("image 1: "), "{answers:?}");
}

#[test]
fn several_threads_at_once_get_equal_bits() {
    fn shared<T: Send + Sync>(value: &T) -> &T {
        value
    }
    let classifier = classifier();
    let classifier = shared(&classifier);
    let images: Vec<Image> = (0..4).map(|seed| picture(32 + seed % 2 * 9, 32, seed)).collect();
    let wanted: Vec<_> = images.iter().map(|image| bits(&classifier.classify(image).unwrap())).collect();
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (images, wanted) = (&images, &wanted);
            scope.spawn(move || {
                for turn in 0..50 {
                    let at = (caller + turn) % images.len();
                    assert_eq!(bits(&classifier.classify(&images[at]).unwrap()), wanted[at]);
                }
            });
        }
    });
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let image = picture(50, 40, 3);
    let answer = |threads| {
        let classifier = Classifier::new(model(), Options::new().threads(threads)).unwrap();
        assert!(classifier.threads() <= threads);
        bits(&classifier.classify(&image).unwrap())
    };
    assert_eq!(answer(1), answer(2));
}

#[test]
fn weights_of_every_scheme_have_the_classes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.safetensors");
    let (model, image) = (model(), picture(32, 32, 4));
    let wanted = classifier().classify(&image).unwrap();
    for naming in [Naming::Torchvision, Naming::Timm, Naming::Cifar, Naming::Sequential] {
        safetensors::write(&path, &model.to_state_dict(naming).unwrap()).unwrap();
        let classifier = Classifier::open_as(&path, "cifar_resnet8").unwrap();
        assert_eq!(classifier.classes(), ["0", "1", "2"], "{naming:?}");
        assert_eq!(bits(&classifier.classify(&image).unwrap()), bits(&wanted), "{naming:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let says = |error: Error, words: &[&str]| {
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    says(Classifier::open(&path).unwrap_err(), &["net.safetensors", "cannot read"]);
    std::fs::write(&path, b"\x89PNG\r\n").unwrap();
    says(Classifier::open(&path).unwrap_err(), &["net.safetensors", "a PNG image"]);
    let mut model = model();
    model.save(&path).unwrap();
    says(Classifier::open_as(&path, "cifar_resnet14").unwrap_err(), &["net.safetensors", "`cifar_resnet8`"]);
    let classifier = Classifier::open(&path).unwrap();
    says(classifier.classify("nowhere.png").unwrap_err(), &["nowhere.png: cannot read"]);
    says(classifier.classify(&b"GIF89a"[..]).unwrap_err(), &["the image: "]);
    let tensor = Tensor::new(vec![1, 32, 32], vec![0.0; 1024]).unwrap();
    says(classifier.classify(tensor).unwrap_err(), &["[1, 32, 32]", "3 channels"]);
    let image = picture(32, 32, 1);
    says(classifier.features(&image, "stage9").unwrap_err(), &["the image", "stage9", "stage3.block0"]);
    says(classifier.heat_map(&image, 3).unwrap_err(), &["class 3 of a network with 3 classes"]);

    model.tensor_mut("head.linear.weight".parse().unwrap()).unwrap().fill(f32::MAX);
    model.save(&path).unwrap();
    let classifier = Classifier::open(&path).unwrap();
    says(classifier.classify(&image).unwrap_err(), &["the image: ", "not finite"]);
    let answers: Vec<_> = classifier.classify_all([image.clone(), image]).collect();
    says(answers.into_iter().nth(1).unwrap().unwrap_err(), &["image 1: ", "not finite"]);
    model.tensor_mut("stem.conv0.weight".parse().unwrap()).unwrap()[0] = f32::NAN;
    model.save(&path).unwrap();
    says(Classifier::open(&path).unwrap_err(), &["net.safetensors: ", "conv1.weight"]);
    let lazy = Classifier::new(Model::open(&path).unwrap(), Options::new().lazy()).unwrap();
    says(lazy.warm_up().unwrap_err(), &["net.safetensors: ", "conv1.weight"]);
}
