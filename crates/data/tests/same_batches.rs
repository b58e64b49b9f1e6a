//! The same batches, by hash, for any number of workers and after a resume in mid-epoch, of every kind of source.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::properties::WriterProperties;
use residual_arch::{Preprocess, Resize};
use residual_data::{
    Augment, Batch, DataSource, Dataset, Image, LabelledImages, Loader, LoaderOptions, OpenOptions,
    RandomResizedCrop, Source, Split,
};
use sha2::{Digest, Sha256};
use support::arrays::{mnist, npy, npz};
use support::cifar::{binary_10, binary_100, python_10, python_100};
use support::table::write_table;
use support::{Files, every_kind, gz_bytes, png, tar_bytes, write_folder};

/// Images in a training split: a whole number of batches and a rest.
const COUNT: usize = 22;

/// A kind of source: its name, and what makes one in a folder.
type Kind = (&'static str, fn(&Path) -> Vec<PathBuf>);

/// Every kind of data on disk. A new source adds its line here.
const KINDS: [Kind; 11] = [
    ("folder and archives", |place| every_kind(place, &folders())),
    ("lists", lists),
    ("IDX", |place| every_kind(place, &mnist(&labels(), &[1, 2]))),
    ("IDX, gzipped", |place| {
        let files = mnist(&labels(), &[1, 2]);
        write_folder(
            place,
            &files.iter().map(|(name, bytes)| (format!("{name}.gz"), gz_bytes(bytes))).collect(),
        );
        vec![place.into()]
    }),
    ("npz and npy", numpy),
    ("CIFAR-10, python", |place| every_kind(place, &python_10(&ten()))),
    ("CIFAR-10, binary", |place| every_kind(place, &binary_10(&ten()))),
    ("CIFAR-100, python", |place| every_kind(place, &python_100(&labels(), &[1]))),
    ("CIFAR-100, binary", |place| every_kind(place, &binary_100(&labels(), &[1]))),
    ("Parquet", tables),
    ("WebDataset", shards),
];

fn labels() -> Vec<u8> {
    (0..COUNT).map(|i| (i * 7 % 5) as u8).collect()
}

/// Labels of CIFAR-10's five training batches, and of its test batch.
fn ten() -> [Vec<u8>; 6] {
    let labels = labels();
    let batch = |batch: usize| match batch {
        5 => vec![1, 2],
        batch => labels.iter().skip(batch).step_by(5).copied().collect(),
    };
    [0, 1, 2, 3, 4, 5].map(batch)
}

fn folders() -> Files {
    let file = |i: usize| (format!("{}/{i:02}.png", ["a", "b"][i % 2]), png(i as u8 * 9));
    (0..COUNT).map(file).collect()
}

fn lists(place: &Path) -> Vec<PathBuf> {
    write_folder(place, &folders());
    let csv = (0..COUNT).map(|i| format!("{}/{i:02}.png,{}\n", ["a", "b"][i % 2], i % 3));
    let json = (0..COUNT)
        .map(|i| format!("{{\"path\": \"{}/{i:02}.png\", \"label\": {}}}\n", ["a", "b"][i % 2], i % 3));
    fs::write(place.join("l.csv"), String::from("path,label\n") + &csv.collect::<String>()).unwrap();
    fs::write(place.join("l.jsonl"), json.collect::<String>()).unwrap();
    ["l.csv", "l.jsonl"].map(|name| place.join(name)).into()
}

fn numpy(place: &Path) -> Vec<PathBuf> {
    let images = npy("|u1", &format!("({COUNT}, 6, 5, 3)"), &support::arrays::images(0, COUNT, 90));
    let arrays = [("x", images), ("y", npy("|u1", &format!("({COUNT},)"), &labels()))];
    let side_by_side = place.join("side by side");
    let files = arrays.iter().map(|(name, bytes)| (format!("{name}.npy"), bytes.clone()));
    write_folder(&side_by_side, &files.collect());
    let stored = [("stored.npz", false), ("deflated.npz", true)].map(|(name, deflated)| {
        fs::write(place.join(name), npz(&arrays, deflated)).unwrap();
        place.join(name)
    });
    [stored.to_vec(), vec![side_by_side]].concat()
}

/// Tables of one row group of a few pages.
fn tables(place: &Path) -> Vec<PathBuf> {
    let images = (0..COUNT).map(|i| png(i as u8 * 9)).collect();
    let pages = WriterProperties::builder().set_write_batch_size(1).set_data_page_size_limit(400);
    write_table(&place.join("t.parquet"), images, pages);
    vec![place.join("t.parquet")]
}

/// Two shards, by a name with braces and as a folder.
fn shards(place: &Path) -> Vec<PathBuf> {
    for shard in 0..2 {
        let sample = |i: usize| {
            [
                (format!("{i:03}.png"), png(i as u8 * 9)),
                (format!("{i:03}.cls"), (i % 3).to_string().into_bytes()),
            ]
        };
        let files = (0..COUNT).filter(|i| i % 2 == shard).flat_map(sample).collect();
        fs::write(place.join(format!("train-{shard}.tar")), tar_bytes(&files)).unwrap();
    }
    vec![place.join("train-{0..1}.tar"), place.into()]
}

/// The training images of data on disk, all of them.
fn opened(path: &Path) -> Arc<dyn Source> {
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let data = Dataset::open(&DataSource::Path(path.into()), &options);
    let data = data.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Arc::new(data.split(Split::Train).unwrap())
}

fn options() -> LoaderOptions {
    let preprocess =
        Preprocess::normalise_only().with(|preprocess| preprocess.resize = Some(Resize::Exact([8, 8])));
    LoaderOptions::evaluation(4, preprocess).with(|options| {
        (options.shuffle, options.seed, options.epoch) = (true, 9, 2);
        options.augment = vec![
            Augment::RandomResizedCrop(RandomResizedCrop::new([7, 5]).with(|crop| crop.scale = [0.2, 1.0])),
            Augment::HorizontalFlip { probability: 0.5 },
        ];
    })
}

/// Hash of all that a batch holds.
fn hash(batch: &Batch) -> String {
    let mut hash = Sha256::new();
    batch.images.iter().for_each(|value| hash.update(value.to_bits().to_le_bytes()));
    for number in batch.shape.iter().chain(&batch.labels).chain(&batch.indices) {
        hash.update((*number as u64).to_le_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hashes(set: &Arc<dyn Source>, options: LoaderOptions) -> Vec<String> {
    Loader::new(set.clone(), options).unwrap().map(|batch| hash(&batch.unwrap())).collect()
}

fn hold(name: &str, open: impl Fn() -> Arc<dyn Source>) {
    let set = open();
    assert_eq!(set.len(), COUNT, "{name}");
    let whole = hashes(&set, options().with(|options| options.workers = 1));
    assert_eq!(whole.len(), COUNT.div_ceil(4), "{name}");
    let mut different = whole.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), whole.len(), "{name}: batches are not alike");
    for workers in [0, 1, 2, 5] {
        assert_eq!(
            hashes(&set, options().with(|options| options.workers = workers)),
            whole,
            "{name}: {workers} workers"
        );
        for first_batch in [1, 3, 5] {
            // A resumed training opens its data again.
            let rest = hashes(
                &open(),
                options().with(|options| {
                    (options.workers, options.first_batch) = (workers, first_batch);
                }),
            );
            assert_eq!(rest, whole[first_batch..], "{name}: from batch {first_batch}, {workers} workers");
        }
    }
    let other = hashes(&set, options().with(|options| options.epoch = 3));
    assert!(other.iter().all(|batch| !whole.contains(batch)), "{name}: every epoch has its own");
}

#[test]
fn data_on_disk() {
    for (name, make) in KINDS {
        let place = tempfile::tempdir().unwrap();
        for path in make(place.path()) {
            hold(&format!("{name}: {}", path.display()), || opened(&path));
        }
    }
}

#[test]
fn the_same_files_in_every_archive() {
    let place = tempfile::tempdir().unwrap();
    let all = every_kind(place.path(), &folders()).into_iter().map(|path| hashes(&opened(&path), options()));
    let all: Vec<_> = all.collect();
    assert!(all.iter().all(|one| *one == all[0]));
}

#[test]
fn images_in_memory() {
    hold("memory", || {
        let image = |i: usize| Image::new(6, 5, 3, (0..90).map(|k| (i * 31 + k) as u8).collect()).unwrap();
        let images = (0..COUNT).map(|i| (image(i), i % 2)).collect();
        Arc::new(LabelledImages::new(["a", "b"], images).unwrap())
    });
}
