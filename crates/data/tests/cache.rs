//! Decoded images that are kept: the same batches to the bit, within the memory that was given.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ImageFormat;
use residual_arch::{Preprocess, Resize};
use residual_data::{
    Augment, Batch, CacheLimit, CachePlan, Error, EvaluateOptions, Evaluation, Image, Judged, Loader,
    LoaderOptions, RandomResizedCrop, Source, decode, evaluate,
};
use support::encoded;

/// Files in memory, one of them damaged; how often each is decoded is counted.
struct Counted {
    files: Vec<Vec<u8>>,
    classes: [String; 2],
    decoded: AtomicUsize,
}

impl Counted {
    fn new(count: usize) -> Self {
        let kind = |i: usize| if i.is_multiple_of(3) { ImageFormat::Jpeg } else { ImageFormat::Png };
        let file = |i: usize| encoded(40 + i as u32 % 5, 30, i as u8, kind(i));
        let mut files: Vec<Vec<u8>> = (0..count).map(file).collect();
        files[7].truncate(100);
        Self { files, classes: ["a".into(), "b".into()], decoded: AtomicUsize::new(0) }
    }

    fn take_count(&self) -> usize {
        self.decoded.swap(0, Ordering::SeqCst)
    }
}

impl Source for Counted {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> usize {
        index % 2
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.decoded.fetch_add(1, Ordering::SeqCst);
        decode(&self.files[index], &self.file(index))
    }
}

const IMAGES: usize = 23;

fn training(augment: Vec<Augment>) -> LoaderOptions {
    LoaderOptions::evaluation(4, Preprocess::normalise_only()).with(|options| {
        options.preprocess.resize = Some(Resize::ShorterSide(16));
        options.preprocess.crop = Some([16, 16]);
        options.workers = 2;
        options.shuffle = true;
        options.seed = 3;
        options.skip_bad = true;
        options.augment = augment;
    })
}

fn batches(set: &Arc<Counted>, options: &LoaderOptions) -> Vec<Batch> {
    Loader::new(set.clone(), options.clone()).unwrap().map(Result::unwrap).collect()
}

fn cached(set: &Arc<Counted>, options: &LoaderOptions, limit: CacheLimit) -> LoaderOptions {
    let plan = CachePlan::new(limit, &[(&**set, options)]).unwrap();
    set.take_count();
    options.clone().with(|options| options.cache.clone_from(&plan.caches[0]))
}

fn augmentations() -> [Vec<Augment>; 3] {
    let crop = Augment::RandomResizedCrop(RandomResizedCrop::new([12, 12]));
    let flip = Augment::HorizontalFlip { probability: 0.5 };
    [vec![], vec![Augment::PadCrop { padding: 2 }, flip.clone()], vec![crop, flip]]
}

#[test]
fn batches_are_the_same_with_and_without() {
    let set = Arc::new(Counted::new(IMAGES));
    for augment in augmentations() {
        let plain = training(augment);
        // All, about half, and none of the images.
        for limit in [CacheLimit::Auto, CacheLimit::Bytes(20_000), CacheLimit::Off] {
            for workers in [0, 1, 2, 5] {
                let cached = cached(&set, &plain, limit).with(|options| options.workers = workers);
                for epoch in [0, 1, 2] {
                    let at = |options: &LoaderOptions| options.clone().with(|options| options.epoch = epoch);
                    let expected = batches(&set, &at(&plain));
                    assert_eq!(batches(&set, &at(&cached)), expected, "{limit}, {workers} workers");
                    let resumed = at(&cached).with(|options| options.first_batch = 3);
                    assert_eq!(batches(&set, &resumed), expected[3..]);
                }
            }
        }
    }
}

#[test]
fn every_image_is_decoded_once_and_a_damaged_one_every_time() {
    let set = Arc::new(Counted::new(IMAGES));
    for augment in augmentations() {
        let options = cached(&set, &training(augment), CacheLimit::Auto);
        for (epoch, decoded) in [(0, IMAGES), (1, 1), (2, 1)] {
            batches(&set, &options.clone().with(|options| options.epoch = epoch));
            assert_eq!(set.take_count(), decoded, "epoch {epoch}");
        }
        let cache = options.cache.unwrap();
        assert_eq!(cache.images(), IMAGES - 1);
    }
}

#[test]
fn memory_stays_within_the_limit() {
    let set = Arc::new(Counted::new(IMAGES));
    for augment in augmentations() {
        let options = cached(&set, &training(augment), CacheLimit::Bytes(10_000));
        let cache = options.cache.clone().unwrap();
        let mut kept = None;
        for epoch in 0..3 {
            batches(&set, &options.clone().with(|options| options.epoch = epoch));
            assert!(cache.bytes() <= 10_000 && cache.images() < IMAGES - 1, "{cache:?}");
            assert_eq!(*kept.get_or_insert(cache.bytes()), cache.bytes());
        }
    }
}

#[test]
fn a_cache_of_other_preprocessing_is_not_used() {
    let set = Arc::new(Counted::new(IMAGES));
    let [_, pad, crop] = augmentations();
    let resized = cached(&set, &training(pad), CacheLimit::Auto);
    batches(&set, &resized);
    let other = training(crop);
    let wrong = other.clone().with(|options| options.cache = resized.cache.clone());
    assert_eq!(batches(&set, &wrong), batches(&set, &other));
    let small = resized.clone().with(|options| options.preprocess.resize = Some(Resize::ShorterSide(18)));
    let plain = small.clone().with(|options| options.cache = None);
    assert_eq!(batches(&set, &small), batches(&set, &plain));
}

/// Logits that are sums of an image's values.
struct Sums;

impl Judged for Sums {
    type Error = Error;

    fn logits(&mut self, batch: Batch) -> Result<Vec<f32>, Error> {
        let size = batch.images.len() / batch.labels.len();
        Ok(batch.images.chunks(size).flat_map(|image| [image.iter().sum(), image[0]]).collect())
    }
}

#[test]
fn evaluations_share_what_is_kept() {
    let set = Arc::new(Counted::new(IMAGES));
    let options = training(Vec::new());
    let judge = |cache| -> Evaluation {
        let evaluation = EvaluateOptions::default().with(|new| (new.skip_bad, new.cache) = (true, cache));
        let preprocess = options.preprocess.clone();
        evaluate(&mut Sums, set.clone(), preprocess, &evaluation, &mut ()).unwrap().unwrap()
    };
    let expected = judge(None);
    let cache = cached(&set, &options, CacheLimit::Auto).cache;
    assert_eq!(judge(cache.clone()), expected);
    set.take_count();
    assert_eq!(judge(cache), expected);
    assert_eq!(set.take_count(), 1);
}
