//! Finding the tensors among the values of a pickle: the dicts around a state dict, and modules pickled whole.

use std::collections::BTreeMap;

use residual_files::Budget;
use residual_pickle::{Heap, Id, Pickled};

use super::module::{Module, walk};
use super::torch::{self, View, check_name, over_budget};
use crate::error::Error;

/// Keys of the dicts around a state dict, those that are looked for first in front.
const PLAIN: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "params",
    "weights",
    "module",
    "network",
    "model_state",
    "net_state_dict",
    "model_weights",
    "generator",
];

/// Keys of averaged weights.
const AVERAGED: [&str; 10] = [
    "ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
    "ema_model",
    "params_ema",
    "ema_model_state_dict",
    "model_ema_state_dict",
    "averaged_model",
    "swa_state_dict",
];

/// The most dicts around a state dict, as `model` around `state_dict`.
const MAX_WRAPPERS: usize = 4;

/// The most entries that are looked at before the tensors are found.
const MAX_STEPS: u64 = 1 << 24;

/// Keys that an error lists.
const SHOWN: usize = 12;

/// Tensors of a pickle, by name.
pub(super) struct Found<'a> {
    pub(super) views: BTreeMap<String, View<'a>>,
    /// Keys of the dicts around them, outermost first.
    pub(super) wrapper: Vec<String>,
    /// Class of the module that they are in.
    pub(super) module: Option<String>,
    /// Keys of other sets of tensors.
    pub(super) others: Vec<String>,
}

/// The tensors of a state dict or of a module, plain or inside dicts; those under `key` where there is such a dict.
/// Entries that are no tensors (an epoch, a learning rate) are left out.
pub(super) fn tensors<'a>(
    pickled: &Pickled<'a>,
    key: Option<&str>,
    budget: &mut Budget,
) -> Result<Found<'a>, Error> {
    let search = Search { heap: &pickled.heap, steps: Budget::new(MAX_STEPS) };
    let place = search.place(pickled.root, key)?;
    let heap = &pickled.heap;
    let module = Module::of(heap, place.id).and_then(|module| module.class);
    let views = match Module::of(heap, place.id) {
        Some(_) => walk(heap, place.id, budget)?,
        None => of_dict(heap, heap.dict(place.id).unwrap_or(&[]), budget)?,
    };
    if views.is_empty() {
        return Err(Error::NoTensors { found: torch::describe(heap, pickled.root) });
    }
    Ok(Found { views, wrapper: place.wrapper, module, others: place.others })
}

/// The tensors among the entries of a dict; of equal keys the last one holds.
fn of_dict<'a>(
    heap: &Heap<'a>,
    entries: &[(Id, Id)],
    budget: &mut Budget,
) -> Result<BTreeMap<String, View<'a>>, Error> {
    let mut views = BTreeMap::new();
    for &(key, value) in entries {
        let Some(name) = heap.text(key) else { continue };
        check_name(name)?;
        match torch::tensor(heap, name, value)? {
            Some(view) => {
                charge_view(name, &view, budget)?;
                views.insert(name.to_owned(), view);
            }
            None => drop(views.remove(name)),
        }
    }
    Ok(views)
}

