//! The sample that is compiled in; `assets/sample/README.md` says what it is and how it was made.

use flate2::read::GzDecoder;

use crate::Error;
use crate::listing::Listing;
use crate::tarball::unpack;

static ARCHIVE: &[u8] = include_bytes!("../../../assets/sample/cifar10-sample.tar.gz");

pub(crate) fn list() -> Result<Listing, Error> {
    unpack(GzDecoder::new(ARCHIVE), "sample".into(), u64::MAX)
}
