//! Pictures of answers as PNG files.

use residual_data::Image;

/// Bytes of the PNG file of an RGB image.
pub(super) fn encoded(image: &Image) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    // An image that is answered about is no larger than the network's input, some times enlarged.
    let mut encoder = png::Encoder::new(&mut bytes, image.width() as u32, image.height() as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image.pixels())?;
    writer.finish()?;
    Ok(bytes)
}
