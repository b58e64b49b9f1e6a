//! Each fault that can be planted in images, or that a batch through the network shows, is found.

use std::path::Path;

use image::RgbImage;
use residual_arch::NetSpec;
use residual_arch::families::family;
use residual_data::{Batch, DataSource, Dataset, OpenOptions};
use residual_doctor::{Finding, Kind, Patient, Severity, examine, signals};
use residual_nn::{Mode, ResNetConfig};
use residual_train::to_state_dict;
use residual_weights::StateDict;
use tempfile::TempDir;

/// Noise over all levels: mean about a half, deviation about 0.29.
fn picture(number: u32, side: u32) -> RgbImage {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(1);
    RgbImage::from_fn(side, side, |_, _| {
        image::Rgb(std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }))
    })
}

fn save(folder: &Path, class: &str, names: std::ops::Range<u32>, offset: u32) {
    let folder = folder.join(class);
    std::fs::create_dir_all(&folder).unwrap();
    for index in names {
        picture(index + offset, 16).save(folder.join(format!("{index:03}.png"))).unwrap();
    }
}

/// Two classes, 20 images each to train on, 5 to judge by.
fn images() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, offset) in [("a", 0), ("b", 1000)] {
        save(&folder.path().join("train"), class, 0..20, offset);
        save(&folder.path().join("test"), class, 0..5, offset + 500);
    }
    folder
}

fn open(folder: &TempDir) -> Dataset {
    Dataset::open(&DataSource::Path(folder.path().into()), &OpenOptions::default()).unwrap()
}

/// A small network for 16x16 images and two classes.
fn spec() -> NetSpec {
    let mut spec = family("small").unwrap().with_classes(2).with_input([3, 16, 16]);
    spec.preprocess.mean = vec![0.5; 3];
    spec.preprocess.std = vec![0.29; 3];
    spec
}

fn of(folder: &TempDir, spec: NetSpec) -> Vec<Finding> {
    examine(&Patient { data: Some(open(folder)), ..Patient::new(spec) }).unwrap().findings
}

fn only(findings: &[Finding], kind: Kind, place: &str) -> Finding {
    let [finding] = findings else { panic!("one finding was expected: {findings:#?}") };
    assert_eq!((finding.kind, finding.place.as_str()), (kind, place), "{finding:#?}");
    finding.clone()
}

#[test]
fn sound_images_are_passed() {
    assert_eq!(of(&images(), spec()), []);
}

#[test]
fn labels_without_outputs_and_outputs_without_labels() {
    let folder = images();
    save(&folder.path().join("train"), "c", 0..20, 2000);
    save(&folder.path().join("test"), "c", 0..5, 2500);
    let finding = only(&of(&folder, spec()), Kind::LabelRange, "head");
    assert_eq!(finding.help, "set `classes = 3` in `head`");
    let folder = images();
    only(&of(&folder, spec().with_classes(5)), Kind::UnusedOutputs, "head");
}

#[test]
fn classes_that_a_checkpoint_does_not_know() {
    let classes = Some(vec!["a".to_owned(), "x".to_owned()]);
    let folder = images();
    let patient = Patient { classes, data: Some(open(&folder)), ..Patient::new(spec()) };
    only(&examine(&patient).unwrap().findings, Kind::LabelRange, "class b");
}

#[test]
fn empty_and_rare_classes() {
    let folder = images();
    std::fs::remove_dir_all(folder.path().join("test/b")).unwrap();
    only(&of(&folder, spec()), Kind::EmptyClass, "test/b");
    let folder = images();
    (2..20).for_each(|i| std::fs::remove_file(folder.path().join(format!("train/b/{i:03}.png"))).unwrap());
    only(&of(&folder, spec()), Kind::Imbalance, "train/b");
}

