//! Origin of images, as a user writes it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::shards::expand;

/// Origin of images: the embedded sample, or data on disk.
///
/// ```
/// use residual_data::DataSource;
/// assert_eq!(DataSource::from("sample"), DataSource::Sample);
/// // A folder of that name is still within reach.
/// assert_eq!(DataSource::from("./sample"), DataSource::Path("./sample".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DataSource {
    /// Ten classes of CIFAR-10, 500 training and 100 test images each, compiled in. Written `sample`.
    Sample,
    /// A folder, an archive, a list, a table, or a name with braces that stands for shards: see
    /// [`Dataset`](crate::Dataset) for what is understood.
    Path(PathBuf),
}

impl DataSource {
    /// True where there is something: a file or folder, or the first file that a name with braces
    /// (`train-{000..010}.tar`) stands for.
    pub fn is_there(&self) -> bool {
        match self {
            Self::Sample => true,
            Self::Path(path) if path.exists() => true,
            Self::Path(path) => {
                let files = expand(path).ok().flatten();
                files.and_then(|files| files.into_iter().next()).is_some_and(|first| first.exists())
            }
        }
    }
}

impl From<&str> for DataSource {
    fn from(text: &str) -> Self {
        match text {
            "sample" => Self::Sample,
            path => Self::Path(path.into()),
        }
    }
}

impl From<String> for DataSource {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<PathBuf> for DataSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<DataSource> for String {
    fn from(source: DataSource) -> Self {
        source.to_string()
    }
}

impl FromStr for DataSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample => f.write_str("sample"),
            // As it has to be written to be read as a path again.
            Self::Path(path) if path.as_os_str() == "sample" => f.write_str("./sample"),
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_braces_are_there_with_their_first_file() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a-3.tar"), b"").unwrap();
        let is_there = |name: &str| DataSource::Path(place.path().join(name)).is_there();
        assert!(
            is_there("") && is_there("a-3.tar") && is_there("a-{3..4}.tar") && DataSource::Sample.is_there()
        );
        assert!(!is_there("a-{4..5}.tar") && !is_there("b"));
    }
}
