//! Batches: the same bits whatever the number of workers, and nothing hangs.

mod support;

use std::sync::Arc;

use image::ImageFormat;
use residual_arch::{Preprocess, Resize};
use residual_data::{
    Augment, Batch, DataSource, Dataset, Error, ImageSet, Loader, LoaderOptions, Mix, MixMode, OpenOptions,
    Partner, RandomResizedCrop, Split, steps_per_epoch,
};
use support::{Files, encoded, write_folder};

/// The training images of a folder with these files, in a folder that lives as long.
fn set(files: &Files) -> (tempfile::TempDir, Arc<ImageSet>) {
    let place = tempfile::tempdir().unwrap();
    write_folder(place.path(), files);
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let dataset = Dataset::open(&DataSource::Path(place.path().into()), &options).unwrap();
    (place, Arc::new(dataset.split(Split::Train).unwrap()))
}

fn files(count: usize) -> Files {
    let file =
        |i: usize| (format!("{}/{i:02}.png", ["a", "b"][i % 2]), encoded(12, 10, i as u8, ImageFormat::Png));
    (0..count).map(file).collect()
}

fn training() -> LoaderOptions {
    LoaderOptions::evaluation(4, Preprocess::normalise_only()).with(|options| {
        options.workers = 2;
        options.shuffle = true;
        options.seed = 9;
        options.augment = vec![Augment::PadCrop { padding: 2 }, Augment::HorizontalFlip { probability: 0.5 }];
    })
}

fn batches(set: &Arc<ImageSet>, options: LoaderOptions) -> Vec<Batch> {
    Loader::new(set.clone(), options).unwrap().map(Result::unwrap).collect()
}

fn indices(batches: &[Batch]) -> Vec<usize> {
    batches.iter().flat_map(|batch| batch.indices.clone()).collect()
}

#[test]
fn workers_change_no_bit() {
    let (_place, set) = set(&files(22));
    let random =
        Augment::RandomResizedCrop(RandomResizedCrop::new([7, 5]).with(|crop| crop.ratio = [0.75, 1.33]));
    let policies =
        "rand_augment,color_jitter:brightness=0.3:hue=0.1,three_augment,aug_mix,random_erasing:value=random";
    let policies = Augment::parse_list(policies).unwrap();
    let flipped = vec![random, Augment::HorizontalFlip { probability: 0.5 }];
    for augment in [training().augment, flipped, policies, vec![]] {
        let run = |workers| {
            batches(
                &set,
                training().with(|options| (options.workers, options.augment) = (workers, augment.clone())),
            )
        };
        let one = run(1);
        assert_eq!(one.len(), 6);
        assert!(one.iter().flat_map(|batch| &batch.images).all(|value| value.is_finite()));
        for workers in [0, 2, 5] {
            assert_eq!(run(workers), one, "{workers} workers");
        }
    }
}

#[test]
fn an_epoch_has_every_image_once_in_an_order_of_its_own() {
    let (_place, set) = set(&files(22));
    let epoch =
        |seed, epoch| batches(&set, training().with(|options| (options.seed, options.epoch) = (seed, epoch)));
    let first = epoch(9, 0);
    assert_eq!(
        first.iter().map(|batch| batch.shape).collect::<Vec<_>>()[4..],
        [[4, 3, 10, 12], [2, 3, 10, 12]]
    );
    let mut all = indices(&first);
    assert_ne!(all, (0..22).collect::<Vec<_>>());
    for other in [epoch(9, 1), epoch(8, 0)] {
        assert_ne!(indices(&other), all);
    }
    assert_eq!(indices(&epoch(9, 0)), all);
    all.sort_unstable();
    assert_eq!(all, (0..22).collect::<Vec<_>>());
    for batch in &first {
        let labels: Vec<usize> = batch.indices.iter().map(|&i| set.label(i)).collect();
        assert_eq!(batch.labels, labels);
        assert_eq!(batch.images.len(), batch.shape.iter().product::<usize>());
    }
}

#[test]
fn an_epoch_goes_on_where_it_was_interrupted() {
    let (_place, set) = set(&files(22));
    let whole = batches(&set, training());
    for first_batch in 0..8 {
        let rest = batches(&set, training().with(|options| options.first_batch = first_batch));
        assert_eq!(rest, whole[first_batch.min(6)..]);
    }
}

