//! The errors of this crate.

use std::io;
use std::path::PathBuf;

use residual_files::{HumanBytes, escaped};

use crate::Digest;

/// Any error of this crate. All but the first two name the file that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An environment that names no cache folder.
    #[error("no cache folder: neither HOME nor RESIDUAL_CACHE is set; help: set RESIDUAL_CACHE to a folder")]
    NoCache,
    /// Certificates that cannot be read.
    #[error(
        "{}: no certificates there: {reason}; help: set SSL_CERT_FILE to a file of PEM certificates",
        escaped(path)
    )]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Reason.
        reason: String,
    },
    /// A name that is no dataset's.
    #[error("no dataset is called `{}`; help: there are {}", escaped(name), known.join(", "))]
    UnknownDataset {
        /// The name as given.
        name: String,
        /// Names of the datasets.
        known: Vec<&'static str>,
    },
    /// A network of which no weights are published.
    #[error("{name}: no weights are published; help: `residual get --list` shows what is there")]
    Unpublished {
        /// Name of the checkpoint.
        name: String,
    },
    /// A file that is not in the cache of a machine that is to stay offline.
    #[error(
        "{name}: not downloaded yet ({}), and --offline forbids it; help: `residual get {name}` once connected",
        escaped(path)
    )]
    Offline {
        /// Name of what was asked for.
        name: String,
        /// The file that would be there.
        path: PathBuf,
    },
    /// A server that cannot be reached, or that does not speak HTTP.
    #[error("{name}: cannot download {url}: {reason}{}", connect_help(reason))]
    Connect {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// Reason.
        reason: String,
    },
    /// A server that answers with an error.
    #[error("{name}: {url}: the server answers {status}; help: {}", status_help(*status, *retry_after))]
    Status {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// Status of the answer.
        status: u16,
        /// Seconds after which the server asks to be asked again.
        retry_after: Option<u64>,
    },
    /// A redirect to an address that is not asked: of another scheme than HTTP, from HTTPS to HTTP, or one too many.
    #[error("{name}: {url}: {reason}; nothing was downloaded from there")]
    Redirect {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// Reason.
        reason: String,
    },
    /// A transfer that broke off, or stood still, more often than it is taken up again.
    #[error("{name}: {url}: {reason} after {}{}; help: run it again, and it goes on from there", HumanBytes(*received),
        of_size(*size))]
    Broken {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// Bytes that are there.
        received: u64,
        /// Size of the file, as the server says it.
        size: Option<u64>,
        /// Reason.
        reason: String,
    },
    /// A file larger than what is asked for can be.
    #[error("{name}: {url}: {}, more than the {} that it may have; nothing was kept",
        HumanBytes(*size), HumanBytes(*limit))]
    TooLarge {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// Size of the file.
        size: u64,
        /// Limit.
        limit: u64,
    },
    /// A file that is not the published one.
    #[error(
        "{name}: {url}: {found}, expected {expected}; it is not the published file and was removed; help: try \
        again later, or from another network"
    )]
    Wrong {
        /// Name of what was asked for.
        name: String,
        /// Address of the file.
        url: String,
        /// The published digest.
        expected: Digest,
        /// Digest of the file.
        found: Digest,
    },
    /// A file or folder of the cache that cannot be read or written.
    #[error("{}: cannot {what}: {reason}", escaped(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Reason.
        reason: io::Error,
    },
}

fn of_size(size: Option<u64>) -> String {
    size.map_or(String::new(), |size| format!(" of {}", HumanBytes(size)))
}

fn connect_help(reason: &str) -> &'static str {
    match reason.contains("certificate") {
        true => "; help: behind a proxy that reads along, set SSL_CERT_FILE to its certificate",
        false => "; help: check the connection; behind a proxy, set HTTPS_PROXY",
    }
}

fn status_help(status: u16, retry_after: Option<u64>) -> String {
    match (status, retry_after) {
        (_, Some(seconds)) => format!("it asks to be asked again in {seconds} s"),
        (404 | 410, _) => "the file is no longer there; take another tag (`residual get --list`)".into(),
        (401 | 403, _) => "it does not give the file to this network or user".into(),
        (407, _) => {
            "the proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT".into()
        }
        (429 | 500.., _) => "try again later".into(),
        _ => "open the address in a browser to see why".into(),
    }
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::Io { path, what, reason }
    }
}
