//! What people put around weights: dicts, prefixes, other heads, whole modules. A case each, and hostile ones.

mod pickler;
mod tiny;

use pickler::{Py, f32s, floats, items, text};
use residual_arch::{Naming, families::family, names::names};
use residual_weights::{
    Error, Model, OpenOptions, StateDict, Tensor, Weights, read_bytes, recognise, safetensors,
};
use tiny::{dict, legacy_file, module, state, tiny, tree, zipped};

/// The model of these bytes, which must be the tiny network with values shifted so.
fn assert_tiny(bytes: &[u8], shift: f32) -> Model {
    let model = Model::from_bytes(bytes).unwrap();
    assert_shifted(&model, shift);
    model
}

fn assert_shifted(model: &Model, shift: f32) {
    let wanted = Model::from_state_dict(&tiny(), state()).unwrap();
    for ((path, found), (_, tensor)) in model.tensors().zip(wanted.tensors()) {
        let expected: Vec<f32> = tensor.data().iter().map(|value| value + shift).collect();
        assert_eq!((found.shape(), found.data()), (tensor.shape(), &expected[..]), "{path}");
    }
}

#[test]
fn every_wrapper_is_opened() {
    let wrappers = [
        "state_dict",
        "model",
        "model_state_dict",
        "net",
        "params",
        "weights",
        "ema",
        "model_ema",
        "ema_state_dict",
        "state_dict_ema",
        "something_else",
    ];
    for wrapper in wrappers {
        let (weights, storages) = dict("", 0.0);
        let optimiser = Py::Dict(items([("state", Py::Dict(vec![(Py::Int(0), Py::None)]))]));
        let object = Py::Dict(items([
            ("epoch", Py::Int(9)),
            ("optimizer", optimiser),
            ("best", Py::Float(0.5)),
            (wrapper, weights),
        ]));
        for bytes in [zipped(&object, &storages), legacy_file(&object, &storages)] {
            let model = assert_tiny(&bytes, 0.0);
            assert_eq!(model.origin().wrapper, [wrapper]);
        }
    }
}

#[test]
fn of_several_the_plain_weights_are_taken_and_a_key_chooses_the_others() {
    let (plain, mut storages) = dict("", 0.0);
    let (averaged, more) = dict("module.", 1.0);
    storages.extend(more);
    let Py::OrderedDict(mut averaged) = averaged else { unreachable!() };
    averaged.insert(0, (text("n_averaged"), floats("n", &[])));
    storages.push(("n".to_owned(), f32s(&[7.0])));
    // Whichever comes first in the file.
    for turn in 0..2 {
        let mut entries =
            items([("model_ema", Py::OrderedDict(averaged.clone())), ("state_dict", plain.clone())]);
        entries.rotate_left(turn);
        let bytes = zipped(&Py::Dict(entries), &storages);
        let model = assert_tiny(&bytes, 0.0);
        assert_eq!(
            (model.origin().wrapper[0].as_str(), &model.origin().others[..]),
            ("state_dict", &["model_ema".to_owned()][..])
        );

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.pth");
        std::fs::write(&path, bytes).unwrap();
        let options = |key: &str| OpenOptions::default().with(|options| options.key = Some(key.to_owned()));
        let model = Model::open_with(&path, &options("model_ema")).unwrap();
        assert_shifted(&model, 1.0);
        assert_eq!(model.recognised().unwrap().prefix, "module.");
        let error = Model::open_with(&path, &options("nothing")).unwrap_err();
        assert!(matches!(error.cause(), Error::NoSuchKey { .. }), "{error}");
        assert!(error.to_string().contains("`state_dict`, `model_ema`"), "{error}");
    }
}

#[test]
fn every_stack_of_prefixes_is_found() {
    let prefixes = [
        "module.",
        "model.",
        "_orig_mod.",
        "backbone.",
        "encoder.",
        "net.",
        "resnet.",
        "module._orig_mod.model.backbone.",
        "some.thing.else.",
    ];
    for prefix in prefixes {
        let (weights, storages) = dict(prefix, 0.0);
        let model = assert_tiny(&zipped(&weights, &storages), 0.0);
        assert_eq!(model.recognised().unwrap().prefix, prefix);
        let named = state().rename_all(|name| format!("{prefix}{name}")).unwrap();
        assert_tiny(&safetensors::to_bytes(&named).unwrap(), 0.0);
    }
}