#[test]
fn augmentation_belongs_to_the_sample_not_to_its_place() {
    let (_place, set) = set(&files(12));
    let by_index = |options: LoaderOptions| {
        let mut images: Vec<(usize, Vec<f32>)> = Vec::new();
        for batch in batches(&set, options) {
            let size = batch.images.len() / batch.shape[0];
            let values = batch.images.chunks(size).map(<[f32]>::to_vec);
            images.extend(batch.indices.iter().copied().zip(values));
        }
        images.sort_by_key(|(index, _)| *index);
        images
    };
    let shuffled = by_index(training());
    assert_eq!(
        by_index(training().with(|options| (options.shuffle, options.batch_size) = (false, 5))),
        shuffled
    );
    assert_ne!(by_index(training().with(|options| options.epoch = 1)), shuffled);
    assert_ne!(by_index(training().with(|options| options.augment = vec![])), shuffled);
}

#[test]
fn steps_of_an_epoch() {
    assert_eq!(steps_per_epoch(22, 4, false), 6);
    assert_eq!(steps_per_epoch(22, 4, true), 5);
    assert_eq!(steps_per_epoch(3, 4, true), 0);
    assert_eq!(steps_per_epoch(0, 4, false), 0);
    assert_eq!(steps_per_epoch(5, 0, false), 5);
    let (_place, set) = set(&files(22));
    let full = batches(&set, training().with(|options| options.drop_last = true));
    assert_eq!(full.iter().map(|batch| batch.shape[0]).collect::<Vec<_>>(), [4; 5]);
    assert_eq!(batches(&set, training().with(|options| options.batch_size = usize::MAX)).len(), 1);
}

#[test]
fn a_bad_image_is_an_error_that_names_it_and_ends_the_epoch() {
    let mut files = files(22);
    files[13].1.clear();
    let (_place, set) = set(&files);
    for workers in [0, 1, 2, 5] {
        let mut loader =
            Loader::new(set.clone(), training().with(|options| options.workers = workers)).unwrap();
        let errors: Vec<Error> = loader.by_ref().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().ends_with("b/13.png: the image file is empty"), "{}", errors[0]);
        assert!(loader.next().is_none());
    }
}

#[test]
fn bad_images_are_left_out_on_request_and_named() {
    let mut files = files(22);
    files[13].1.clear();
    files[4].1.truncate(70);
    let (_place, set) = set(&files);
    let run = |workers| {
        batches(&set, training().with(|options| (options.workers, options.skip_bad) = (workers, true)))
    };
    let one = run(1);
    assert_eq!(one.len(), 6, "the number of steps stays");
    let skipped: Vec<String> = one.iter().flat_map(|batch| &batch.skipped).map(ToString::to_string).collect();
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().any(|text| text.ends_with("b/13.png: the image file is empty")));
    assert!(skipped.iter().any(|text| text.ends_with("a/04.png: the image is truncated")));
    assert_eq!(indices(&one).len(), 20);
    assert_eq!((run(2), run(5)), (one.clone(), one));
    // A batch of nothing but bad images is there, and empty.
    let alone = batches(&set, training().with(|options| (options.batch_size, options.skip_bad) = (1, true)));
    let empty: Vec<&Batch> = alone.iter().filter(|batch| batch.labels.is_empty()).collect();
    assert_eq!(empty.len(), 2);
    assert!(empty.iter().all(|batch| batch.shape == [0, 3, 0, 0] && batch.images.is_empty()));
}

#[test]
fn images_of_several_sizes_need_a_size() {
    let mut files = files(6);
    files[3].1 = encoded(9, 10, 1, ImageFormat::Png);
    let (_place, set) = set(&files);
    let options = training().with(|options| {
        options.shuffle = false;
        options.batch_size = 6;
        options.augment = vec![];
        options.skip_bad = true;
    });
    let error = Loader::new(set.clone(), options.clone()).unwrap().find_map(Result::err).unwrap();
    let text = error.to_string();
    assert!(text.contains("b/03.png: 9x10 pixels, but ") && text.contains("a/00.png has 12x10"), "{text}");
    assert!(text.contains("`resize` or `crop`"), "{text}");
    let resize = Some(Resize::Exact([4, 4]));
    let preprocess = Preprocess::normalise_only().with(|preprocess| preprocess.resize = resize);
    assert_eq!(batches(&set, options.with(|options| options.preprocess = preprocess))[0].shape, [6, 3, 4, 4]);
}

