//! The sample that is compiled in; `assets/README.md` says what it is and how it was made.

use crate::Error;
use crate::listing::Listing;

#[cfg(feature = "sample")]
static ARCHIVE: &[u8] = include_bytes!("../assets/cifar10-sample.tar.gz");

#[cfg(feature = "sample")]
pub(crate) fn list() -> Result<Listing, Error> {
    use std::collections::BTreeSet;

    use flate2::read::GzDecoder;

    use crate::OpenOptions;
    use crate::tarball::unpack;

    let options = OpenOptions { memory_limit: u64::MAX, ..OpenOptions::default() };
    let (listing, _) = unpack(GzDecoder::new(ARCHIVE), "sample", &options, &BTreeSet::new())?;
    Ok(listing.finish())
}

/// A build without the sample says so.
#[cfg(not(feature = "sample"))]
pub(crate) fn list() -> Result<Listing, Error> {
    Err(Error::NoSample)
}
