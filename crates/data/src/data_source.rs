//! Origin of images, as a user writes it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Origin of images: the embedded sample, or a folder or archive on disk.
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
    /// A folder or an archive: see [`Dataset`](crate::Dataset) for what is understood.
    Path(PathBuf),
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
