//! Memory of floats as memory of bytes.

/// Floats whose memory holds `bytes` bytes.
pub fn floats_for(bytes: usize) -> usize {
    bytes.div_ceil(size_of::<f32>())
}

/// Memory of floats as bytes, four each.
pub fn bytes(floats: &[f32]) -> &[u8] {
    // SAFETY: the slice has so many initialised bytes, and a byte has no alignment.
    unsafe { std::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
}

/// Memory of floats as bytes, four each, to write.
pub fn bytes_mut(floats: &mut [f32]) -> &mut [u8] {
    // SAFETY: as for `bytes`; any four bytes are a float, and the memory is borrowed mutably with `floats`.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), size_of_val(floats)) }
}
