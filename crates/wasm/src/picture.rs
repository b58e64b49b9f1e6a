//! Pictures on their way to JavaScript.

use residual_predict::Image;
use wasm_bindgen::prelude::wasm_bindgen;

/// Pixels as a canvas takes them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

#[wasm_bindgen]
impl Picture {
    /// Width in pixels.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Pixels, red, green, blue and opacity, row by row. They leave the picture: a second call gives none.
    pub fn pixels(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pixels)
    }
}

impl From<&Image> for Picture {
    /// An RGB image, without transparency.
    fn from(image: &Image) -> Self {
        let pixels = image.pixels().chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], u8::MAX]);
        let (width, height) = (image.width() as u32, image.height() as u32);
        Self { width, height, pixels: pixels.collect() }
    }
}

/// Image of a canvas's pixels; opacity is left out.
///
/// # Errors
/// Where there are not four bytes for each pixel.
pub(crate) fn of_canvas(rgba: &[u8], width: u32, height: u32) -> Result<Image, residual_data::Error> {
    let rgb = rgba.chunks(4).flat_map(|pixel| pixel.iter().take(3).copied());
    Image::new(width as usize, height as usize, 3, rgb.collect())
}
