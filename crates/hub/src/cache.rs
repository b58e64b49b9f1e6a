//! The folder that downloads are kept in.

use std::env;
use std::path::PathBuf;

use crate::Error;

/// Variable of the environment that names another cache folder.
pub(crate) const VARIABLE: &str = "RESIDUAL_CACHE";

/// The cache folder: `$RESIDUAL_CACHE`, or the platform's with `residual` in it: `$XDG_CACHE_HOME` or `~/.cache`;
/// `~/Library/Caches` on macOS; `%LOCALAPPDATA%` on Windows. It need not be there yet.
///
/// # Errors
/// [`Error::NoCache`] where the environment names none of them.
pub fn cache_folder() -> Result<PathBuf, Error> {
    folder_of(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn folder_of(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Error> {
    if let Some(own) = variable(VARIABLE) {
        return Ok(own);
    }
    // A relative path in XDG_CACHE_HOME is to be ignored (XDG Base Directory Specification).
    let platform = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        let cache = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        cache.or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    platform.map(|folder| folder.join("residual")).ok_or(Error::NoCache)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_environment_names_the_folder() {
        let folder = |set: &[(&str, &str)]| {
            folder_of(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let path = |text: &str| PathBuf::from(text);
        assert_eq!(folder(&[("HOME", "/h")]).unwrap(), path("/h/.cache/residual"));
        assert_eq!(folder(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).unwrap(), path("/x/residual"));
        assert_eq!(folder(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]).unwrap(), path("/h/.cache/residual"));
        assert_eq!(folder(&[("HOME", "/h"), (VARIABLE, "mine")]).unwrap(), path("mine"));
        assert!(matches!(folder(&[]), Err(Error::NoCache)));
    }
}
