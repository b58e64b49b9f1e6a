//! PyTorch's tensors and state dicts, read off the values of a pickle.

use std::collections::BTreeMap;

use residual_files::{Budget, escaped};
use residual_pickle::{Heap, Id, Value};

use crate::element::ElementType;
use crate::error::Error;
use crate::tensor::element_count;

/// The most dimensions of a tensor, as in PyTorch.
const MAX_DIMENSIONS: usize = 64;

/// The longest name of a tensor or storage, in bytes.
const MAX_NAME: usize = 4096;

/// A stored run of elements, named by its key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) key: &'a str,
    pub(super) element: ElementType,
}

/// A tensor as a strided view of a storage. Units are elements.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl View<'_> {
    /// Number of elements of the storage that the view needs, from its beginning; `None` where that overflows.
    pub(super) fn extent(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        let reach =
            self.shape.iter().zip(&self.strides).try_fold(self.offset, |reach, (&extent, &stride)| {
                reach.checked_add((extent - 1).checked_mul(stride)?)
            })?;
        reach.checked_add(1)
    }

    /// True for a view whose elements lie one after the other in row-major order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&extent, &stride)| {
            let matches = extent == 1 || stride == expected;
            expected = extent.saturating_mul(expected);
            matches
        })
    }
}

/// Storages that the pickle refers to, by key, whether or not a tensor of the state dict uses it.
pub(super) fn storages<'a>(
    heap: &Heap<'a>,
    budget: &mut Budget,
) -> Result<BTreeMap<&'a str, ElementType>, Error> {
    let mut storages = BTreeMap::new();
    for value in heap.iter() {
        let &Value::Persistent(id) = value else { continue };
        let Some((storage, _)) = storage(heap, "a storage", id, None)? else { continue };
        let bytes = storage.key.len() + 2 * size_of::<(&str, ElementType)>();
        budget.charge(bytes as u64).map_err(over_budget)?;
        let previous = storages.insert(storage.key, storage.element);
        if previous.is_some_and(|element| element != storage.element) {
            let reason = format!("storage {} is used with two element types", storage.key);
            return Err(Error::Pickle { at: 0, reason });
        }
    }
    Ok(storages)
}

/// True for what PyTorch makes a tensor of, whether or not it is one that is read.
pub(super) fn is_tensor(heap: &Heap<'_>, value: Id) -> bool {
    let function = heap.call(value).map(|(function, _)| function);
    matches!(function, Some(("torch._utils", name)) if name.starts_with("_rebuild"))
        || matches!(function, Some(("torch._tensor", "_rebuild_from_type_v2")))
}

/// The tensor that `value` stands for; `None` where it is something else.
pub(super) fn tensor<'a>(heap: &Heap<'a>, name: &str, value: Id) -> Result<Option<View<'a>>, Error> {
    let mut value = value;
    // A parameter is a tensor wrapped once; more layers than this no file has.
    for _ in 0..4 {
        let Some((function, arguments)) = heap.call(value) else { return Ok(None) };
        match function {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                return view(heap, name, function.1, arguments).map(Some);
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                value = *arguments.first().ok_or_else(|| bad(name, "a parameter without data"))?;
            }
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let inner = arguments.get(2).and_then(|&state| heap.sequence(state));
                return match (arguments.first().and_then(|&f| heap.global(f)), inner) {
                    (Some(("torch._utils", function)), Some(inner))
                        if function.starts_with("_rebuild_tensor") =>
                    {
                        view(heap, name, function, inner).map(Some)
                    }
                    _ => Err(bad(name, "a tensor subclass of an unknown kind")),
                };
            }
            ("torch._utils", kind) if kind.starts_with("_rebuild") => {
                let kind = shortened(kind);
                let found = format!("what PyTorch's {kind} makes (sparse, quantised or on no device)");
                return Err(Error::UnsupportedType { name: name.to_owned(), found });
            }
            _ => return Ok(None),
        }
    }
    Err(bad(name, "a parameter wrapped too often"))
}

/// `_rebuild_tensor*(storage, offset, size, stride, requires_grad, hooks, [dtype,] metadata)`.
fn view<'a>(heap: &Heap<'a>, name: &str, function: &str, arguments: &[Id]) -> Result<View<'a>, Error> {
    let &[data, offset, shape, strides, ..] = arguments else {
        return Err(bad(name, "its description lacks storage, offset, shape or strides"));
    };
    // Only the third version names the type beside a storage of plain bytes.
    let dtype = match function {
        "_rebuild_tensor_v3" => arguments.get(6).and_then(|&dtype| heap.global(dtype)),
        _ => None,
    };
    let found = match *heap.get(data) {
        Value::Persistent(id) => storage(heap, name, id, dtype)?,
        _ => None,
    };
    let (storage, start) = found.ok_or_else(|| bad(name, "its elements are not in a storage"))?;
    let offset = natural(heap, offset).and_then(|offset| offset.checked_add(start));
    let view = View {
        storage,
        offset: offset.ok_or_else(|| bad(name, "its offset is not a natural number"))?,
        shape: naturals(heap, shape)
            .ok_or_else(|| bad(name, "its shape is not a tuple of natural numbers"))?,
        strides: naturals(heap, strides)
            .ok_or_else(|| bad(name, "its strides are not a tuple of natural numbers"))?,
    };
    if view.shape.len() != view.strides.len() || view.shape.len() > MAX_DIMENSIONS {
        return Err(bad(name, "it has too many dimensions, or not one stride for each"));
    }
    if element_count(&view.shape).is_none() || view.extent().is_none() {
        return Err(bad(name, "its shape overflows"));
    }
    Ok(view)
}