/// Charges an entry of the map of views: the copied name, and more than the entry, since the map grows.
pub(super) fn charge_view(name: &str, view: &View<'_>, budget: &mut Budget) -> Result<(), Error> {
    let extents = 2 * view.shape.len() * size_of::<usize>();
    let bytes = 2 * name.len() + 2 * size_of::<(String, View<'_>)>() + extents;
    budget.charge(bytes as u64).map_err(over_budget)
}

/// Value that holds the tensors.
struct Place {
    id: Id,
    wrapper: Vec<String>,
    others: Vec<String>,
}

struct Search<'h, 'a> {
    heap: &'h Heap<'a>,
    /// A pickle may hold one dict under many keys, so that looking is counted.
    steps: Budget,
}

impl<'a> Search<'_, 'a> {
    fn place(mut self, root: Id, key: Option<&str>) -> Result<Place, Error> {
        let (mut id, mut wrapper, mut others) = (root, Vec::new(), Vec::new());
        // Where a key is asked for, up to the dict that has it.
        let mut wanted = key;
        for _ in 0..=MAX_WRAPPERS {
            let inner = self.inner(id, wanted)?;
            let Some((&(name, next), rest)) = inner.split_first() else {
                return Ok(Place { id, wrapper, others });
            };
            if wanted == Some(name) {
                wanted = None;
            }
            wrapper.push(name.to_owned());
            others.extend(rest.iter().map(|&(name, _)| name.to_owned()));
            id = next;
        }
        Err(Error::TooLarge { what: "the number of dicts around the tensors", limit: MAX_WRAPPERS })
    }

    /// The values inside a dict that tensors may be in, by key, the one to be taken first; none where the tensors are
    /// the dict's own.
    fn inner(&mut self, id: Id, wanted: Option<&str>) -> Result<Vec<(&'a str, Id)>, Error> {
        if Module::of(self.heap, id).is_some() {
            return Ok(Vec::new());
        }
        let known = self.known(id)?;
        if let Some(key) = wanted {
            let asked = self.holders(id, |name| name == key)?;
            if !asked.is_empty() {
                let rest = known.into_iter().filter(|&(name, _)| name != key);
                return Ok(asked.into_iter().chain(rest).collect());
            }
        }
        if !known.is_empty() || self.has_tensors(id)? {
            return Ok(known);
        }
        // Under a name that nobody knows: taken where it is the only one.
        let unknown = self.holders(id, |_| true)?;
        match unknown[..] {
            [] | [_] => Ok(unknown),
            _ => {
                let found = unknown.iter().take(SHOWN).map(|&(name, _)| name.to_owned()).collect();
                Err(Error::SeveralWeights { found })
            }
        }
    }

    /// What is under the keys that are known, in their order.
    fn known(&mut self, id: Id) -> Result<Vec<(&'a str, Id)>, Error> {
        let place = |name: &str| PLAIN.iter().chain(&AVERAGED).position(|&known| known == name);
        let mut found = self.holders(id, |name| place(name).is_some())?;
        found.sort_by_key(|&(name, _)| place(name));
        Ok(found)
    }

    /// The entries of a dict that hold tensors, among those whose key is taken; of equal keys the last one.
    fn holders(&mut self, id: Id, takes: impl Fn(&str) -> bool) -> Result<Vec<(&'a str, Id)>, Error> {
        let mut found = BTreeMap::new();
        for &(key, value) in self.heap.dict(id).unwrap_or(&[]) {
            self.step()?;
            let Some(name) = self.heap.text(key).filter(|name| takes(name)) else { continue };
            check_name(name)?;
            if self.holds(value, 1)? {
                found.insert(name, value);
            } else {
                found.remove(name);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// True for a module, for a dict of tensors, and for a dict with one of them under a known key.
    fn holds(&mut self, id: Id, depth: usize) -> Result<bool, Error> {
        if Module::of(self.heap, id).is_some() || self.has_tensors(id)? {
            return Ok(true);
        }
        if depth > MAX_WRAPPERS {
            // To be refused by whoever follows it so far.
            return Ok(self.heap.dict(id).is_some_and(|entries| !entries.is_empty()));
        }
        for &(key, value) in self.heap.dict(id).unwrap_or(&[]) {
            self.step()?;
            let is_known = |name| PLAIN.contains(&name) || AVERAGED.contains(&name);
            if self.heap.text(key).is_some_and(is_known) && self.holds(value, depth + 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_tensors(&mut self, id: Id) -> Result<bool, Error> {
        for &(key, value) in self.heap.dict(id).unwrap_or(&[]) {
            self.step()?;
            if self.heap.text(key).is_some() && torch::is_tensor(self.heap, value) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<(), Error> {
        self.steps.charge(1).map_err(|_| Error::TooLarge {
            what: "the number of entries around the tensors",
            limit: MAX_STEPS as usize,
        })
    }
}
