//! Prediction from C: the functions of `include/residual.h`, which documents them.
//!
//! Every function checks its pointers for null, catches panics, and reports a failure by a code and a message. What
//! they do is done by a [`residual_predict::Classifier`].

mod error;
mod image;
mod maps;
mod network;
mod pointers;

use std::ffi::{CStr, c_char};

use error::{Failure, report};
pub use error::{Status, residual_message};
pub use image::Image;
pub use maps::{Maps, residual_free_maps};
pub use network::Network;
use pointers::{one, slice, text, write};

/// Loads a network from a file; see `residual_load` in `residual.h`.
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
        // SAFETY: as the caller promises.
        unsafe {
            write("network", network, std::ptr::null_mut())?;
            let (path, model) = (text("path", path)?, text("model", model)?);
            let path = path.ok_or_else(|| Failure::argument("path is NULL"))?;
            write("network", network, Box::into_raw(Box::new(Network::open(path, model, threads)?)))
        }
    })
}

/// Loads a network from the bytes of a file; see `residual_load_bytes` in `residual.h`.
///
/// # Safety
/// `bytes` is null or valid for reading `length` bytes; `model` and `network` as for [`residual_load`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_load_bytes(
    bytes: *const u8,
    length: usize,
    model: *const c_char,
    threads: usize,
    network: *mut *mut Network,
) -> Status {
    report(|| {
        // SAFETY: as the caller promises.
        unsafe {
            write("network", network, std::ptr::null_mut())?;
            let (bytes, model) = (slice("bytes", bytes, length)?, text("model", model)?);
            write("network", network, Box::into_raw(Box::new(Network::from_bytes(bytes, model, threads)?)))
        }
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

/// Length of an embedding; see `residual_embedding_length` in `residual.h`.
///
/// # Safety
/// As for [`residual_classes`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_embedding_length(network: *const Network) -> usize {
    // SAFETY: null or a network, as the caller promises.
    unsafe { network.as_ref() }.map_or(0, Network::embedding_length)
}

/// Task of a network; see `residual_task` in `residual.h`.
///
/// # Safety
/// As for [`residual_classes`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_task(network: *const Network) -> *const c_char {
    // SAFETY: null or a network, as the caller promises.
    unsafe { network.as_ref() }.map_or(std::ptr::null(), |network| network.task().as_ptr())
}

/// Threshold of a multi-label task; see `residual_threshold` in `residual.h`.
///
/// # Safety
/// As for [`residual_classes`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_threshold(network: *const Network) -> f32 {
    // SAFETY: null or a network, as the caller promises.
    let threshold = unsafe { network.as_ref() }.and_then(Network::threshold);
    threshold.map_or(f32::NAN, |threshold| threshold as f32)
}

/// Probabilities of images; see `residual_predict` in `residual.h`.
///
/// # Safety
/// `network` as for [`residual_classes`]; `images` is null or valid for reading `count` images, of which each has data
/// that are null or valid for reading its `length`; `probabilities` is null or valid for writing `length` floats, and
/// nothing else touches it meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_predict(
    network: *const Network,
    images: *const Image,
    count: usize,
    probabilities: *mut f32,
    length: usize,
) -> Status {
    report(|| {
        // SAFETY: as the caller promises.
        unsafe {
            let (network, images) = (one("network", network)?, slice("images", images, count)?);
            let each = network.classes();
            let rows = pointers::rows("probabilities", (probabilities, length), (count, each))?;
            network.predict(images, rows)
        }
    })
}

/// Embeddings of images; see `residual_embed` in `residual.h`.
///
/// # Safety
/// As for [`residual_predict()`], with `embeddings` for `probabilities`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_embed(
    network: *const Network,
    images: *const Image,
    count: usize,
    embeddings: *mut f32,
    length: usize,
) -> Status {
    report(|| {
        // SAFETY: as the caller promises.
        unsafe {
            let (network, images) = (one("network", network)?, slice("images", images, count)?);
            let each = network.embedding_length();
            let rows = pointers::rows("embeddings", (embeddings, length), (count, each))?;
            network.embed(images, rows)
        }
    })
}

/// Feature maps of an image; see `residual_features` in `residual.h`.
///
/// # Safety
/// `network` and `image` as for [`residual_predict()`], of one image; `layer` is null or points to text that ends in a
/// zero byte; `maps` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_features(
    network: *const Network,
    image: *const Image,
    layer: *const c_char,
    maps: *mut Maps,
) -> Status {
    report(|| {
        // SAFETY: as the caller promises.
        unsafe {
            write("maps", maps, Maps::none())?;
            let (network, image) = (one("network", network)?, one("image", image)?);
            let layer = text("layer", layer)?.ok_or_else(|| Failure::argument("layer is NULL"))?;
            write("maps", maps, network.features(image, layer)?)
        }
    })
}

/// Heat map of a class in an image; see `residual_heat_map` in `residual.h`.
///
/// # Safety
/// As for [`residual_features`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_heat_map(
    network: *const Network,
    image: *const Image,
    class_index: usize,
    map: *mut Maps,
) -> Status {
    report(|| {
        // SAFETY: as the caller promises.
        unsafe {
            write("map", map, Maps::none())?;
            let (network, image) = (one("network", network)?, one("image", image)?);
            write("map", map, network.heat_map(image, class_index)?)
        }
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