#[test]
fn images_that_are_there_twice() {
    let folder = images();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(at("train/a/003.png"), at("test/a/900.png")).unwrap();
    let finding = only(&of(&folder, spec()), Kind::Overlap, "test/a/900.png");
    assert_eq!(finding.severity, Severity::Fault, "one of eleven");
    let folder = images();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(at("train/a/003.png"), at("train/b/900.png")).unwrap();
    only(&of(&folder, spec()), Kind::TwoLabels, "train/a/003.png");
}

#[test]
fn images_that_cannot_be_read_or_batched() {
    let folder = images();
    let victim = folder.path().join("train/a/003.png");
    let bytes = std::fs::read(&victim).unwrap();
    std::fs::write(&victim, &bytes[..bytes.len() / 2]).unwrap();
    only(&of(&folder, spec()), Kind::BadImage, &victim.display().to_string());

    // With weights the network's own preprocessing counts, and it does not resize.
    let folder = images();
    (0..20).for_each(|i| picture(i, 24).save(folder.path().join(format!("train/a/{i:03}.png"))).unwrap());
    let findings = with_weights(&folder, |_| ());
    assert_eq!(findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::MixedSizes]);
}

#[test]
fn turned_photographs_are_counted_in_every_format() {
    let folder = images();
    let copy = |name: &str, to: &str| {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/fixtures/photographs");
        std::fs::copy(fixtures.join(name), folder.path().join(to)).unwrap();
    };
    let turned = |findings: Vec<Finding>| {
        findings.into_iter().find(|finding| finding.kind == Kind::TurnedPhotographs).expect("a finding")
    };
    copy("turned_tiff_5.tif", "train/a/900.tif");
    let tiff = turned(of(&folder, spec()));
    assert_eq!((tiff.severity, tiff.place.as_str()), (Severity::Note, "train/a/900.tif"));
    assert!(tiff.found.starts_with("1 of 51 images"), "{tiff:?}");
    // A network with weights ignores what EXIF says, but a TIFF file is read upright even so.
    assert_eq!(turned(with_weights(&folder, |_| ())).severity, Severity::Note);
    copy("turned_jpeg_6.jpg", "train/b/900.jpg");
    let both = turned(with_weights(&folder, |_| ()));
    assert_eq!((both.severity, both.place.as_str()), (Severity::Warning, "train/b/900.jpg"));
    assert!(
        both.found.starts_with("2 of 52 images") && both.found.contains("1 of them are TIFF"),
        "{both:?}"
    );
}

#[test]
fn normalisation_of_other_images() {
    let with = |mean: f32, std: f32| {
        let mut spec = spec();
        (spec.preprocess.mean, spec.preprocess.std) = (vec![mean; 3], vec![std; 3]);
        of(&images(), spec)
    };
    let twice = with(127.0, 74.0);
    let kinds: Vec<_> = twice.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds[..2], [Kind::NormalisationScale, Kind::Normalisation]);
    assert!(twice[1].help.contains("twice"), "{twice:?}");
    let never = with(0.002, 0.001);
    assert_eq!((never[0].kind, never[0].severity), (Kind::Normalisation, Severity::Fault), "{never:?}");
    only(&with(0.0, 0.29), Kind::Normalisation, "channel 0");
}

#[test]
fn a_plain_network_that_explodes() {
    // Yang et al. 2019: batch norm without shortcuts multiplies the gradient by about 1.2 a layer.
    let mut spec = family("cifar_plain110").unwrap().with_classes(2).with_input([3, 16, 16]);
    spec.preprocess = self::spec().preprocess;
    // A member is passed as its paper has it.
    spec.stages[0].blocks.pop();
    let findings = of(&images(), spec);
    let finding = findings.iter().find(|finding| finding.kind == Kind::ExplodingGradient);
    assert!(finding.is_some_and(|finding| finding.place.starts_with("stage")), "{findings:?}");
}

