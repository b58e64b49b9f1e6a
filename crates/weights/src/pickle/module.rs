//! Modules that `torch.save(model)` pickled whole: the parameters and buffers in them, read as data.
//!
//! A module is pickled as an object whose state is its `__dict__`: `_parameters`, `_buffers` and `_modules` by name. The
//! class is a name here, and its code is neither needed nor run.

use std::collections::BTreeMap;

use residual_files::Budget;
use residual_pickle::{Heap, Id, Value};

use super::find::charge_view;
use super::torch::{self, View, check_name, over_budget};
use crate::error::Error;

/// The most modules inside each other. A network as published has 6.
const MAX_DEPTH: usize = 64;

/// Bytes that a module on the way takes, beside its name.
const VISIT: u64 = 128;

/// A pickled module: the parts of its state that hold tensors.
pub(super) struct Module<'h> {
    /// Class, as `torchvision.models.resnet.ResNet`.
    pub(super) class: Option<String>,
    parameters: &'h [(Id, Id)],
    buffers: &'h [(Id, Id)],
    modules: &'h [(Id, Id)],
    /// Buffers that are no part of a state dict.
    unsaved: &'h [Id],
}

impl<'h> Module<'h> {
    /// The module that a value stands for; `None` for anything else.
    pub(super) fn of(heap: &'h Heap<'_>, id: Id) -> Option<Self> {
        let state = heap.dict(heap.state(id)?)?;
        let entry = |name: &str| {
            let is_named = |&&(key, _): &&(Id, Id)| heap.text(key) == Some(name);
            state.iter().rev().find(is_named).map(|&(_, value)| value)
        };
        let dict = |name| entry(name).and_then(|id| heap.dict(id));
        // A set is a call of `set` with a list.
        let unsaved = entry("_non_persistent_buffers_set").and_then(|id| heap.call(id));
        let unsaved = unsaved.and_then(|(_, arguments)| heap.sequence(*arguments.first()?));
        Some(Self {
            class: class(heap, id),
            parameters: dict("_parameters")?,
            buffers: dict("_buffers").unwrap_or(&[]),
            modules: dict("_modules")?,
            unsaved: unsaved.unwrap_or(&[]),
        })
    }

    fn is_saved(&self, heap: &Heap<'_>, name: &str) -> bool {
        !self.unsaved.iter().any(|&id| heap.text(id) == Some(name))
    }
}

/// Module and name of a class. Files from before PyTorch 1.6 have it with its source.
fn class(heap: &Heap<'_>, id: Id) -> Option<String> {
    let Value::Call { function, .. } = *heap.get(id) else { return None };
    let class = match *heap.get(function) {
        Value::Persistent(id) => *heap.sequence(id)?.get(1)?,
        _ => function,
    };
    let (module, name) = heap.global(class)?;
    Some(format!("{}.{}", torch::shortened(module), torch::shortened(name)))
}

/// The tensors of a module and of all in it, by the names that its state dict would have.
pub(super) fn walk<'a>(
    heap: &Heap<'a>,
    root: Id,
    budget: &mut Budget,
) -> Result<BTreeMap<String, View<'a>>, Error> {
    let mut views = BTreeMap::new();
    let mut open = vec![(String::new(), root, 0)];
    while let Some((prefix, id, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return Err(Error::TooLarge { what: "the depth of modules inside modules", limit: MAX_DEPTH });
        }
        let Some(module) = Module::of(heap, id) else { continue };
        let buffers = module
            .buffers
            .iter()
            .filter(|&&(key, _)| heap.text(key).is_some_and(|name| module.is_saved(heap, name)));
        for &(key, value) in module.parameters.iter().chain(buffers) {
            let Some(name) = heap.text(key) else { continue };
            let name = joined(&prefix, name)?;
            if let Some(view) = torch::tensor(heap, &name, value)? {
                charge_view(&name, &view, budget)?;
                views.insert(name, view);
            }
        }
        for &(key, value) in module.modules {
            let Some(name) = heap.text(key) else { continue };
            // One module may lie in many, and a cycle has no end: every visit counts.
            let prefix = joined(&prefix, name)? + ".";
            budget.charge(VISIT + prefix.len() as u64).map_err(over_budget)?;
            open.push((prefix, value, depth + 1));
        }
    }
    Ok(views)
}

fn joined(prefix: &str, name: &str) -> Result<String, Error> {
    check_name(name)?;
    let joined = format!("{prefix}{name}");
    check_name(&joined)?;
    Ok(joined)
}
