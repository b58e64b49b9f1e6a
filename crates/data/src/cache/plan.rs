//! The choice of what to keep, for the images at hand.

use std::fmt;
use std::sync::Arc;

use residual_files::{HumanBytes, available_memory};

use super::kept::{Budget, ImageCache, Preparation};
use super::limit::CacheLimit;
use crate::{Error, LoaderOptions, Preprocessor, Source};

/// Part of the free memory that [`CacheLimit::Auto`] may take: one in so many.
const SHARE: u64 = 4;

/// Images that are decoded to tell the size of all.
const TRIED: usize = 16;

/// Plan of the decoded images that stay in memory between epochs; as text it says what is done.
///
/// ```
/// use residual_arch::Preprocess;
/// use residual_data::{CacheLimit, CachePlan, Dataset, LoaderOptions, Split};
///
/// let train = Dataset::sample()?.split(Split::Train)?;
/// let options = LoaderOptions::evaluation(64, Preprocess::normalise_only());
/// let plan = CachePlan::new("100MB".parse()?, &[(&train, &options)])?;
/// assert!(plan.to_string().starts_with("cache: all 5000 images are decoded once"));
/// let options = options.with(|options| options.cache = plan.caches[0].clone());
/// # Ok::<(), residual_data::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CachePlan {
    /// A cache for each source, in their order; `None` where nothing is kept.
    pub caches: Vec<Option<ImageCache>>,
    limit: CacheLimit,
    /// Memory that the cache may take.
    room: u64,
    /// Number of images that are worth keeping.
    images: usize,
    /// Bytes that they take once they are decoded, estimated.
    bytes: u64,
    is_resized: bool,
}

impl CachePlan {
    /// Plan for sources that are read by these options. Some images of each are decoded to tell how large they are;
    /// bad ones are passed over. What is in memory already is kept only where it is resized.
    ///
    /// # Errors
    /// Those of [`Preprocessor::new`].
    pub fn new(limit: CacheLimit, sources: &[(&dyn Source, &LoaderOptions)]) -> Result<Self, Error> {
        Self::within(available_memory(), limit, sources)
    }

    fn within(
        free: Option<u64>,
        limit: CacheLimit,
        sources: &[(&dyn Source, &LoaderOptions)],
    ) -> Result<Self, Error> {
        let room = match limit {
            CacheLimit::Off => 0,
            CacheLimit::Bytes(bytes) => bytes,
            // Where the system does not say what is free, nothing is taken.
            CacheLimit::Auto => free.map_or(0, |free| free / SHARE),
        };
        let mut plan = Self { caches: Vec::new(), limit, room, images: 0, bytes: 0, is_resized: false };
        let mut preparations = Vec::with_capacity(sources.len());
        for (source, options) in sources {
            let preparation = Preparation::of(options);
            let is_resized = preparation.is_resized && options.preprocess.resize.is_some();
            let is_worth_it = limit != CacheLimit::Off && (is_resized || !source.is_in_memory());
            if is_worth_it {
                plan.images += source.len();
                plan.bytes = plan.bytes.saturating_add(decoded_bytes(*source, options)?);
                plan.is_resized |= is_resized;
            }
            preparations.push(is_worth_it.then_some((source.len(), preparation)));
        }
        let keeps = room > 0 && (plan.bytes <= room || !limit.is_auto());
        let budget = Arc::new(Budget::new(room));
        let cache = |(images, preparation)| ImageCache::new(images, budget.clone(), preparation);
        plan.caches = preparations.into_iter().map(|of| of.filter(|_| keeps).map(cache)).collect();
        Ok(plan)
    }

    /// True where images are kept.
    pub fn keeps_images(&self) -> bool {
        self.caches.iter().any(Option::is_some)
    }
}

