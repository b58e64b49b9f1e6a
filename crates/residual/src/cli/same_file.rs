//! Two paths that are one file.

use std::path::Path;

/// True where both paths lead to one existing file: by another spelling, a symbolic or a hard link.
pub(crate) fn same_file(one: &Path, other: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().ok();
    match (resolved(one), resolved(other)) {
        (Some(one), Some(other)) => one == other || linked(&one, &other),
        _ => false,
    }
}

#[cfg(unix)]
fn linked(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    inode(one).is_some_and(|found| inode(other) == Some(found))
}

#[cfg(not(unix))]
fn linked(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_spellings_are_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "1").unwrap();
        std::fs::write(path("b"), "1").unwrap();
        std::fs::create_dir(path("d")).unwrap();
        assert!(same_file(&path("a"), &path("d/../a")));
        assert!(!same_file(&path("a"), &path("b")) && !same_file(&path("none"), &path("none")));
        std::fs::hard_link(path("a"), path("hard")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a", path("soft")).unwrap();
            assert!(same_file(&path("a"), &path("hard")) && same_file(&path("soft"), &path("hard")));
        }
    }
}
