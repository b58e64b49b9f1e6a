//! Replacing a file as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// Writes a file so that a reader, or a machine that loses power, finds either the earlier content or the
/// new one, never a part.
///
/// `write` fills a temporary file in the same folder, `.NAME.PROCESS-COUNT.tmp`; it is flushed, synchronised
/// with the disk and renamed to `path`. Where any of this fails the earlier file is untouched and the
/// temporary removed. A process that is killed meanwhile leaves the temporary behind, which nothing reads, and
/// [`remove_temporaries`] removes.
/// A symbolic link is followed: the file that it points at is replaced.
///
/// ```
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// residual_weights::write_atomically(&path, |file| file.write_all(b"kept"))?;
/// let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
/// assert!(residual_weights::write_atomically(&path, |_| Err(full())).is_err());
/// assert_eq!(std::fs::read(&path)?, b"kept");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Io`] where the system or `write` fails, [`Error::NotAFile`] where `path` is a folder or a device;
/// both name the file.
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    let path = path.as_ref();
    replace(path, write).map_err(|error| error.in_file(path))
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // A rename would turn /dev/null into a regular file.
    if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
        return Err(Error::NotAFile);
    }
    let (temporary, file) = Temporary::beside(&target)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    write(&mut writer).map_err(Error::io("write"))?;
    let file = writer.into_inner().map_err(|e| Error::io("write")(e.into_error()))?;
    file.sync_all().map_err(Error::io("write"))?;
    drop(file);
    temporary.rename_to(&target).map_err(Error::io("write"))?;
    sync_folder(&target);
    Ok(())
}

/// Removes from a folder what killed processes were writing: the temporaries of [`write_atomically`] for those files
/// that `is_ours` names. The caller knows that no process is writing there now. What cannot be removed stays.
pub fn remove_temporaries(folder: impl AsRef<Path>, is_ours: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && name.to_str().and_then(target).is_some_and(&is_ours) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The name of the file that a temporary of this name was to become.
fn target(temporary: &str) -> Option<&str> {
    let (target, number) = temporary.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (process, count) = number.split_once('-')?;
    (process.parse::<u32>().is_ok() && count.parse::<u64>().is_ok()).then_some(target)
}

/// A file that is removed when dropped, unless it was renamed.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn beside(target: &Path) -> Result<(Self, File), Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().ok_or(Error::NotAFile)?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = target.with_file_name(temporary);
        // Truncated, not created anew: a killed process of the same number may have left one.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(Error::io("create a file beside it"))?;
        Ok((Self { path, renamed: false }, file))
    }

    fn rename_to(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes the rename itself durable. Not every file system can; the content is safe either way.
fn sync_folder(target: &Path) {
    let folder = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporaries_are_told_by_their_names() {
        assert_eq!(target(".a.b.12-3.tmp"), Some("a.b"));
        for other in ["a.12-3.tmp", ".a.12-3", ".a.tmp", ".a.12.tmp", ".a.x-3.tmp", ".a.12-.tmp", ".12-3.tmp"]
        {
            assert_eq!(target(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_killed_process_was_writing_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = [".ours.5-0.tmp", ".theirs.5-0.tmp", ".ours.tmp", "ours"];
        names.iter().for_each(|name| fs::write(path(name), "x").unwrap());
        fs::create_dir(path(".ours.6-0.tmp")).unwrap();
        remove_temporaries(folder.path(), |name| name == "ours");
        let left = names.map(|name| path(name).exists());
        assert_eq!(left, [false, true, true, true]);
        assert!(path(".ours.6-0.tmp").is_dir());
        remove_temporaries(path("nowhere"), |_| true);
    }
}
