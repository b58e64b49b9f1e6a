//! Pointers from C, checked for null.

use std::ffi::{CStr, c_char};

use crate::error::Failure;

fn null(what: &str) -> Failure {
    Failure::argument(format_args!("{what} is NULL"))
}

/// The text at `pointer`; `None` for null.
///
/// # Safety
/// `pointer` is null or points to text that ends in a zero byte and stays as it is during `'a`.
pub(crate) unsafe fn text<'a>(what: &str, pointer: *const c_char) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the text ends, as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Failure::argument(format_args!("{what} is not UTF-8")))
}

/// The value at `pointer`.
///
/// # Safety
/// `pointer` is null or valid for reading during `'a`.
pub(crate) unsafe fn one<'a, T>(what: &str, pointer: *const T) -> Result<&'a T, Failure> {
    // SAFETY: null or valid, as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// The `length` values at `pointer`, which may be null where there are none.
///
/// # Safety
/// `pointer` is null or valid for reading `length` values during `'a`.
pub(crate) unsafe fn slice<'a, T>(what: &str, pointer: *const T, length: usize) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(what));
    }
    if length > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(Failure::argument(format_args!("{what} are larger than any memory")));
    }
    // SAFETY: not null, and as long as the caller promises; the length fits the address space.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// The `count` rows of `each` floats at `pointer`, which has room for `length`.
///
/// # Safety
/// `pointer` is null or valid for writing `length` floats during `'a`, and nothing else touches them.
pub(crate) unsafe fn rows<'a>(
    what: &str,
    (pointer, length): (*mut f32, usize),
    (count, each): (usize, usize),
) -> Result<&'a mut [f32], Failure> {
    if count.checked_mul(each) != Some(length) {
        return Err(Failure::argument(format_args!(
            "room for {length} {what}, which must be that for {count} images of {each}"
        )));
    }
    if length == 0 {
        return Ok(&mut []);
    }
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: not null, and `length` floats long, as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

/// Puts a value where the caller wants it.
///
/// # Safety
/// `pointer` is null or valid for writing.
pub(crate) unsafe fn write<T>(what: &str, pointer: *mut T, value: T) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: not null, so valid for writing, as the caller promises.
    unsafe { pointer.write(value) };
    Ok(())
}
