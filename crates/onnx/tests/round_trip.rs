//! Networks of every kind written as graphs and read again.

use residual_arch::families::family;
use residual_arch::{Field, NetSpec, Preprocess, Task};
use residual_onnx::{Answers, Error, ExportOptions, ImportOptions, InputScale, export, import};
use residual_weights::{Model, Tensor};

/// One member of each kind of network.
const KINDS: [&str; 18] = [
    "resnet18",
    "resnet26",
    "resnet26d",
    "resnet26t",
    "resnext50_32x4d",
    "seresnet18",
    "ecaresnet26t",
    "resnetblur18",
    "resnetaa34d",
    "resnet50_gn",
    "resnetv2_18",
    "resnetv2_50d_gn",
    "cifar_resnet20",
    "cifar_resnet20_b",
    "cifar_preact20",
    "cifar_stem_preact18",
    "wrn_16_2",
    "cifar_stem_senet18",
];

/// A model whose values are of no pattern, variances above zero.
fn model(spec: NetSpec) -> Model {
    let network = spec.check(spec.input).unwrap();
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let tensors: Vec<_> = network
        .tensors()
        .map(|(path, tensor)| {
            let count = tensor.shape.iter().product();
            let value = |value: f32| if path.field == Field::RunningVar { value + 0.5 } else { value - 0.5 };
            (path, Tensor::new(tensor.shape, (0..count).map(|_| value(next())).collect()).unwrap())
        })
        .collect();
    Model::new(network, tensors).unwrap()
}

/// The first two blocks of the first two stages, seven classes, 64 pixels at the most.
fn small(name: &str) -> NetSpec {
    let mut spec = whole(name);
    spec.stages.truncate(2);
    spec.stages.iter_mut().for_each(|stage| stage.blocks.truncate(2));
    spec
}

fn whole(name: &str) -> NetSpec {
    let spec = family(name).unwrap();
    let side = spec.input[1].min(64);
    spec.with_classes(7).with_input([3, side, side])
}

/// The model as it comes back.
fn through(model: &Model, options: &ExportOptions) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    export(model, &path, options).unwrap();
    import(&path, &ImportOptions::default()).unwrap().model
}

#[test]
fn kept_norms_come_back_to_the_bit() {
    for name in KINDS {
        let model = model(small(name));
        let read = through(&model, &ExportOptions::default().with(|options| options.keep_norms = true));
        assert_eq!(read.spec(), model.spec(), "{name}");
        assert!(read.tensors().eq(model.tensors()), "{name}");
    }
}

/// A folded norm comes back as one without statistics: folded once more the graph is the same.
#[test]
fn folded_norms_come_back_as_what_they_compute() {
    for name in KINDS {
        let model = model(small(name));
        let once = through(&model, &ExportOptions::default());
        assert!(once.spec().computes_as(model.spec()), "{name}");
        let twice = through(&once, &ExportOptions::default());
        for ((path, one), (_, two)) in once.tensors().zip(twice.tensors()) {
            let largest = one.data().iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-6 * largest;
            assert!(!one.data().iter().zip(two.data()).any(far), "{name}: {path}");
        }
    }
}

#[test]
fn what_the_file_says_beside_the_graph_comes_back() {
    let spec = small("cifar_resnet8").with(|net| {
        net.preprocess = Preprocess::imagenet(40, 32).with(|own| own.mean = vec![0.1, 0.2, 0.3]);
        (net.task, net.name) = (Task::MultiLabel { threshold: 0.4 }, "mine".into());
    });
    let names: Vec<String> = (0..7).map(|class| format!("class {class}, \"quoted\"")).collect();
    let model = model(spec).with_classes(names).unwrap().with_temperature(Some(1.7)).unwrap();
    for answers in [Answers::Logits, Answers::Probabilities] {
        // A graph that takes pixels comes back as well: its preprocessing is what the file says.
        for preprocess in [None, Some(model.preprocess().clone())] {
            let options = ExportOptions::default().with(|options| {
                (options.keep_norms, options.answers, options.preprocess) = (true, answers, preprocess);
            });
            assert_eq!(through(&model, &options), model);
        }
    }
}

#[test]
fn weights_beside_the_file_are_found() {
    let model = model(small("cifar_resnet8"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    let options =
        ExportOptions::default().with(|options| (options.embed_up_to, options.keep_norms) = (1000, true));
    export(&model, &path, &options).unwrap();
    let sizes = ["x.onnx", "x.onnx.data"].map(|name| folder.path().join(name).metadata().unwrap().len());
    assert!(sizes[0] < 60_000 && sizes[1] > 80_000, "{sizes:?}");
    assert_eq!(import(&path, &ImportOptions::default()).unwrap().model, model);
    std::fs::remove_file(folder.path().join("x.onnx.data")).unwrap();
    let error = import(&path, &ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("x.onnx.data"), "{error}");
}

#[test]
fn a_graph_that_says_nothing_is_recognised() {
    // The specification of another network is not believed.
    let model = model(whole("resnet18"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    export(&model, &path, &ExportOptions::default()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let key = b"residual.spec";
    let at = bytes.windows(key.len()).position(|window| window == key).unwrap();
    let mut changed = bytes;
    changed[at] = b'R';
    std::fs::write(&path, changed).unwrap();
    let options =
        ImportOptions::default().with(|options| (options.size, options.input) = (64, InputScale::Bytes));
    let imported = import(&path, &options).unwrap();
    assert_eq!(imported.model.spec().name, "resnet18");
    assert_eq!(imported.model.preprocess().std, [1.0 / 255.0; 3]);
    assert!(imported.notes.iter().any(|note| note.contains("0 to 255")), "{:?}", imported.notes);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    let model = model(small("cifar_resnet8"));
    let lanczos = model.preprocess().clone().with(|own| {
        (own.resize, own.interpolation) =
            (Some(residual_arch::Resize::ShorterSide(32)), residual_arch::Interpolation::Lanczos);
    });
    let options = ExportOptions::default().with(|options| options.preprocess = Some(lanczos));
    let error = export(&model, &path, &options).unwrap_err();
    assert!(matches!(error, Error::Interpolation { .. }), "{error}");
    let mut broken = model;
    broken.tensor_mut("stem.conv0.weight".parse().unwrap()).unwrap()[0] = f32::NAN;
    assert!(export(&broken, &path, &ExportOptions::default()).is_err());
    assert!(!path.exists());
}