#[test]
fn sizes_come_from_preprocessing_or_from_the_random_crop() {
    let (_place, set) = set(&files(4));
    let preprocess = Preprocess::imagenet(9, 8);
    let options = training().with(|options| options.preprocess = preprocess);
    assert_eq!(batches(&set, options.clone())[0].shape, [4, 3, 8, 8]);
    let random =
        Augment::RandomResizedCrop(RandomResizedCrop::new([6, 6]).with(|crop| crop.scale = [0.5, 1.0]));
    assert_eq!(batches(&set, options.with(|options| options.augment = vec![random]))[0].shape, [4, 3, 6, 6]);
    let grey = Preprocess::normalise_only()
        .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.5], vec![0.5]));
    assert_eq!(batches(&set, training().with(|options| options.preprocess = grey))[0].shape, [4, 1, 10, 12]);
}

#[test]
fn impossible_options_are_refused_before_anything_starts() {
    let (_place, set) = set(&files(4));
    let mut bad_mean = Preprocess::normalise_only();
    bad_mean.mean.pop();
    for options in [
        training().with(|options| options.batch_size = 0),
        training().with(|options| options.repeats = 0),
        training().with(|options| options.mix = Some(Mix::default())),
        training().with(|options| options.preprocess = bad_mean),
        training().with(|options| options.augment = vec![Augment::HorizontalFlip { probability: 2.0 }]),
    ] {
        let error = Loader::new(set.clone(), options).map(drop).unwrap_err();
        assert!(matches!(error, Error::InvalidOption { .. }), "{error}");
    }
}

#[test]
fn a_loader_can_be_dropped_at_any_time() {
    let (_place, set) = set(&files(22));
    for taken in 0..4 {
        let mut loader = Loader::new(
            set.clone(),
            training().with(|options| (options.batch_size, options.workers) = (1, 5)),
        )
        .unwrap();
        assert_eq!(loader.by_ref().take(taken).map(Result::unwrap).count(), taken);
        drop(loader);
        // The workers are gone, and with them their hold on the set.
        assert_eq!(Arc::strong_count(&set), 1);
    }
}

#[test]
fn repeated_images_come_after_one_another_and_differ() {
    let (_place, set) = set(&files(22));
    let options = training().with(|options| (options.repeats, options.batch_size) = (3, 5));
    let once = batches(&set, training().with(|options| options.batch_size = 5));
    let whole = batches(&set, options.clone());
    assert_eq!(whole.len(), once.len(), "as many steps");
    let order = indices(&once);
    let repeated: Vec<usize> = order.iter().flat_map(|&index| [index; 3]).take(22).collect();
    assert_eq!(indices(&whole), repeated);
    let length = whole[0].images.len() / 5;
    let images: Vec<&[f32]> = whole.iter().flat_map(|batch| batch.images.chunks(length)).collect();
    let singles: Vec<&[f32]> = once.iter().flat_map(|batch| batch.images.chunks(length)).collect();
    let mut different = 0;
    for (place, three) in images.chunks_exact(3).enumerate() {
        assert_eq!(three[0], singles[place], "the first time as without");
        different += usize::from(three[0] != three[1]) + usize::from(three[1] != three[2]);
    }
    assert!(different >= 12, "{different} of 14");
    for (workers, first_batch) in [(0, 0), (2, 1), (5, 3)] {
        let options = options.clone().with(|options| {
            (options.workers, options.first_batch) = (workers, first_batch);
        });
        assert_eq!(batches(&set, options), whole[first_batch..]);
    }
}

#[test]
fn mixed_batches_are_the_same_for_any_workers_and_after_a_resume() {
    let (_place, set) = set(&files(22));
    for mode in [MixMode::Batch, MixMode::Pair, MixMode::Element] {
        let mix = Mix::default().with(|mix| {
            (mix.mixup, mix.cutmix, mix.probability, mix.mode) = (0.8, 1.0, 0.8, mode);
        });
        let options = training().with(|options| (options.mix, options.repeats) = (Some(mix), 2));
        let whole = batches(&set, options.clone());
        assert!(whole.iter().any(|batch| batch.partners.len() == batch.labels.len()), "{mode:?}");
        assert_ne!(whole, batches(&set, options.clone().with(|options| options.mix = None)));
        for (workers, first_batch) in [(0, 0), (1, 2), (2, 1), (5, 4)] {
            let options = options.clone().with(|options| {
                (options.workers, options.first_batch) = (workers, first_batch);
            });
            assert_eq!(batches(&set, options), whole[first_batch..], "{mode:?}");
        }
        for batch in &whole {
            for (place, partner) in batch.partners.iter().enumerate() {
                assert_eq!(partner.label, batch.labels[batch.labels.len() - 1 - place]);
            }
        }
    }
}