/// New weights, changed, with statistics that have moved.
fn with_weights(folder: &TempDir, change: impl FnOnce(&mut StateDict)) -> Vec<Finding> {
    let spec = spec();
    let network = ResNetConfig::new(spec.clone()).init(&burn::tensor::Device::flex()).unwrap();
    let mut state = to_state_dict(&network, network.spec().naming).unwrap();
    change(&mut state);
    let patient = Patient { weights: Some(state), data: Some(open(folder)), ..Patient::new(spec) };
    examine(&patient).unwrap().findings
}

fn fill(state: &mut StateDict, path: &str, value: f32) {
    let spec = spec();
    let name = residual_arch::names::to_file(&spec, spec.naming)[path].clone();
    state.get_mut(&name).unwrap().data_mut().fill(value);
}

#[test]
fn channels_that_never_fire() {
    let findings = with_weights(&images(), |state| {
        fill(state, "stage1.block0.norm2.bias", -100.0);
        fill(state, "stem.norm0.running_mean", 0.1);
    });
    let dead = findings.iter().find(|finding| finding.kind == Kind::DeadChannels);
    assert_eq!(dead.map(|finding| finding.place.as_str()), Some("stage1.block0"), "{findings:?}");
}

#[test]
fn a_network_that_overflows() {
    let findings = with_weights(&images(), |state| {
        fill(state, "stem.norm0.running_mean", 0.1);
        fill(state, "stage1.block0.norm1.bias", 3e38);
        fill(state, "stage1.block0.norm1.weight", 3e38);
    });
    assert!(findings.iter().any(|finding| finding.kind == Kind::Activations), "{findings:?}");
}

#[test]
fn a_head_that_always_gives_one_answer() {
    let sure = |state: &mut StateDict| {
        let spec = spec();
        let name = residual_arch::names::to_file(&spec, spec.naming)["head.linear.bias"].clone();
        state.get_mut(&name).unwrap().data_mut().copy_from_slice(&[20.0, -20.0]);
    };
    let findings = with_weights(&images(), sure);
    let found = findings.iter().find(|finding| finding.kind == Kind::Undertrained);
    assert!(found.is_some_and(|finding| finding.help.contains("longer")), "{findings:?}");
}

#[test]
fn running_statistics_of_other_images() {
    let stale = |state: &mut StateDict| fill(state, "stage3.block1.norm2.running_var", 1e-5);
    let findings = with_weights(&images(), stale);
    assert!(findings.iter().any(|finding| finding.kind == Kind::StaleStatistics), "{findings:?}");
}

#[test]
fn a_head_without_weights_gives_no_gradient() {
    let findings = with_weights(&images(), |state| fill(state, "head.linear.weight", 0.0));
    let found = findings.iter().find(|finding| finding.kind == Kind::VanishingGradient);
    assert_eq!(found.map(|finding| finding.severity), Some(Severity::Fault), "{findings:?}");
}

#[test]
fn the_gradient_of_an_added_zero_is_the_output_s() {
    // Through identity blocks whose branches end in zero the gradient arrives as it left.
    let mut spec = spec();
    spec.stages.truncate(1);
    spec.stages[0].blocks.iter_mut().for_each(|block| block.zero_init = true);
    let network = ResNetConfig::new(spec).init(&burn::tensor::Device::flex().autodiff()).unwrap();
    let images: Vec<f32> = (0..2 * 3 * 256).map(|i| ((i * 37 % 101) as f32 - 50.0) / 29.0).collect();
    let labels = vec![0, 1];
    let batch = Batch::new(images, [2, 3, 16, 16], labels);
    let signals = signals(&network, &batch, Mode::train(0, 0)).unwrap();
    let [stem, first, last] = &signals.blocks[..] else { panic!("{signals:?}") };
    assert!(last.gradient > 0.0);
    // The ReLU after the addition passes what is above zero: the stem's output is, where it is not zero.
    assert!(first.gradient <= last.gradient && stem.gradient <= first.gradient, "{signals:?}");
    assert!(stem.gradient > 0.3 * last.gradient, "{signals:?}");
}
