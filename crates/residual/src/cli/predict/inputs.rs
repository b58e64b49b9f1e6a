//! Which files are meant: images, folders of them, lists of either.

use std::ffi::OsStr;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::list;
use crate::cli::failure::{Failure, Outcome};

/// Stands for a list on standard input.
const LIST: &str = "-";

/// The files of `arguments`, in order; folders and standard input are read when it is their turn.
pub(super) fn files(arguments: Vec<PathBuf>) -> impl Iterator<Item = Outcome<PathBuf>> + Send {
    arguments.into_iter().flat_map(|path| -> Box<dyn Iterator<Item = Outcome<PathBuf>> + Send> {
        if path.as_os_str() == LIST {
            let paths = list::paths(BufReader::new(std::io::stdin()));
            Box::new(paths.flat_map(|path| match path {
                Ok(path) => expanded(&path),
                Err(failure) => vec![Err(failure)],
            }))
        } else {
            Box::new(expanded(&path).into_iter())
        }
    })
}

/// Whether there may be more than one image.
pub(super) fn several(arguments: &[PathBuf]) -> bool {
    !matches!(arguments, [path] if path.as_os_str() != LIST && !path.is_dir())
}

/// The file itself, or the images in a folder and the folders below it, sorted by path.
fn expanded(path: &Path) -> Vec<Outcome<PathBuf>> {
    match found(path) {
        Ok(files) => files.into_iter().map(Ok).collect(),
        Err(failure) => vec![Err(failure)],
    }
}

fn found(path: &Path) -> Outcome<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    collect(path, &mut found)
        .map_err(|error| Failure::from(error).within(format_args!("{}: cannot read", path.display())))?;
    found.sort();
    match found.is_empty() {
        true => Err(Failure::new(format_args!("{}: no JPEG or PNG images there", path.display()))),
        false => Ok(found),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link to a folder is not followed: it may lead around in a circle.
        if entry.file_type()?.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(is_image) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_image(extension: &OsStr) -> bool {
    ["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
