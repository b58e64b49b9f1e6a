//! A tiny network of no family, and its weights as PyTorch saves them.

#![allow(dead_code, reason = "every test file uses a part")]

use residual_arch::names::names;
use residual_arch::{BlockSpec, HeadSpec, Naming, NetSpec, Shortcut, StageSpec, StemSpec};
use residual_weights::{StateDict, Tensor};

use crate::pickler::{Py, archive, f32s, floats, items, legacy, text};

/// A network of two blocks, of no family.
pub(crate) fn tiny() -> NetSpec {
    let stages = vec![
        StageSpec::new(vec![BlockSpec::basic(4)]),
        StageSpec::new(vec![BlockSpec::basic(6).with(|block| {
            (block.stride, block.shortcut) = (2, Shortcut::projection(6, 2));
        })]),
    ];
    NetSpec::new("tiny", [3, 32, 32], StemSpec::cifar(4), stages, HeadSpec::new(3))
}

pub(crate) fn values(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|at| (seed * 7 + at % 13) as f32 * 0.25).collect()
}

/// Its tensors, different values in every one.
pub(crate) fn state() -> StateDict {
    let tensors = names(&tiny(), Naming::Torchvision).into_iter().enumerate().map(|(index, tensor)| {
        let count = tensor.shape.iter().product();
        (tensor.name, Tensor::new(tensor.shape, values(count, index)).unwrap())
    });
    StateDict::from_tensors(tensors).unwrap()
}

/// The state dict as Python has it, the names changed, and its storages.
pub(crate) fn dict(prefix: &str, shift: f32) -> (Py, Vec<(String, Vec<u8>)>) {
    let (mut entries, mut storages) = (Vec::new(), Vec::new());
    for (name, tensor) in state().iter() {
        let key = format!("{prefix}{shift}{name}");
        let shape: Vec<i64> = tensor.shape().iter().map(|&side| side as i64).collect();
        entries.push((text(&format!("{prefix}{name}")), floats(&key, &shape)));
        let shifted: Vec<f32> = tensor.data().iter().map(|value| value + shift).collect();
        storages.push((key, f32s(&shifted)));
    }
    (Py::OrderedDict(entries), storages)
}

pub(crate) fn zipped(object: &Py, storages: &[(String, Vec<u8>)]) -> Vec<u8> {
    let storages: Vec<(&str, Vec<u8>)> =
        storages.iter().map(|(key, bytes)| (key.as_str(), bytes.clone())).collect();
    archive(object, &storages)
}

pub(crate) fn legacy_file(object: &Py, storages: &[(String, Vec<u8>)]) -> Vec<u8> {
    let storages: Vec<(&str, i64, Vec<u8>)> =
        storages.iter().map(|(key, bytes)| (key.as_str(), bytes.len() as i64 / 4, bytes.clone())).collect();
    legacy(object, &storages)
}

/// `torch.save(module)`: an object whose state is its `__dict__`.
pub(crate) fn module(parameters: Vec<(Py, Py)>, buffers: Vec<(Py, Py)>, modules: Vec<(Py, Py)>) -> Py {
    let class = Py::Global("somebodys.code", "Net");
    let unsaved = Py::Call(Box::new(Py::Global("__builtin__", "set")), vec![Py::List(vec![text("scratch")])]);
    let state = items([
        ("training", Py::Bool(false)),
        ("_parameters", Py::OrderedDict(parameters)),
        ("_buffers", Py::OrderedDict(buffers)),
        ("_non_persistent_buffers_set", unsaved),
        ("_modules", Py::OrderedDict(modules)),
    ]);
    Py::Object(Box::new(class), Box::new(Py::Dict(state)))
}

/// A module tree of the tensors, by the dots of their names.
pub(crate) fn tree(state: &StateDict, prefix: &str) -> Py {
    let (mut own, mut parts) = ((Vec::new(), Vec::new()), Vec::<String>::new());
    for (name, tensor) in state.iter() {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        match rest.split_once('.') {
            Some((part, _)) if parts.last().is_none_or(|last| last != part) => parts.push(part.to_owned()),
            Some(_) => {}
            None => {
                let shape: Vec<i64> = tensor.shape().iter().map(|&side| side as i64).collect();
                let entry = (text(rest), floats(name, &shape));
                if rest.starts_with("running") { own.1.push(entry) } else { own.0.push(entry) }
            }
        }
    }
    own.1.push((text("scratch"), floats("unsaved", &[1])));
    let mut modules: Vec<(Py, Py)> =
        parts.iter().map(|part| (text(part), tree(state, &format!("{prefix}{part}.")))).collect();
    modules.push((text("nothing"), Py::None));
    module(own.0, own.1, modules)
}
