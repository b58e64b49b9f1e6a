//! Files that others publish.

use residual_arch::published::Published;

use crate::{Digest, Error};

/// A file that somebody publishes: where it lies, what it is called here, and how it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remote {
    /// Name by which it is asked for, for messages.
    pub name: String,
    /// Address, `https://` or `http://`.
    pub url: String,
    /// Path in the cache folder, with `/`: `weights/resnet50.a1_in1k-14fe96d1.pth`.
    pub path: String,
    /// Published hash; `None` where there is none, and the file is taken as it comes.
    pub digest: Option<Digest>,
    /// The most bytes that it may have.
    pub limit: u64,
}

/// The most bytes of a file of weights: the largest network of the tables has 937 million parameters, of four bytes.
const MAX_WEIGHTS: u64 = 8 << 30;

impl Remote {
    /// File of this name and address, to be put at `path` in the cache folder; without a hash, of at most 8 GiB.
    pub fn new(name: impl Into<String>, url: impl Into<String>, path: impl Into<String>) -> Self {
        let (name, url, path) = (name.into(), url.into(), path.into());
        Self { name, url, path, digest: None, limit: MAX_WEIGHTS }
    }

    /// Changes fields.
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// File of a published checkpoint.
    ///
    /// ```
    /// use residual_arch::published::find;
    /// use residual_hub::Remote;
    /// let remote = Remote::weights(find("resnet50:IMAGENET1K_V2")?)?;
    /// assert_eq!(remote.path, "weights/resnet50.IMAGENET1K_V2-11ad3fa6.pth");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unpublished`] where the network has no weights.
    pub fn weights(checkpoint: &Published) -> Result<Self, Error> {
        let name = checkpoint.name();
        let Some(url) = checkpoint.url else { return Err(Error::Unpublished { name }) };
        let ending = url.rsplit_once('.').map_or("pth", |(_, ending)| ending);
        let hash = checkpoint.sha256.map_or(String::new(), |hash| format!("-{hash}"));
        // A colon is no part of a file's name on Windows.
        let path = format!("weights/{}.{}{hash}.{ending}", checkpoint.model, checkpoint.tag);
        let digest = checkpoint.sha256.map(|hash| Digest::Sha256(hash.into()));
        // Values of four bytes; half as much again for what else a checkpoint may hold, and a little for small ones.
        let limit = checkpoint.parameters.saturating_mul(6).saturating_add(64 << 20).min(MAX_WEIGHTS);
        Ok(Self { name, url: url.into(), path, digest, limit })
    }
}
