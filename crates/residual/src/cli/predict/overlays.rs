//! Places of overlays: a file for each image, and never one that somebody else wrote.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use residual_files::escaped;

use crate::cli::failure::{Failure, Outcome};
use crate::cli::own_png::OVERLAY;
use crate::cli::same_file::same_file;

/// The longest name of an overlay, in bytes. Most systems allow 255, and the file is written under a longer name
/// before it gets its own.
const LONGEST: usize = 200;

/// Place of overlays.
#[derive(Clone, Debug)]
pub(super) enum Overlays {
    /// The one image's.
    File(PathBuf),
    /// A file for each image, named after it.
    Folder(PathBuf),
}

impl Overlays {
    /// The file or folder `path` for the overlays of `images`, which are `several` or one.
    ///
    /// # Errors
    /// Where `path` cannot be a PNG file or a folder of them, where it is one of the images, or a file that is no
    /// overlay.
    pub(super) fn new(path: &Path, images: &[PathBuf], several: bool) -> Outcome<Self> {
        let name = escaped(path);
        if images.iter().any(|image| image.is_file() && same_file(image, path)) {
            return Err(Failure::new(format_args!(
                "{name}: is an image to look at, and would be lost; help: give --explain another name"
            )));
        }
        let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        if path.is_dir() || (several && !is_png) {
            return Ok(Self::Folder(path.to_owned()));
        }
        if several {
            return Err(Failure::new(format_args!(
                "{name}: one PNG file for several images; help: give --explain a folder"
            )));
        }
        OVERLAY.check_name(path)?;
        OVERLAY.check_free(path)?;
        Ok(Self::File(path.to_owned()))
    }

    /// Makes the folder.
    ///
    /// # Errors
    /// Where it cannot be one.
    pub(super) fn prepare(&self) -> Outcome {
        let Self::Folder(path) = self else { return Ok(()) };
        std::fs::create_dir_all(path).map_err(|error| {
            Failure::from(error)
                .within(format_args!("{}: cannot be the folder for several images", escaped(path)))
        })
    }

    /// True for an overlay of an earlier call in the same folder: no image that anybody asks about.
    pub(super) fn holds(&self, file: &Path) -> bool {
        let Self::Folder(folder) = self else { return false };
        let resolved = |path: &Path| path.canonicalize().ok();
        let inside =
            resolved(file).zip(resolved(folder)).is_some_and(|(file, folder)| file.starts_with(folder));
        inside && OVERLAY.is_one(file)
    }

    /// Writes the overlay of `image`, the bytes of a PNG file, and says where it lies.
    ///
    /// # Errors
    /// Where there is a file that is no overlay, or the system refuses.
    pub(super) fn write(&self, image: &Path, png: &[u8]) -> Outcome<PathBuf> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Folder(folder) => folder.join(place(image)?),
        };
        OVERLAY.check_free(&path)?;
        if let (Self::Folder(_), Some(folder)) = (self, path.parent()) {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::from(error).within(format_args!("{}: cannot make the folder", escaped(folder)))
            })?;
        }
        OVERLAY.write(&path, png)?;
        Ok(path)
    }
}

/// The overlay of an image, below the folder of all of them: that of `data/test/cat.jpg` is
/// `data/test/cat.jpg.png`. No two images have the same: outside the current folder, where `../data` and `/data`
/// would both be `data`, a hash of the whole path follows the name.
fn place(image: &Path) -> Outcome<PathBuf> {
    let absolute = std::path::absolute(image)?;
    // Behind a symbolic link `..` is another folder than it seems.
    let has_parents = absolute.components().any(|component| component == Component::ParentDir);
    let resolved = if has_parents { image.canonicalize().ok() } else { None };
    let whole = resolved.unwrap_or_else(|| lexical(&absolute));
    let here = std::env::current_dir().map(|here| lexical(&here)).unwrap_or_default();
    let inside = whole.strip_prefix(&here).ok().filter(|_| !here.as_os_str().is_empty());
    let hash = format!("-{:016x}", hash(whole.as_os_str().as_encoded_bytes()));
    let mut place = PathBuf::new();
    for component in inside.unwrap_or(&whole).components() {
        if let Component::Normal(name) = component {
            place.push(name);
        }
    }
    let name = place.file_name().unwrap_or_default().to_owned();
    place.set_file_name(file_name(&name, &hash, inside.is_some()));
    Ok(place)
}

/// `NAME.png`, with the hash where the place alone does not tell images apart, or where the name is cut.
fn file_name(name: &OsStr, hash: &str, unique: bool) -> OsString {
    let mut name = name.to_owned();
    let fits = name.len() + hash.len() + ".png".len() <= LONGEST;
    if !fits {
        // Cut between characters; bytes that are none become `_`.
        let text = name.to_string_lossy().replace(char::REPLACEMENT_CHARACTER, "_");
        let end = text.floor_char_boundary(LONGEST - hash.len() - ".png".len());
        name = OsString::from(&text[..end]);
    }
    if !(fits && unique) {
        name.push(hash);
    }
    name.push(".png");
    name
}

/// An absolute path without `.` and `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// FNV-1a, which gives the same names in every release.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(image: &str) -> String {
        place(Path::new(image)).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn places_keep_their_folders() {
        assert_eq!(placed("data/test/cat.jpg"), "data/test/cat.jpg.png");
        assert_eq!(placed("./data/../cat.png"), "cat.png.png");
        let here = std::env::current_dir().unwrap().join("a/b.png");
        assert_eq!(placed(here.to_str().unwrap()), "a/b.png.png");
    }

    #[test]
    fn no_two_images_share_a_place() {
        let images =
            ["a/b.png", "a_b.png", "/a/b.png", "../a/b.png", "../../a/b.png", "b.png", "a/b.jpg", "a/B.png"];
        let mut places: Vec<String> = images.iter().map(|image| placed(image)).collect();
        assert!(places[2].starts_with("a/b.png-") && places[2].ends_with(".png"), "{places:?}");
        let long = |last: char| placed(&("é".repeat(120) + &last.to_string()));
        places.extend([long('a'), long('b'), "x".repeat(251) + ".png"]);
        assert!(places[8].starts_with("ééé") && places[8].len() <= LONGEST, "{places:?}");
        places.sort();
        let count = places.len();
        places.dedup();
        assert_eq!(places.len(), count, "{places:?}");
    }
}
