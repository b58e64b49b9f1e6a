//! `--explain`: where in an image its class is seen, as a PNG file.

use residual::data::Image;

use super::overlays::MARK;
use crate::cli::failure::Outcome;

/// The bytes of the PNG file of an RGB image, marked as an overlay.
pub(super) fn encoded(overlay: &Image) -> Outcome<Vec<u8>> {
    let [height, width] = [overlay.height(), overlay.width()].map(|side| side as u32);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk(MARK.0.to_owned(), MARK.1.to_owned())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(overlay.pixels())?;
    writer.finish()?;
    Ok(bytes)
}
