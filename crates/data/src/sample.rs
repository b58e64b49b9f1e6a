//! The sample that is compiled in; `assets/README.md` says what it is and how it was made.

use std::collections::BTreeSet;

use flate2::read::GzDecoder;

use crate::listing::Listing;
use crate::tarball::unpack;
use crate::{Error, OpenOptions};

static ARCHIVE: &[u8] = include_bytes!("../assets/cifar10-sample.tar.gz");

pub(crate) fn list() -> Result<Listing, Error> {
    let options = OpenOptions { memory_limit: u64::MAX, ..OpenOptions::default() };
    let (listing, _) = unpack(GzDecoder::new(ARCHIVE), "sample", &options, &BTreeSet::new())?;
    Ok(listing.finish())
}