/// What a run was begun with is what it goes on with, whatever has been added since.
#[test]
fn augmentations_keep_the_bits_of_earlier_runs() {
    let (_place, set) = set(&files(22));
    let step = |hash: u64, value: f32| {
        value
            .to_bits()
            .to_le_bytes()
            .into_iter()
            .fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    };
    let hash = |options: LoaderOptions| {
        let batches = batches(&set, options);
        let values = batches.iter().flat_map(|batch| batch.images.iter().copied());
        values.fold(0xcbf2_9ce4_8422_2325, step)
    };
    let text = "augment = [{ kind = \"random_resized_crop\", size = [7, 5] }, { kind = \"pad_crop\", padding = 2 }, \
                { kind = \"horizontal_flip\" }]";
    #[derive(serde::Deserialize)]
    struct Recipe {
        augment: Vec<Augment>,
    }
    let augment = toml::from_str::<Recipe>(text).unwrap().augment;
    let found =
        [hash(training()), hash(training().with(|options| (options.augment, options.epoch) = (augment, 3)))];
    assert_eq!(found, [3587346354055949810, 15067054451667466267]);
}

#[test]
fn a_batch_is_split_into_parts_that_are_as_even_as_can_be() {
    let images: Vec<f32> = (0..7 * 12).map(|value| value as f32).collect();
    let mut batch = Batch::new(images.clone(), [7, 3, 2, 2], (0..7).collect());
    batch.partners = (0..7).map(|label| Partner { label: 7 - label, share: 0.25 }).collect();
    for (most, sizes) in [(3, vec![2, 2, 3]), (4, vec![3, 4]), (7, vec![7]), (64, vec![7]), (1, vec![1; 7])] {
        let parts = batch.clone().split(most);
        assert_eq!(parts.iter().map(|part| part.shape[0]).collect::<Vec<_>>(), sizes);
        assert_eq!(parts.iter().flat_map(|part| part.images.clone()).collect::<Vec<_>>(), images);
        assert_eq!(parts.iter().flat_map(|part| part.labels.clone()).collect::<Vec<_>>(), batch.labels);
        assert_eq!(parts.iter().flat_map(|part| part.partners.clone()).collect::<Vec<_>>(), batch.partners);
        assert_eq!(parts.iter().flat_map(|part| part.indices.clone()).collect::<Vec<_>>(), batch.indices);
        assert!(parts.iter().all(|part| part.shape[1..] == [3, 2, 2] && part.labels.len() == part.shape[0]));
    }
    let empty = Batch::new(Vec::new(), [0, 3, 0, 0], Vec::new());
    assert_eq!(empty.clone().split(4), [empty]);
}

#[test]
fn images_are_resized_behind_augmentation_and_a_size_that_they_have_changes_nothing() {
    let set = Arc::new(Dataset::sample().unwrap().split(Split::Test).unwrap());
    let options = |size| {
        LoaderOptions::evaluation(20, Preprocess::normalise_only()).with(|options| {
            options.augment = vec![Augment::PadCrop { padding: 4 }];
            options.resize = size;
        })
    };
    let first = |options| Loader::new(set.clone(), options).unwrap().next().unwrap().unwrap();
    let (small, whole) = (first(options(Some([16, 8]))), first(options(None)));
    assert_eq!((small.shape, whole.shape), ([20, 3, 16, 8], [20, 3, 32, 32]));
    // The mean of a picture stays where it is.
    let mean = |batch: &Batch| {
        let values = batch.images.len() / batch.shape[0];
        batch.images.chunks(values).map(|image| image.iter().sum::<f32>() / values as f32).collect::<Vec<_>>()
    };
    for (small, whole) in mean(&small).iter().zip(mean(&whole)) {
        assert!((small - whole).abs() < 0.05, "{small} {whole}");
    }
    assert_eq!(first(options(Some([32, 32]))), whole);
}
