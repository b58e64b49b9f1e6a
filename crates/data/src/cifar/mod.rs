//! CIFAR-10 and CIFAR-100 as they are downloaded: the binary and the python version, packed or unpacked.
//!
//! Binary: records of a label (CIFAR-100: a coarse and a fine one) and 3 x 32 x 32 bytes. Python: pickles of a
//! dictionary with labels and `data`, a numpy array `[n, 3072]`. Both hold an image as planes, CHW.

mod batch;
mod hundred;
mod names;
mod ten;

use crate::listing::Listing;
use crate::records::{RawImage, RecordSet};
use crate::{Error, OpenOptions};

pub(crate) use hundred::is_cifar_100;
pub(crate) use ten::is_cifar_10;

/// Images of both.
const RAW: RawImage = RawImage { height: 32, width: 32, channels: 3, planar: true };

/// Classes and records of a listing of batches; `None` where it is none.
pub(crate) fn find_cifar(listing: &mut Listing, options: &OpenOptions) -> Result<Option<RecordSet>, Error> {
    if !listing.images.is_empty() {
        return Ok(None);
    }
    match ten::find(listing)? {
        Some(found) => Ok(Some(found)),
        None => hundred::find(listing, options),
    }
}