/// The storage that a persistent id `('storage', class, key, device, length[, view])` names, and where in it
/// the view begins; `None` for an id of another kind.
fn storage<'a>(
    heap: &Heap<'a>,
    name: &str,
    id: Id,
    dtype: Option<(&str, &str)>,
) -> Result<Option<(Storage<'a>, usize)>, Error> {
    let Some(&[tag, class, key, _device, _length, ref view @ ..]) = heap.sequence(id) else {
        return Ok(None);
    };
    if heap.text(tag) != Some("storage") {
        return Ok(None);
    }
    let (Some((_, class)), Some(key)) = (heap.global(class), heap.text(key)) else {
        return Err(bad(name, "its storage has no class or no key"));
    };
    check_name(key)?;
    let kind = dtype.map_or(class, |(_, dtype)| dtype);
    let Some(element) = element_type(kind) else {
        let kind = shortened(kind);
        return Err(Error::UnsupportedType { name: name.to_owned(), found: format!("a {kind}") });
    };
    // Legacy files may hold a storage that is part of another: (key, offset, length).
    let start = view.first().and_then(|&view| heap.sequence(view)).map(|view| view.get(1).copied());
    let start = match start {
        Some(offset) => offset.and_then(|offset| natural(heap, offset)),
        None => Some(0),
    };
    let start = start.ok_or_else(|| bad(name, "its storage is a view that begins nowhere"))?;
    Ok(Some((Storage { key, element }, start)))
}

/// The element type of a storage class, or of the dtype beside an untyped storage.
fn element_type(name: &str) -> Option<ElementType> {
    Some(match name {
        "DoubleStorage" | "float64" => ElementType::F64,
        "FloatStorage" | "float32" => ElementType::F32,
        "HalfStorage" | "float16" => ElementType::F16,
        "BFloat16Storage" | "bfloat16" => ElementType::Bf16,
        "LongStorage" | "int64" => ElementType::I64,
        "IntStorage" | "int32" => ElementType::I32,
        "ShortStorage" | "int16" => ElementType::I16,
        "CharStorage" | "int8" => ElementType::I8,
        "uint64" => ElementType::U64,
        "uint32" => ElementType::U32,
        "uint16" => ElementType::U16,
        "ByteStorage" | "UntypedStorage" | "uint8" => ElementType::U8,
        "BoolStorage" | "bool" => ElementType::Bool,
        _ => return None,
    })
}

fn natural(heap: &Heap<'_>, id: Id) -> Option<usize> {
    heap.int(id).and_then(|int| usize::try_from(int).ok())
}

fn naturals(heap: &Heap<'_>, id: Id) -> Option<Vec<usize>> {
    // One dimension too many says as much as a million.
    heap.sequence(id)?.iter().take(MAX_DIMENSIONS + 1).map(|&id| natural(heap, id)).collect()
}

fn bad(name: &str, reason: &str) -> Error {
    Error::BadTensor { name: name.to_owned(), reason: reason.to_owned() }
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    match name.len() {
        0..=MAX_NAME => Ok(()),
        _ => Err(Error::TooLarge { what: "the length of a tensor's name", limit: MAX_NAME }),
    }
}

pub(super) fn over_budget(_: residual_files::Error) -> Error {
    Error::TooLarge { what: "the memory for the pickle", limit: residual_pickle::budget().limit() as usize }
}

/// The beginning of a name, for an error.
pub(super) fn shortened(name: &str) -> &str {
    name.char_indices().nth(80).map_or(name, |(end, _)| &name[..end])
}

/// Content of a pickle without tensors, for the error.
pub(super) fn describe(heap: &Heap<'_>, root: Id) -> String {
    if let Some(entries) = heap.dict(root) {
        let keys = || entries.iter().filter_map(|&(key, _)| heap.text(key));
        let more = keys().count().saturating_sub(8);
        let shown =
            keys().take(8).map(|key| format!("`{}`", escaped(shortened(key)))).collect::<Vec<_>>().join(", ");
        return match (shown.is_empty(), more) {
            (true, _) => "an empty dict".to_owned(),
            (_, 0) => format!("a dict of {shown}"),
            (_, more) => format!("a dict of {shown} and {more} more"),
        };
    }
    if let Some(((module, name), _)) = heap.call(root) {
        let (module, name) = (escaped(shortened(module)), escaped(shortened(name)));
        return format!("an object of class {module}.{name}, whose code is not run");
    }
    match heap.get(root) {
        Value::List(_) | Value::Tuple(_) => "a list".to_owned(),
        Value::Text(_) => "a text".to_owned(),
        Value::Bytes(_) => "bytes".to_owned(),
        Value::Other(kind) => (*kind).to_owned(),
        Value::Persistent(_) => "a bare storage or module".to_owned(),
        _ => "a single value".to_owned(),
    }
}
