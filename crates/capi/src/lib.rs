//! Prediction from C: the functions of `include/residual.h`, which documents them.
//!
//! Every function checks its pointers for null, catches panics, and reports a failure by a code and a message.

mod error;
mod network;

use std::ffi::{CStr, c_char};

use error::{Failure, report};
pub use error::{Status, residual_message};
pub use network::Network;

/// Loads a network; see `residual_load` in `residual.h`.
///
/// # Safety
/// `path` and `model` are null or point to text that ends in a zero byte; `network` is null or valid for writing
/// a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_load(
    path: *const c_char,
    model: *const c_char,
    threads: usize,
    network: *mut *mut Network,
) -> Status {
    report(|| {
        if network.is_null() {
            return Err(Failure::argument("network is NULL"));
        }
        // SAFETY: not null, so valid for writing, as the caller promises.
        unsafe { network.write(std::ptr::null_mut()) };
        // SAFETY: the caller promises that the texts end.
        let (path, model) = unsafe { (text("path", path)?, text("model", model)?) };
        let path = path.ok_or_else(|| Failure::argument("path is NULL"))?;
        let loaded = Box::into_raw(Box::new(Network::load(path, model, threads)?));
        // SAFETY: as above.
        unsafe { network.write(loaded) };
        Ok(())
    })
}

/// Number of classes; see `residual_classes` in `residual.h`.
///
/// # Safety
/// `network` is null or a network that was loaded and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_classes(network: *const Network) -> usize {
    // SAFETY: null or a network, as the caller promises.
    unsafe { network.as_ref() }.map_or(0, Network::classes)
}

/// Name of a class; see `residual_class_name` in `residual.h`.
///
/// # Safety
/// As for [`residual_classes`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_class_name(network: *const Network, class_index: usize) -> *const c_char {
    // SAFETY: null or a network, as the caller promises.
    let name = unsafe { network.as_ref() }.and_then(|network| network.class_name(class_index));
    name.map_or(std::ptr::null(), CStr::as_ptr)
}

/// Probabilities of an image; see `residual_predict` in `residual.h`.
///
/// # Safety
/// `network` as for [`residual_classes`]; `pixels` is null or valid for reading `height * width * channels`
/// bytes, `probabilities` is null or valid for writing `length` floats, and nothing else writes the first or
/// touches the second meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_predict(
    network: *const Network,
    pixels: *const u8,
    width: usize,
    height: usize,
    channels: usize,
    probabilities: *mut f32,
    length: usize,
) -> Status {
    report(|| {
        // SAFETY: null or a network, as the caller promises.
        let network = unsafe { network.as_ref() }.ok_or_else(|| Failure::argument("network is NULL"))?;
        if pixels.is_null() || probabilities.is_null() {
            return Err(Failure::argument("pixels or probabilities is NULL"));
        }
        if length != network.classes() {
            let classes = network.classes();
            return Err(Failure::argument(format_args!(
                "room for {length} probabilities of {classes} classes"
            )));
        }
        let bytes = height.checked_mul(width).and_then(|pixels| pixels.checked_mul(channels));
        let bytes = bytes.filter(|&bytes| bytes <= isize::MAX as usize);
        let bytes = bytes.ok_or_else(|| Failure::argument("the image is larger than any memory"))?;
        // SAFETY: not null, and as long as the caller promises; `bytes` fits the address space.
        let pixels = unsafe { std::slice::from_raw_parts(pixels, bytes) };
        let found = network.predict(pixels, [width, height, channels])?;
        // SAFETY: not null, and `length`, which is the number of classes, floats long.
        unsafe { std::ptr::copy_nonoverlapping(found.as_ptr(), probabilities, length) };
        Ok(())
    })
}

/// Frees a network; see `residual_free` in `residual.h`.
///
/// # Safety
/// `network` is null or a network that was loaded, is not freed, and is used by nobody.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_free(network: *mut Network) {
    if !network.is_null() {
        // SAFETY: the pointer came from `Box::into_raw` in `residual_load`, and is given back once.
        drop(unsafe { Box::from_raw(network) });
    }
}

/// The text at `pointer`; `None` for null.
///
/// # Safety
/// `pointer` is null or points to text that ends in a zero byte and stays as it is during `'a`.
unsafe fn text<'a>(what: &str, pointer: *const c_char) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and the text ends, as the caller promises.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Failure::argument(format_args!("{what} is not UTF-8")))
}
