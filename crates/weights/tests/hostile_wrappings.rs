//! Wrappers, prefixes, heads and descriptions that are wrong, a case each: refused with an error that names the cause.

mod pickler;
mod tiny;

use std::path::Path;

use pickler::{Py, f32s, floats, items, text};
use residual_arch::families::family;
use residual_arch::names::names;
use residual_weights::{Model, OpenOptions, StateDict, Tensor, safetensors};
use tiny::{dict, legacy_file, module, state, zipped};

/// A case, whose storages are called by their numbers of elements: what it is, the object, its storages, and what the error says.
struct Case {
    what: &'static str,
    object: Py,
    storages: Vec<(String, Vec<u8>)>,
    says: &'static str,
}

fn case(what: &'static str, object: Py, says: &'static str) -> Case {
    let written = format!("{object:?}");
    // Every storage of an old file belongs to a tensor.
    let used = [1, 2, 4].into_iter().filter(|count| written.contains(&format!("Text(\"{count}\")")));
    let storages = used.map(|count| (format!("{count}"), f32s(&vec![1.0; count]))).collect();
    Case { what, object, storages, says }
}

fn assert_refused(what: &str, bytes: &[u8], says: &str) {
    match Model::from_bytes(bytes) {
        Ok(_) => panic!("{what}: opened"),
        Err(error) => assert!(error.to_string().contains(says), "{what}: {error}"),
    }
}

/// `{"a": value}`
fn one(key: &str, value: Py) -> Py {
    Py::Dict(items([(key, value)]))
}

#[test]
fn wrappers_around_something_else_are_refused() {
    let cases = [
        case(
            "a list of tensors",
            one("state_dict", Py::List(vec![floats("2", &[2])])),
            "a dict of `state_dict`",
        ),
        case("a path", one("state_dict", text("../weights.pth")), "a dict of `state_dict`"),
        case("nothing", one("state_dict", Py::Dict(vec![])), "a dict of `state_dict`"),
        case("None", one("model", Py::None), "a dict of `model`"),
        case("a number for a name", Py::Dict(vec![(Py::Int(1), floats("2", &[2]))]), "no tensors found"),
        case("a tensor", floats("2", &[2]), "no tensors found"),
        case(
            "a wrapper inside an unknown one",
            one("model", one("inner", one("x", Py::None))),
            "a dict of `model`",
        ),
        case("a counter alone", one("n_averaged", floats("1", &[])), "no residual network has such tensors"),
        case(
            "averaged weights that are a counter alone",
            one("model_ema", one("n_averaged", floats("1", &[]))),
            "no residual network has such tensors",
        ),
        case("a module without parts", module(vec![], vec![], vec![]), "no tensors found"),
        case(
            "a module that is no tree",
            module(vec![], vec![], vec![(text("layer1"), Py::List(vec![Py::None]))]),
            "no tensors found",
        ),
        case(
            "a module with a parameter that is none",
            module(vec![(text("weight"), text("none"))], vec![], vec![]),
            "no tensors found",
        ),
        case(
            "a module of something else",
            module(vec![(text("weight"), floats("4", &[2, 2]))], vec![], vec![]),
            "no residual network has such tensors",
        ),
        case(
            "a storage that is not there",
            one("state_dict", one("conv1.weight", floats("gone", &[2]))),
            "gone",
        ),
    ];
    for Case { what, object, storages, says } in cases {
        assert_refused(what, &zipped(&object, &storages), says);
        // The old format has storages in a list, one of which cannot be missing.
        if what != "a storage that is not there" {
            assert_refused(what, &legacy_file(&object, &storages), says);
        }
    }
}

#[test]
fn a_wrapper_is_no_way_around_the_network() {
    // Each wrapper and each prefix, around a network that lacks a tensor of its second block.
    let wrappers =
        ["state_dict", "model", "model_state_dict", "net", "params", "weights", "ema", "model_ema"];
    let more = ["ema_state_dict", "state_dict_ema", "something_else"];
    for wrapper in wrappers.into_iter().chain(more) {
        for prefix in ["", "module.", "module._orig_mod.", "model.backbone."] {
            let (Py::OrderedDict(mut entries), storages) = dict(prefix, 0.0) else { unreachable!() };
            let lost = format!("{prefix}layer2.0.bn2.running_var");
            entries.retain(|(name, _)| !matches!(name, Py::Text(name) if *name == lost));
            let object = one(wrapper, Py::OrderedDict(entries));
            let what = format!("{wrapper} {prefix}");
            assert_refused(&what, &zipped(&object, &storages), "no residual network has such tensors");
        }
    }
}

