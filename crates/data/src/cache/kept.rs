//! Images that are kept, and their budget.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use residual_arch::Preprocess;

use crate::{Image, LoaderOptions};

/// Preparation of an image that is kept: all of preprocessing that comes before anything random. Where a random crop
/// takes the place of the resize, images are kept at the size that they are stored in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preparation {
    preprocess: Preprocess,
    pub(crate) is_resized: bool,
}

impl Preparation {
    pub(crate) fn of(options: &LoaderOptions) -> Self {
        let is_resized = !options.sets_size();
        Self { preprocess: options.preprocess.clone(), is_resized }
    }
}

/// Cache of the images of one source, decoded and as far prepared as nothing is random: made by a
/// [`CachePlan`](crate::CachePlan), and given to loaders ([`LoaderOptions::cache`]) and evaluations
/// ([`EvaluateOptions::cache`](crate::EvaluateOptions::cache)) of that source. A clone is the same cache.
///
/// Images stay for as long as the cache does, the first ones that come up to the limit: an epoch asks for every image
/// once, so that none is worth more than another. Batches are the same with and without it.
#[derive(Clone)]
pub struct ImageCache {
    slots: Arc<[OnceLock<Image>]>,
    budget: Arc<Budget>,
    preparation: Arc<Preparation>,
}

/// Memory that the caches of several sources share.
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    is_full: AtomicBool,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0), is_full: AtomicBool::new(false) }
    }

    fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| used.checked_add(bytes).filter(|&sum| sum <= self.limit);
        let fits = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        self.is_full.fetch_or(!fits, Ordering::Relaxed);
        fits
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl ImageCache {
    pub(crate) fn new(images: usize, budget: Arc<Budget>, preparation: Preparation) -> Self {
        let slots = (0..images).map(|_| OnceLock::new()).collect();
        Self { slots, budget, preparation: Arc::new(preparation) }
    }

    /// Bytes of the images that are kept, those of other caches of the same plan included.
    pub fn bytes(&self) -> u64 {
        self.budget.used.load(Ordering::Relaxed)
    }

    /// Number of images that are kept.
    pub fn images(&self) -> usize {
        self.slots.iter().filter(|slot| slot.get().is_some()).count()
    }

    /// True where the cache is of so many images that are prepared in this way.
    pub(crate) fn is_of(&self, images: usize, preparation: &Preparation) -> bool {
        self.slots.len() == images && *self.preparation == *preparation
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Image> {
        self.slots.get(index)?.get()
    }

    /// True once an image did not fit: no other is tried.
    pub(crate) fn is_full(&self) -> bool {
        self.budget.is_full.load(Ordering::Relaxed)
    }

    /// Keeps an image, unless the memory is used up or it is there already.
    pub(crate) fn keep(&self, index: usize, image: &Image) {
        let bytes = image.memory();
        let Some(slot) = self.slots.get(index) else { return };
        if !self.budget.take(bytes) {
            return;
        }
        if slot.set(image.clone()).is_err() {
            self.budget.give_back(bytes);
        }
    }
}

impl fmt::Debug for ImageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageCache({} of {} images, {} bytes)", self.images(), self.slots.len(), self.bytes())
    }
}

impl PartialEq for ImageCache {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slots, &other.slots)
    }
}
