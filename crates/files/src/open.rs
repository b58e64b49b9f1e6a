//! Opening and reading regular files.

use std::fs::{File, FileType, OpenOptions};
use std::io::Read;
use std::path::Path;

use crate::Error;

/// The most bytes of a text that people write, such as a specification or a recipe: 4 MiB. Readers of TOML take up
/// to thirty times the text's size; the longest specification of a known network has 4 KB.
pub const MAX_TEXT: u64 = 4 << 20;

/// Opens a regular file, or a link to one, for reading. Never waits: a FIFO without a writer is refused at once.
///
/// # Errors
/// [`Error::NotRegular`] for a folder, FIFO, socket or device; [`Error::Io`].
pub fn open(path: impl AsRef<Path>) -> Result<File, Error> {
    let path = path.as_ref();
    // A device may do something when it is opened, so it is looked at before; and again after, since another file
    // may have taken its name.
    check_regular(std::fs::metadata(path)?.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    check_regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`]; [`Error::TooLarge`].
pub fn read(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, Error> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Err(Error::TooLarge { size, limit });
    }
    // The size is a hint: files of /proc have none, and others grow.
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        size if size > limit => Err(Error::TooLarge { size, limit }),
        _ => Ok(bytes),
    }
}

/// Reads a regular file of UTF-8 text, of at most `limit` bytes. A byte-order mark at its start is left out.
///
/// # Errors
/// Those of [`read`]; [`Error::NotText`].
pub fn read_text(path: impl AsRef<Path>, limit: u64) -> Result<String, Error> {
    let mut text = String::from_utf8(read(path, limit)?)
        .map_err(|error| Error::NotText { at: error.utf8_error().valid_up_to() })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

fn check_regular(kind: FileType) -> Result<(), Error> {
    if kind.is_file() {
        return Ok(());
    }
    Err(Error::NotRegular { kind: special_kind(kind) })
}

/// Kind of a file that is not a regular one, such as `a FIFO`.
#[cfg(unix)]
pub fn special_kind(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Kind of a file that is not a regular one.
#[cfg(not(unix))]
pub fn special_kind(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "a special file" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert!(matches!(read(&path, 4), Err(Error::TooLarge { size: 5, limit: 4 })));
        assert!(matches!(read(folder.path(), 4), Err(Error::NotRegular { kind: "a folder" })));
        assert!(matches!(read(folder.path().join("b"), 4), Err(Error::Io(_))));
    }

    #[cfg(unix)]
    #[test]
    fn special_files_are_refused_at_once_also_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (target, wanted) in
            [(fifo.as_path(), "a FIFO"), (Path::new("/dev/zero"), "a device"), (socket.as_path(), "a socket")]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(target, &link).unwrap();
            for path in [target, &link] {
                let error = read(path, 10).unwrap_err();
                assert!(matches!(error, Error::NotRegular { kind } if kind == wanted), "{error}");
            }
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn text_is_utf8_without_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "\u{feff}é").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "é");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(matches!(read_text(&path, 10), Err(Error::NotText { at: 2 })));
    }
}