#[test]
fn averaged_weights_of_another_shape_are_not_taken_for_the_plain_ones() {
    let (plain, mut storages) = dict("", 0.0);
    let (Py::OrderedDict(mut averaged), more) = dict("module.", 1.0) else { unreachable!() };
    storages.extend(more);
    storages.push(("wide".to_owned(), f32s(&[1.0; 5 * 4 * 9])));
    for (name, value) in &mut averaged {
        if matches!(name, Py::Text(name) if name == "module.layer1.0.conv2.weight") {
            *value = floats("wide", &[5, 4, 3, 3]);
        }
    }
    let object = Py::Dict(items([("model_ema", Py::OrderedDict(averaged)), ("model", plain)]));
    let bytes = zipped(&object, &storages);
    let model = Model::from_bytes(&bytes).unwrap();
    assert_eq!(
        (model.origin().wrapper.as_slice(), model.spec().head.classes),
        (&["model".to_owned()][..], 3)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("both.pth");
    std::fs::write(&path, bytes).unwrap();
    let options = OpenOptions::default().with(|options| options.key = Some("model_ema".to_owned()));
    let error = Model::open_with(&path, &options).unwrap_err().to_string();
    assert!(error.contains("both.pth") && error.contains("no residual network has such tensors"), "{error}");
}

/// Tensors of a family member, all of a half.
fn member(name: &str) -> StateDict {
    let spec = family(name).unwrap();
    let tensors = names(&spec, spec.naming).into_iter().map(|tensor| {
        let count = tensor.shape.iter().product();
        (tensor.name, Tensor::new(tensor.shape, vec![0.5; count]).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

fn replaced(state: &mut StateDict, name: &str, shape: &[usize]) {
    assert!(state.remove(name).is_some(), "{name}");
    state.insert(name, Tensor::new(shape.to_vec(), vec![0.5; shape.iter().product()]).unwrap()).unwrap();
}

#[test]
fn the_nearest_network_is_named_with_what_is_wrong() {
    type Change = fn(StateDict) -> StateDict;
    let cases: [(&str, Change, &[&str]); 7] = [
        (
            "a tensor is missing",
            |mut state| {
                state.remove("layer2.0.bn1.weight").unwrap();
                state
            },
            &["the nearest is cifar_resnet20, of which layer2.0.bn1.weight is missing"],
        ),
        (
            "a tensor has another shape",
            |mut state| {
                replaced(&mut state, "layer1.0.conv1.weight", &[16, 16, 5, 5]);
                state
            },
            &["cifar_resnet20, whose layer1.0.conv1.weight is [16, 16, 3, 3], not [16, 16, 5, 5]"],
        ),
        (
            "a head is for another number of channels",
            |mut state| {
                replaced(&mut state, "linear.weight", &[10, 65]);
                state
            },
            &["the nearest is cifar_resnet20, whose linear takes 65 channels, not 64"],
        ),
        (
            "a head has a bias for other classes",
            |mut state| {
                replaced(&mut state, "linear.bias", &[9]);
                state
            },
            &["cifar_resnet20, whose linear has a bias that is not for its 10 outputs"],
        ),
        (
            "a prefix fits a part",
            |state| {
                state
                    .rename_all(|name| match name.starts_with("layer3.") {
                        true => name.to_owned(),
                        false => format!("module.{name}"),
                    })
                    .unwrap()
            },
            &["the nearest is cifar_resnet20, of which module.layer3.0", "is missing"],
        ),
        (
            "two prefixes share a network",
            |state| {
                let of = |name: &str| if name.contains("bn") { "a." } else { "b." };
                state.rename_all(|name| format!("{}{name}", of(name))).unwrap()
            },
            &["no residual network has such tensors"],
        ),
        (
            "a block has a tensor too many",
            |mut state| {
                state.insert("layer1.0.conv9.weight", Tensor::new(vec![1], vec![0.5]).unwrap()).unwrap();
                state
            },
            &["the nearest is cifar_resnet20, beside which there are tensors that it has not"],
        ),
    ];
    for (what, change, says) in cases {
        let bytes = safetensors::to_bytes(&change(member("cifar_resnet20"))).unwrap();
        for part in says {
            assert_refused(what, &bytes, part);
        }
    }
}

#[test]
fn a_head_of_several_layers_is_left_out_and_not_taken_for_one() {
    for head in ["fc", "classifier", "head"] {
        let mut state = state();
        state.remove("fc.weight").unwrap();
        state.remove("fc.bias").unwrap();
        for (layer, shape) in [(0, [8, 6]), (3, [3, 8])] {
            let weight = Tensor::new(shape.to_vec(), vec![0.5; shape[0] * shape[1]]).unwrap();
            state.insert(format!("{head}.{layer}.weight"), weight).unwrap();
            state
                .insert(
                    format!("{head}.{layer}.bias"),
                    Tensor::new(vec![shape[0]], vec![0.5; shape[0]]).unwrap(),
                )
                .unwrap();
        }
        let model = Model::from_bytes(&safetensors::to_bytes(&state).unwrap()).unwrap();
        assert!(!model.has_head(), "{head}");
        assert_eq!(model.recognised().unwrap().left_out.len(), 4, "{head}");
    }
}

/// A folder of an index over two files of the tiny network.
fn sharded(change: impl FnOnce(&mut serde_json::Value, &Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (StateDict::new(), StateDict::new());
    let mut map = serde_json::Map::new();
    for (index, (name, tensor)) in state().into_tensors().enumerate() {
        let (shard, file) = match index % 2 {
            0 => (&mut first, "model-00001-of-00002.safetensors"),
            _ => (&mut second, "model-00002-of-00002.safetensors"),
        };
        map.insert(name.clone(), file.into());
        shard.insert(name, tensor).unwrap();
    }
    safetensors::write(folder.path().join("model-00001-of-00002.safetensors"), &first).unwrap();
    safetensors::write(folder.path().join("model-00002-of-00002.safetensors"), &second).unwrap();
    let mut index = serde_json::json!({ "metadata": {}, "weight_map": map });
    change(&mut index, folder.path());
    std::fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    folder
}

#[test]
fn indices_that_point_elsewhere_are_refused() {
    assert_eq!(Model::open(sharded(|_, _| {}).path()).unwrap().origin().files, 2);
    type Change = fn(&mut serde_json::Value, &Path);
    let cases: [(Change, &str); 9] = [
        (
            |index, _| index["weight_map"]["conv1.weight"] = "../model.safetensors".into(),
            "`conv1.weight` is not in a file",
        ),
        (
            |index, _| index["weight_map"]["conv1.weight"] = "/etc/passwd".into(),
            "`conv1.weight` is not in a file",
        ),
        (
            |index, _| index["weight_map"]["conv1.weight"] = "sub\\model.safetensors".into(),
            "`conv1.weight` is not in a file",
        ),
        (|index, _| index["weight_map"]["conv1.weight"] = "..".into(), "`conv1.weight` is not in a file"),
        (|index, _| index["weight_map"]["conv1.weight"] = 7.into(), "`conv1.weight` is not in a file"),
        (
            |index, _| index["weight_map"]["conv1.weight"] = "model.safetensors.index.json".into(),
            "`conv1.weight` is not in a file",
        ),
        (|index, _| index["weight_map"] = serde_json::json!([]), "no `weight_map`"),
        (
            |_, folder| std::fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap(),
            "model-00002-of-00002.safetensors: ",
        ),
        (
            |index, _| index["weight_map"]["conv1.weight"] = "model-00002-of-00002.safetensors".into(),
            "conv1.weight",
        ),
    ];
    for (change, says) in cases {
        let error = Model::open(sharded(change).path()).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
}
