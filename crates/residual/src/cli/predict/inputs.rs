//! Which files are meant: images, folders of them, lists of either.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use residual::data::{is_hidden_name, is_image_name};
use residual_files::{escaped, special_kind};

use super::list;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::progress::note;

/// Stands for a list on standard input.
const LIST: &str = "-";

/// The files of `arguments`, in order; folders and standard input are read when it is their turn.
pub(in crate::cli) fn files(arguments: Vec<PathBuf>) -> impl Iterator<Item = Outcome<PathBuf>> + Send {
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

/// True where there may be more than one image.
pub(in crate::cli) fn several(arguments: &[PathBuf]) -> bool {
    !matches!(arguments, [path] if path.as_os_str() != LIST && !path.is_dir())
}

/// The file itself, or the images in a folder and the folders below it, sorted by path. What cannot be read there
/// does not keep the others from their turn.
fn expanded(path: &Path) -> Vec<Outcome<PathBuf>> {
    if !path.is_dir() {
        return vec![file(path.to_owned())];
    }
    let (mut found, mut others) = (Vec::new(), BTreeMap::new());
    collect(path, &mut found, &mut others);
    if !others.is_empty() {
        let kind = |(kind, count): (&String, &usize)| format!("{count} {kind}");
        let kinds = others.iter().map(kind).collect::<Vec<_>>().join(", ");
        note(&format!("{}: left out files not named as images: {kinds}", escaped(path)));
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    match found.is_empty() {
        true => vec![Err(Failure::new(format_args!("{}: no images there", escaped(path))))],
        false => found.into_iter().map(|(_, found)| found).collect(),
    }
}

/// Refuses what is no file of its own: reading a FIFO or a device may never end.
fn file(path: PathBuf) -> Outcome<PathBuf> {
    match fs::metadata(&path).map(|metadata| metadata.file_type()) {
        // Where there is nothing, reading says so.
        Err(_) => Ok(path),
        Ok(kind) if kind.is_file() => Ok(path),
        Ok(kind) => {
            Err(Failure::new(format_args!("{}: {}, not a regular file", escaped(&path), special_kind(kind))))
        }
    }
}

/// Images and failures, each with the path by which it is sorted.
type Found = Vec<(PathBuf, Outcome<PathBuf>)>;

/// Number of files of each ending that is not an image's.
type Others = BTreeMap<String, usize>;

fn collect(folder: &Path, found: &mut Found, others: &mut Others) {
    let failed =
        |error: io::Error| Err(Failure::from(error).within(format_args!("{}: cannot read", escaped(folder))));
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Ok(entry) => add(&entry, found, others),
                    Err(error) => found.push((folder.to_owned(), failed(error))),
                }
            }
        }
        Err(error) => found.push((folder.to_owned(), failed(error))),
    }
}

fn add(entry: &DirEntry, found: &mut Found, others: &mut Others) {
    let (name, path) = (entry.file_name(), entry.path());
    if is_hidden_name(&name) {
        return;
    }
    // A link to a folder is not followed: it may lead around in a circle.
    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
        collect(&path, found, others);
    } else if is_image_name(&name) {
        found.push((path.clone(), file(path)));
    } else {
        let kind = path.extension().map(|kind| format!(".{}", escaped(&kind.to_ascii_lowercase())));
        *others.entry(kind.unwrap_or_else(|| "without an ending".to_owned())).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |found: Outcome<PathBuf>| match found {
            Ok(path) => path.strip_prefix(folder).unwrap().display().to_string(),
            Err(failure) => failure.report(false).unwrap(),
        };
        expanded(folder).into_iter().map(name).collect()
    }

    #[test]
    fn a_folder_gives_what_training_would_take() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "b/2.jfif",
            "b/1.JPE",
            "a.png",
            "c.txt",
            ".d.png",
            "__pycache__/x.png",
            "b/z/3.jpeg",
            "e.heic",
            "f.webp",
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        assert_eq!(names(folder.path()), ["a.png", "b/1.JPE", "b/2.jfif", "b/z/3.jpeg", "f.webp"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_special_file_is_a_failure_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("b.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("c.png")).unwrap();
        fs::write(folder.path().join("a.jpg"), b"x").unwrap();
        fs::write(folder.path().join("d.jpg"), b"x").unwrap();
        let found = names(folder.path());
        assert_eq!([&found[0], &found[3]], ["a.jpg", "d.jpg"]);
        assert!(found[1].ends_with("b.jpg: a FIFO, not a regular file\n"), "{found:?}");
        assert!(found[2].ends_with("c.png: a device, not a regular file\n"), "{found:?}");
        assert!(expanded(&fifo)[0].is_err());
    }
}
