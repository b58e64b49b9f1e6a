//! Arrays of numpy inside a pickle.

use std::ops::Range;

use residual_pickle::{Id, Pickled, Value};

/// A numpy array of bytes, `uint8` in C order: its shape, and where its bytes are in the pickle.
///
/// numpy pickles an array as `_reconstruct(...)` with the state (version, shape, dtype, is it in Fortran order,
/// bytes), and a dtype as `dtype('u1', ...)`.
pub(crate) fn byte_array(pickled: &Pickled<'_>, id: Id) -> Option<(Vec<usize>, Range<usize>)> {
    let heap = &pickled.heap;
    let ((_, function), _) = heap.call(id)?;
    let [_, shape, dtype, fortran, data] = *heap.sequence(heap.state(id)?)? else { return None };
    let (_, dtype) = heap.call(dtype)?;
    let dtype = heap.text(*dtype.first()?)?;
    let dimension = |&id: &Id| usize::try_from(heap.int(id)?).ok();
    let shape = heap.sequence(shape).filter(|shape| shape.len() <= MAX_DIMENSIONS)?;
    let shape: Vec<usize> = shape.iter().map(dimension).collect::<Option<_>>()?;
    let range = pickled.place(data)?;
    let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n))?;
    let valid = function == "_reconstruct"
        && matches!(dtype.trim_start_matches('|'), "u1" | "uint8")
        && matches!(heap.get(fortran), Value::Int(0) | Value::Bool(false))
        && range.len() == count;
    valid.then_some((shape, range))
}

/// numpy's limit.
const MAX_DIMENSIONS: usize = 64;
