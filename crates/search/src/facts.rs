//! What an index says about its vectors.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use residual_arch::Preprocess;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Key of the facts in the metadata of the table.
pub(crate) const KEY: &str = "residual.index";

/// Version of the facts that this crate writes.
const VERSION: u32 = 1;

/// The longest vector of an index: more than any network has channels.
pub(crate) const MOST_LENGTH: usize = 1 << 16;

/// File of weights, known again by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WeightsFile {
    /// Path, absolute.
    pub file: PathBuf,
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub sha256: String,
    /// Network that the weights were opened as, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Set of weights in the file, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl WeightsFile {
    /// File of weights with its hash: the whole file is read.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Table`] for what is no regular file.
    pub fn of(path: &Path, model: Option<&str>, key: Option<&str>) -> Result<Self, Error> {
        let io = |reason| Error::Io { file: residual_files::escaped(path).to_string(), reason };
        let mut file: File =
            residual_files::open(path).map_err(|error| io(std::io::Error::other(error.to_string())))?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        let file = std::path::absolute(path).map_err(io)?;
        let [model, key] = [model, key].map(|name| name.map(str::to_owned));
        Ok(Self { file, sha256: hexadecimal(hash), model, key })
    }
}

/// Facts of an index: what its vectors are, and of which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// Version of these facts.
    pub version: u32,
    /// Weights that gave the vectors.
    pub weights: WeightsFile,
    /// Name of the network.
    pub network: String,
    /// Layer whose output the vectors are, by its path.
    pub layer: String,
    /// Length of a vector.
    pub length: usize,
    /// True where the vectors were divided by their Euclidean norm when they were written.
    pub normalised: bool,
    /// Preprocessing of the images.
    pub preprocess: Preprocess,
    /// The images, as they were named when the index was made.
    pub data: PathBuf,
    /// SHA-256 of paths and vectors, row by row: two indices with the same are the same.
    #[serde(default)]
    pub digest: String,
}

impl Facts {
    /// Facts of embeddings, the vectors behind the global pooling.
    pub fn new(
        weights: WeightsFile,
        network: impl Into<String>,
        preprocess: Preprocess,
        length: usize,
    ) -> Self {
        Self {
            version: VERSION,
            weights,
            network: network.into(),
            layer: "head.pool".to_owned(),
            length,
            normalised: false,
            preprocess,
            data: PathBuf::new(),
            digest: String::new(),
        }
    }

    /// Changes fields.
    #[must_use]
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Reads facts off the metadata of `file`.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, Error> {
        let bad = |reason: String| Error::BadFacts { file: file.to_owned(), reason };
        // Of a later version, the number alone is sure to be understood.
        let Version { version } = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if version != VERSION {
            return Err(bad(format!(
                "version {version}, and this build reads {VERSION}; help: a newer build"
            )));
        }
        let facts: Self = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        match facts.length {
            1..=MOST_LENGTH => Ok(facts),
            length => Err(bad(format!("vectors of {length} numbers, where 1 to {MOST_LENGTH} are possible"))),
        }
    }

    /// Checks that the vectors were made with these weights.
    ///
    /// # Errors
    /// [`Error::OtherWeights`], which names both.
    pub fn check_weights(&self, file: &str, weights: &WeightsFile) -> Result<(), Error> {
        match weights.sha256 == self.weights.sha256 && weights.key == self.weights.key {
            true => Ok(()),
            false => Err(Error::OtherWeights {
                file: file.to_owned(),
                expected: format!(
                    "{} ({})",
                    self.weights.sha256,
                    residual_files::escaped(&self.weights.file)
                ),
                weights: weights.file.clone(),
                found: weights.sha256.clone(),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// Hash in hexadecimal digits.
pub(crate) fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