impl fmt::Display for CachePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, bytes, room, .. } = *self;
        let (size, room) = (HumanBytes(bytes), HumanBytes(room));
        let done = if self.is_resized { "decoded and resized" } else { "decoded" };
        if images == 0 {
            return match self.limit {
                CacheLimit::Off => f.write_str("cache: off, images are decoded in every epoch"),
                _ => f.write_str("cache: none, the images are in memory as they are"),
            };
        }
        if !self.keeps_images() {
            return write!(
                f,
                "cache: off, all {images} images {done} would take {size}; a quarter of the free memory is {room}"
            );
        }
        if bytes <= self.room {
            return write!(f, "cache: all {images} images are {done} once and kept in memory, {size}");
        }
        let percent = 100.0 * self.room as f64 / bytes as f64;
        write!(
            f,
            "cache: {percent:.0}% of {images} images are {done} once and kept in memory, {room} of {size}"
        )
    }
}

/// Bytes that all images take once they are prepared, by the mean of some that lie evenly among them.
fn decoded_bytes(source: &dyn Source, options: &LoaderOptions) -> Result<u64, Error> {
    let preprocessor = Preprocessor::new(&options.preprocess)?;
    let (len, tried) = (source.len(), source.len().min(TRIED));
    let size = |place: usize| {
        let index = place * len / tried;
        let image = source.image(index).ok()?;
        let prepared = preprocessor.prepare(image, options.sets_size(), &source.file(index)).ok()?;
        Some(prepared.memory())
    };
    let sizes: Vec<u64> = (0..tried).filter_map(size).collect();
    let mean = sizes.iter().sum::<u64>() / sizes.len().max(1) as u64;
    Ok(mean.saturating_mul(len as u64))
}

#[cfg(test)]
mod tests {
    use residual_arch::{Preprocess, Resize};

    use super::*;
    use crate::{Augment, Dataset, Image, LabelledImages, Split};

    fn plan(free: u64, limit: CacheLimit, source: &dyn Source, options: &LoaderOptions) -> CachePlan {
        CachePlan::within(Some(free), limit, &[(source, options)]).unwrap()
    }

    #[test]
    fn auto_keeps_all_images_or_none() {
        let sample = Dataset::sample().unwrap().split(Split::Test).unwrap();
        let options = LoaderOptions::evaluation(64, Preprocess::normalise_only());
        // A thousand images of 3072 bytes, and what holds them.
        let all = plan(16_000_000, CacheLimit::Auto, &sample, &options);
        assert!(all.keeps_images() && (3_072_000..3_500_000).contains(&all.bytes), "{all:?}");
        assert!(all.to_string().starts_with("cache: all 1000 images are decoded once"), "{all}");
        let none = plan(12_000_000, CacheLimit::Auto, &sample, &options);
        assert!(
            !none.keeps_images() && none.to_string().contains("a quarter of the free memory is 3.0 MB"),
            "{none}"
        );
        let some = plan(0, CacheLimit::Bytes(1_600_000), &sample, &options);
        assert!(some.keeps_images() && some.to_string().contains("cache: 5"), "{some}");
        let off = plan(u64::MAX, CacheLimit::Off, &sample, &options);
        assert!(!off.keeps_images() && off.to_string().contains("off"), "{off}");
    }

    #[test]
    fn what_is_in_memory_is_kept_only_where_it_is_resized() {
        let image = |value| Image::new(40, 30, 3, vec![value; 3600]).unwrap();
        let images = LabelledImages::new(["a", "b"], vec![(image(0), 0), (image(1), 1)]).unwrap();
        let plain = LoaderOptions::evaluation(2, Preprocess::normalise_only());
        let kept = |options: &LoaderOptions| plan(1 << 30, CacheLimit::Auto, &images, options).keeps_images();
        assert!(!kept(&plain));
        let resizing = plain.with(|options| options.preprocess.resize = Some(Resize::Exact([8, 8])));
        assert!(kept(&resizing));
        let crop = Augment::RandomResizedCrop(crate::RandomResizedCrop::new([8, 8]));
        assert!(!kept(&resizing.with(|options| options.augment = vec![crop])));
    }
}
