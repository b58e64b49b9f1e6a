//! PNG files that a command writes and knows again, so that it replaces nothing else.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use residual::weights::write_atomically;
use residual_files::escaped;

use super::failure::{Failure, Outcome};

/// Kind of PNG files: a chunk of text at their beginning says which command wrote them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnPng {
    /// Text of the chunk, under the keyword `Software`.
    software: &'static str,
    /// What such a picture is called, and the flag that names the file.
    name: &'static str,
    flag: &'static str,
}

/// Overlays of `residual predict`.
pub(crate) const OVERLAY: OwnPng =
    OwnPng { software: "residual predict --explain", name: "overlay", flag: "--explain" };

/// Contact sheets of `residual data`.
#[cfg(feature = "train")]
pub(crate) const CONTACT_SHEET: OwnPng =
    OwnPng { software: "residual data --show", name: "contact sheet", flag: "--show" };

/// Sheets of `residual search`.
pub(crate) const SEARCH_SHEET: OwnPng =
    OwnPng { software: "residual search --show", name: "sheet", flag: "--show" };

const KEYWORD: &str = "Software";

/// Bytes at a file's beginning among which the mark is: the signature, the header, the marked chunk.
const MARKED: u64 = 128;

impl OwnPng {
    /// The bytes of the PNG file of `[height, width]` RGB pixels, marked.
    pub(crate) fn encoded(self, [height, width]: [usize; 2], pixels: &[u8]) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.add_text_chunk(KEYWORD.to_owned(), self.software.to_owned())?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// True for a file that was written as one of this kind.
    pub(crate) fn is_one(self, path: &Path) -> bool {
        let beginning = |file: File| {
            let mut bytes = Vec::new();
            file.take(MARKED).read_to_end(&mut bytes).map(|_| bytes)
        };
        let Some(bytes) = residual_files::open(path).ok().and_then(|file| beginning(file).ok()) else {
            return false;
        };
        let mark = [&b"tEXt"[..], KEYWORD.as_bytes(), &[0], self.software.as_bytes()].concat();
        bytes.windows(mark.len()).any(|found| found == mark)
    }

    /// Checks that nothing else would be lost at `path`.
    ///
    /// # Errors
    /// Where there is a file that is not of this kind.
    pub(crate) fn check_free(self, path: &Path) -> Outcome {
        match path.exists() && !self.is_one(path) {
            true => Err(Failure::new(format_args!(
                "{}: exists, and is no {} of an earlier call; help: remove it, or give {} another name",
                escaped(path),
                self.name,
                self.flag
            ))),
            false => Ok(()),
        }
    }

    /// Checks that `path` has the name of a PNG file.
    ///
    /// # Errors
    /// For another ending.
    pub(crate) fn check_name(self, path: &Path) -> Outcome {
        match path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            true => Ok(()),
            false => Err(Failure::new(format_args!(
                "{}: the {} is a PNG image; help: give it a name that ends in .png",
                escaped(path),
                self.name
            ))),
        }
    }

    /// Writes the bytes of a PNG file, which replace one of this kind only.
    ///
    /// # Errors
    /// Those of [`check_free`](Self::check_free), and where the system refuses.
    pub(crate) fn write(self, path: &Path, png: &[u8]) -> Outcome {
        self.check_free(path)?;
        Ok(write_atomically(path, |file| file.write_all(png))?)
    }
}
