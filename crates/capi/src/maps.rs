//! Maps that are handed to C.

/// Feature maps or a heat map: `residual_maps` of `residual.h`.
#[derive(Debug)]
#[repr(C)]
pub struct Maps {
    /// Maps.
    pub channels: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
    /// `channels * height * width` values, row by row, map by map; null where there are none.
    pub values: *mut f32,
}

impl Maps {
    pub(crate) fn none() -> Self {
        Self { channels: 0, height: 0, width: 0, values: std::ptr::null_mut() }
    }

    /// Hands the values of maps of `[channels, height, width]` over.
    pub(crate) fn new([channels, height, width]: [usize; 3], values: Vec<f32>) -> Self {
        if values.is_empty() {
            return Self::none();
        }
        let values = Box::into_raw(values.into_boxed_slice()).cast();
        Self { channels, height, width, values }
    }
}

/// Frees the values of maps; see `residual_free_maps` in `residual.h`.
///
/// # Safety
/// `maps` is null, or maps that this library filled, whose sizes and pointer are as it left them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn residual_free_maps(maps: *mut Maps) {
    // SAFETY: null or valid, as the caller promises.
    let Some(maps) = (unsafe { maps.as_mut() }) else { return };
    let Maps { channels, height, width, values } = std::mem::replace(maps, Maps::none());
    if !values.is_null() {
        let values = std::ptr::slice_from_raw_parts_mut(values, channels * height * width);
        // SAFETY: the pointer came from `Box::into_raw` in `Maps::new`, with this length, and is forgotten here.
        drop(unsafe { Box::from_raw(values) });
    }
}
