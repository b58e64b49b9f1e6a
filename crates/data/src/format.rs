//! Formats of image files.

use std::fmt;

use serde::Serialize;

/// Format of an image file, told by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG, and APNG.
    Png,
    /// WebP, lossy or lossless.
    #[serde(rename = "webp")]
    WebP,
    /// BMP of Windows.
    Bmp,
    /// GIF.
    Gif,
    /// TIFF, and BigTIFF.
    Tiff,
    /// An array of NumPy (`.npy`).
    Npy,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Npy => "NPY",
        })
    }
}
