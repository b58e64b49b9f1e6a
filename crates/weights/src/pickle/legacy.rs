//! The format of `torch.save` before PyTorch 1.6: five pickles, then the storages one after the other.
//!
//! ```text
//! pickle  0x1950a86a20f9469cfc6c           the magic number
//! pickle  1001                             the version of the format
//! pickle  {little_endian: True, ...}       about the machine that wrote it
//! pickle  the object                       tensors name their storages by key
//! pickle  [key, ...]                       the order of the storages
//! for every key: the number of elements as i64, then the elements; little-endian
//! ```

use std::collections::BTreeMap;

use super::find;
use super::storage::Gatherer;
use super::torch;
use residual_files::Budget;
use residual_pickle::{Pickled, Value, interpret};

use crate::element::{ByteOrder, ElementType};
use crate::error::Error;
use crate::mapping::Source;
use crate::origin::{Format, Origin};
use crate::state_dict::StateDict;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The only version of the format that was ever written.
const VERSION: i64 = 1001;

/// Reads the state dict of a legacy checkpoint.
pub(crate) fn read_legacy(source: Source<'_>, key: Option<&str>) -> Result<StateDict, Error> {
    let bytes = source.bytes;
    let mut rest = bytes;
    let mut budget = residual_pickle::budget();
    let magic = next(&mut rest, &mut budget)?;
    if *magic.heap.get(magic.root) != Value::Long(&MAGIC) {
        return Err(Error::NotTorchPickle);
    }
    let version = next(&mut rest, &mut budget)?;
    if version.heap.int(version.root) != Some(VERSION) {
        let reason = format!("the format's version is not {VERSION}");
        return Err(Error::Pickle { at: bytes.len() - rest.len(), reason });
    }
    next(&mut rest, &mut budget)?;
    let object = next(&mut rest, &mut budget)?;
    let found = find::tensors(&object, key, &mut budget)?;
    let keys = next(&mut rest, &mut budget)?;
    let elements = torch::storages(&object.heap, &mut budget)?;
    let storages = locate(&keys, &elements, rest)?;

    let mut gatherer = Gatherer::new(source, ByteOrder::Little);
    let mut state = StateDict::new();
    state.origin = Origin {
        format: Format::TorchLegacy,
        wrapper: found.wrapper,
        module: found.module,
        others: found.others,
        files: 1,
    };
    for (name, view) in found.views {
        let storage = storages.get(view.storage.key).ok_or_else(|| Error::BadTensor {
            name: name.clone(),
            reason: format!("its storage {} is not in the file", view.storage.key),
        })?;
        let tensor = gatherer.tensor(&name, &view, storage)?;
        state.insert(name, tensor)?;
    }
    Ok(state)
}

fn next<'a>(rest: &mut &'a [u8], budget: &mut Budget) -> Result<Pickled<'a>, Error> {
    let pickled = interpret(rest, budget)?;
    *rest = &rest[pickled.length..];
    Ok(pickled)
}

/// The bytes of every storage, by key.
fn locate<'a>(
    keys: &Pickled<'a>,
    elements: &BTreeMap<&str, ElementType>,
    mut rest: &'a [u8],
) -> Result<BTreeMap<&'a str, &'a [u8]>, Error> {
    let fault = |reason: String| Error::Pickle { at: 0, reason };
    let list = keys.heap.sequence(keys.root);
    let list = list.ok_or_else(|| fault("the list of storages is missing".to_owned()))?;
    let mut located = BTreeMap::new();
    for &key in list {
        let key = keys.heap.text(key).ok_or_else(|| fault("the key of a storage is not text".to_owned()))?;
        // Only keys that tensors name, which are short, get further.
        let element = elements.get(key).ok_or_else(|| fault("a storage belongs to nothing".to_owned()))?;
        let truncated = || Error::Truncated { within: format!("storage {key}") };
        let (count, data) = rest.split_first_chunk::<8>().ok_or_else(truncated)?;
        let length = usize::try_from(i64::from_le_bytes(*count))
            .map_err(|_| fault(format!("storage {key} has a negative length")))?
            .checked_mul(element.size())
            .ok_or_else(truncated)?;
        let (storage, after) = data.split_at_checked(length).ok_or_else(truncated)?;
        located.insert(key, storage);
        rest = after;
    }
    Ok(located)
}