/// The tensors with the head called otherwise.
fn with_head(prefix: &str, head: &str) -> StateDict {
    state()
        .rename_all(|name| match name.strip_prefix("fc.") {
            Some(field) => format!("{head}.{field}"),
            None => format!("{prefix}{name}"),
        })
        .unwrap()
}

#[test]
fn every_head_is_found() {
    let heads = [
        "fc",
        "fc.0",
        "fc.1",
        "classifier",
        "classifier.1",
        "head.fc",
        "last_linear",
        "linear",
        "my_own_head",
    ];
    for head in heads {
        let model = assert_tiny(&safetensors::to_bytes(&with_head("", head)).unwrap(), 0.0);
        assert_eq!(model.recognised().unwrap().head.as_deref(), Some(head));
    }
    // Beside the backbone that it stands behind.
    for (prefix, head) in
        [("backbone.", "fc"), ("model.encoder.", "model.classifier.1"), ("resnet.", "classifier.1")]
    {
        let model = assert_tiny(&safetensors::to_bytes(&with_head(prefix, head)).unwrap(), 0.0);
        assert_eq!(model.recognised().unwrap().head.as_deref(), Some(head));
    }
}

#[test]
fn a_head_without_a_bias_gets_a_zero_one() {
    let mut state = state();
    state.remove("fc.bias");
    let model = Model::from_bytes(&safetensors::to_bytes(&state).unwrap()).unwrap();
    assert_eq!(model.tensor("head.linear.bias".parse().unwrap()).unwrap().data(), [0.0; 3]);
}

#[test]
fn a_backbone_has_no_head() {
    let mut state = state();
    state.remove("fc.bias");
    state.remove("fc.weight");
    let model = Model::from_bytes(&safetensors::to_bytes(&state).unwrap()).unwrap();
    assert!(!model.has_head());
    let folder = tempfile::tempdir().unwrap();
    let error = model.save(folder.path().join("x.safetensors")).unwrap_err();
    assert!(error.to_string().contains("backbone"), "{error}");
    // What stands behind it in self-supervised training is no head.
    let matrix = |shape: Vec<usize>| Tensor::new(shape.clone(), vec![1.0; shape.iter().product()]).unwrap();
    for (name, shape) in [("fc.0.weight", vec![6, 6]), ("fc.0.bias", vec![6]), ("fc.2.weight", vec![3, 6])] {
        state.insert(name, matrix(shape)).unwrap();
    }
    let found = recognise(&state).unwrap();
    assert_eq!((found.classes(), found.left_out.len()), (None, 3));
}

#[test]
fn of_two_networks_in_one_file_the_plain_one_is_taken() {
    let both = |a: &str, b: &str| {
        let mut both = state().rename_all(|name| format!("{a}{name}")).unwrap();
        for (name, tensor) in state().into_tensors() {
            both.insert(format!("{b}{name}"), tensor).unwrap();
        }
        both
    };
    let found = recognise(&both("model.", "model_ema.module.")).unwrap();
    assert_eq!((found.prefix.as_str(), &found.others[..]), ("model.", &["model_ema.module".to_owned()][..]));
    for (a, b, key) in [("student.", "teacher.", "student"), ("", "module.", "module")] {
        let error = recognise(&both(a, b)).unwrap_err();
        assert!(matches!(error, Error::SeveralWeights { .. }), "{error}");
        assert!(error.to_string().contains(&format!("--key {key}")), "{error}");
    }
    // And the key does choose.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.safetensors");
    safetensors::write(&path, &both("student.", "teacher.")).unwrap();
    let options = OpenOptions::default().with(|options| options.key = Some("teacher".to_owned()));
    assert_shifted(&Model::open_with(&path, &options).unwrap(), 0.0);
}

#[test]
fn a_pickled_module_is_read_as_data() {
    let mut storages: Vec<(String, Vec<u8>)> =
        state().iter().map(|(name, tensor)| (name.to_owned(), f32s(tensor.data()))).collect();
    storages.push(("unsaved".to_owned(), f32s(&[1.0])));
    let whole = tree(&state(), "");
    let wrapped = Py::Dict(items([("model", whole.clone()), ("epoch", Py::Int(3))]));
    for object in [&whole, &wrapped] {
        for bytes in [zipped(object, &storages), legacy_file(object, &storages)] {
            let model = assert_tiny(&bytes, 0.0);
            assert_eq!(model.origin().module.as_deref(), Some("somebodys.code.Net"));
            assert!(model.recognised().unwrap().left_out.is_empty(), "unsaved buffers are no weights");
        }
    }
}

#[test]
fn thousands_of_nestings_and_cycles_are_refused() {
    let (weights, storages) = dict("", 0.0);
    let mut nested = weights;
    for _ in 0..20 {
        nested = Py::Dict(items([("model", nested)]));
    }
    let error = read_bytes(&zipped(&nested, &storages)).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { what: "the number of dicts around the tensors", .. }),
        "{error}"
    );
    // {'model': itself}, and a module that is its own part.
    let cycle = b"\x80\x02}q\x00X\x05\0\0\0modelh\x00s.".to_vec();
    let entries = [("data.pkl", cycle)];
    let error = read_bytes(&pickler::zip(&entries, zip::CompressionMethod::Stored)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let own_part =
        b"\x80\x02cm\nNet\n)\x81q\x00}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}X\x01\0\0\0ah\x00sub.";
    let error = read_bytes(&pickler::zip(&[("data.pkl", own_part.to_vec())], zip::CompressionMethod::Stored));
    assert!(
        matches!(error, Err(Error::TooLarge { what: "the depth of modules inside modules", .. })),
        "{error:?}"
    );
    let mut deep = module(vec![], vec![], vec![]);
    for _ in 0..100 {
        deep = module(vec![], vec![], vec![(text("a"), deep)]);
    }
    let error = read_bytes(&zipped(&deep, &storages)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn modules_that_share_parts_without_end_are_refused() {
    // Every module holds the one before twice: 2^60 paths to the first.
    let mut bytes = b"\x80\x02cm\nNet\n)\x81q\x00}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}ub".to_vec();
    for _ in 0..60 {
        bytes.extend(b"0cm\nNet\n)\x81q\x01}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00uubq\x00");
    }
    bytes.push(b'.');
    let error =
        read_bytes(&pickler::zip(&[("data.pkl", bytes)], zip::CompressionMethod::Stored)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn several_unknown_dicts_are_refused_by_their_keys() {
    let (a, mut storages) = dict("", 0.0);
    let (b, more) = dict("", 1.0);
    storages.extend(more);
    let object = Py::Dict(items([("first", a), ("second", b)]));
    let error = read_bytes(&zipped(&object, &storages)).unwrap_err();
    assert!(matches!(&error, Error::SeveralWeights { found } if found == &["first", "second"]), "{error}");
}

#[test]
fn very_many_networks_in_one_file_are_refused() {
    let mut many = StateDict::new();
    for index in 0..40 {
        let name = format!("n{index}.layer1.0.conv1.weight");
        many.insert(name, Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
    }
    assert!(matches!(recognise(&many), Err(Error::TooLarge { .. })));
    assert!(matches!(Weights::from_state_dict(many), Ok(Weights::Plain(_))));
}

/// The tiny network as `nn.Sequential(*model.children())` names it, behind a prefix, with its head as the child of a number.
fn numbered(prefix: &str, head: Option<&str>) -> StateDict {
    let part = |name: &str| {
        let (part, rest) = name.split_once('.')?;
        let number = match part {
            "conv1" => "0",
            "bn1" => "1",
            "layer1" => "4",
            "layer2" => "5",
            _ => head?,
        };
        Some(format!("{prefix}{number}.{rest}"))
    };
    let tensors = state().into_tensors();
    StateDict::from_tensors(tensors.filter_map(|(name, tensor)| Some((part(&name)?, tensor)))).unwrap()
}

#[test]
fn numbered_parts_are_told_by_their_order() {
    for prefix in ["", "0.", "module.features."] {
        let state = numbered(prefix, Some("9"));
        let names: Vec<String> = state.iter().map(|(name, _)| name.to_owned()).collect();
        let model = Model::of_weights(Weights::Plain(state), None).unwrap();
        assert_shifted(&model, 0.0);
        let found = model.recognised().unwrap();
        assert_eq!((found.prefix.as_str(), found.head.clone()), (prefix, Some(format!("{prefix}9"))));
        assert!(names.contains(&format!("{prefix}4.0.conv1.weight")), "{names:?}");

        let backbone = Model::of_weights(Weights::Plain(numbered(prefix, None)), None).unwrap();
        assert!(!backbone.has_head());
    }
}

#[test]
fn the_head_of_several_layers_behind_a_numbered_body_is_left_out() {
    let mut state = numbered("0.", None);
    for (name, shape) in [("1.2.weight", vec![12]), ("1.4.weight", vec![5, 12]), ("1.8.weight", vec![3, 5])] {
        let count = shape.iter().product();
        state.insert(name, Tensor::new(shape, vec![1.0; count]).unwrap()).unwrap();
    }
    let model = Model::of_weights(Weights::Plain(state), None).unwrap();
    assert!(!model.has_head());
    assert_eq!(model.recognised().unwrap().left_out, ["1.2.weight", "1.4.weight", "1.8.weight"]);
    assert!(model.notes().iter().any(|line| line.starts_with("3 tensors")), "{:?}", model.notes());
}

#[test]
fn numbered_parts_of_a_pre_activation_network_are_told_by_their_order() {
    let spec = family("resnetv2_50").unwrap();
    for (prefix, head) in [("", "3.fc"), ("features.", "classifier.fc")] {
        let part = |name: &str| {
            let (part, rest) = name.split_once('.').unwrap();
            match part {
                "stem" => format!("{prefix}0.{rest}"),
                "stages" => format!("{prefix}1.{rest}"),
                "norm" => format!("{prefix}2.{rest}"),
                _ => name.replacen("head.fc", head, 1),
            }
        };
        let tensors = names(&spec, Naming::Timm).into_iter().map(|tensor| {
            let count = tensor.shape.iter().product();
            (part(&tensor.name), Tensor::new(tensor.shape, vec![0.0; count]).unwrap())
        });
        let found = recognise(&StateDict::from_tensors(tensors).unwrap()).unwrap();
        assert_eq!((found.family.as_deref(), found.head.as_deref()), (Some("resnetv2_50"), Some(head)));
    }
}

#[test]
fn a_pool_by_convolution_is_one_of_the_numbered_parts() {
    let spec = family("resnetrs50").unwrap();
    let numbers = [
        ("conv1", 0),
        ("bn1", 1),
        ("maxpool", 3),
        ("layer1", 4),
        ("layer2", 5),
        ("layer3", 6),
        ("layer4", 7),
        ("fc", 9),
    ];
    let tensors = names(&spec, Naming::Timm).into_iter().map(|tensor| {
        let (part, rest) = tensor.name.split_once('.').unwrap();
        let (_, number) = numbers.iter().find(|(name, _)| *name == part).unwrap();
        let count = tensor.shape.iter().product();
        (format!("{number}.{rest}"), Tensor::new(tensor.shape.clone(), vec![0.0; count]).unwrap())
    });
    let found = recognise(&StateDict::from_tensors(tensors).unwrap()).unwrap();
    assert_eq!((found.family.as_deref(), found.head.as_deref()), (Some("resnetrs50"), Some("9")));
}

#[test]
fn numbers_beyond_all_numbers_are_no_parts() {
    for number in [usize::MAX, usize::MAX - 1, 0] {
        let mut state = StateDict::new();
        let name = format!("{number}.0.blocks.0.conv1.weight");
        state.insert(name, Tensor::new(vec![1], vec![0.0]).unwrap()).unwrap();
        assert!(matches!(recognise(&state), Err(Error::NoSpec { .. })));
    }
}
