//! Parts of images, decoded by themselves: the pixels of the whole, and the same errors.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use residual_arch::{OrientationPolicy, Preprocess};
use residual_data::{
    Augment, Batch, ChoosePart, DataSource, Dataset, Error, Image, Loader, LoaderOptions, OpenOptions, Part,
    RandomResizedCrop, Source, Split, decode, decode_part,
};

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = entries.filter(|path| path.extension().is_some_and(|found| found == "jpg"));
    let mut found: Vec<_> =
        jpegs.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    found.sort();
    found
}

fn cut(image: &Image, Part { corner: [top, left], size: [height, width] }: Part) -> Vec<u8> {
    let stride = image.width() * image.channels();
    let rows = image.pixels().chunks(stride).skip(top).take(height);
    rows.flat_map(|row| &row[left * image.channels()..(left + width) * image.channels()]).copied().collect()
}

/// Parts at the edges of an image, around the borders of its blocks, and of one pixel.
fn parts([height, width]: [usize; 2]) -> Vec<Part> {
    let spans = |side: usize| {
        let places = [0, 1, 2, 6, 7, 8, 9, 15, 16, 17, 24, 31, 33, side.saturating_sub(1), side];
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for (i, &from) in places.iter().enumerate() {
            spans.extend(
                places[i + 1..].iter().filter(|&&to| from < to && to <= side).map(|&to| (from, to - from)),
            );
        }
        spans
    };
    let (rows, columns) = (spans(height), spans(width));
    let count = rows.len().max(columns.len());
    // Every span of either side comes up, with several of the other.
    let pairs =
        (0..3 * count).map(|i| (rows[i * 7 % rows.len()], columns[(i * 11 + i / count) % columns.len()]));
    pairs.map(|(row, column)| Part { corner: [row.0, column.0], size: [row.1, column.1] }).collect()
}

#[test]
fn a_part_has_the_pixels_of_the_whole() {
    let mut checked = 0;
    for (name, bytes) in fixtures() {
        let Ok(whole) = decode(&bytes, &name) else { continue };
        for part in parts([whole.height(), whole.width()]) {
            let image = decode_part(&bytes, &name, &|size, _| {
                assert_eq!(size, [whole.height(), whole.width()]);
                Some(part)
            })
            .unwrap();
            assert_eq!([image.height(), image.width()], part.size, "{name} {part:?}");
            assert!(image.pixels() == cut(&whole, part), "{name} {part:?}");
            checked += 1;
        }
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn a_part_that_is_not_in_the_image_is_the_whole() {
    let (name, bytes) = &fixtures()[0];
    let whole = decode(bytes, name).unwrap();
    let (height, width) = (whole.height(), whole.width());
    for (corner, size) in
        [([0, 0], [height, width + 1]), ([height, 0], [1, 1]), ([0, 0], [0, 1]), ([usize::MAX, 0], [2, 2])]
    {
        assert_eq!(decode_part(bytes, name, &|_, _| Some(Part { corner, size })).unwrap(), whole);
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    let corner = |_: [usize; 2], _| Some(Part { corner: [0, 0], size: [1, 1] });
    for (name, bytes) in fixtures() {
        for cut in [5, bytes.len() / 3, bytes.len() / 2] {
            let cut = &bytes[..bytes.len() - cut.min(bytes.len() - 1)];
            let (whole, part) = (decode(cut, &name), decode_part(cut, &name, &corner));
            let said = |result: Result<Image, Error>| result.map(drop).map_err(|error| error.to_string());
            assert_eq!(said(part), said(whole), "{name}");
        }
    }
}

/// Images of another source, whole.
struct Whole(Arc<dyn Source>);

impl Source for Whole {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.0.image(index)
    }
}

/// Images of another source, of which it counts the pixels that were decoded.
struct Counted(Arc<dyn Source>, AtomicUsize);

impl Source for Counted {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.0.image(index)
    }

    fn image_part(&self, index: usize, choose: &ChoosePart<'_>) -> Result<Image, Error> {
        let image = self.0.image_part(index, choose)?;
        self.1.fetch_add(image.width() * image.height(), Ordering::Relaxed);
        Ok(image)
    }
}

#[test]
fn batches_of_parts_are_those_of_whole_images() {
    let place = tempfile::tempdir().unwrap();
    for (class, names) in ["a", "b"].iter().zip([["turned_", "ycc_"], ["size_", "restart"]]) {
        fs::create_dir_all(place.path().join(class)).unwrap();
        for (name, bytes) in photographs().into_iter().chain(fixtures()) {
            let file = Path::new(&name).file_name().unwrap().to_str().unwrap().to_owned();
            if names.iter().any(|begin| file.starts_with(begin)) {
                fs::write(place.path().join(class).join(file), bytes).unwrap();
            }
        }
    }
    let options = OpenOptions::default().with(|options| options.holdout = 0.0);
    let dataset = Dataset::open(&DataSource::from(place.path().to_owned()), &options).unwrap();
    let set: Arc<dyn Source> = Arc::new(dataset.split(Split::Train).unwrap());
    let crop = Augment::RandomResizedCrop(RandomResizedCrop::new([13, 11]));
    let training = LoaderOptions::evaluation(8, Preprocess::normalise_only()).with(|options| {
        options.augment = vec![crop, Augment::HorizontalFlip { probability: 0.5 }];
        options.preprocess.orientation = OrientationPolicy::Apply;
        options.shuffle = true;
    });
    // Of a square, 49% is seen.
    let evaluation = LoaderOptions::evaluation(8, Preprocess::imagenet(20, 14));
    // Small images are padded.
    let padding = LoaderOptions::evaluation(8, Preprocess::normalise_only())
        .with(|options| options.preprocess.crop = Some([20, 24]));
    for (options, most) in [(training, 0.67), (evaluation, 0.8), (padding, 0.8)] {
        let batches = |set: Arc<dyn Source>, epoch| -> Vec<Batch> {
            let options = options.clone().with(|options| options.epoch = epoch);
            Loader::new(set, options).unwrap().map(Result::unwrap).collect()
        };
        let counted = Arc::new(Counted(set.clone(), AtomicUsize::new(0)));
        let (mut decoded, mut all) = (0, 0);
        for epoch in 0..3 {
            assert_eq!(batches(counted.clone(), epoch), batches(Arc::new(Whole(set.clone())), epoch));
            decoded += counted.1.swap(0, Ordering::Relaxed);
            let size = |index| set.image(index).map(|image| image.width() * image.height()).unwrap();
            all += (0..set.len()).map(size).sum::<usize>();
        }
        assert!((decoded as f64) < most * all as f64, "{decoded} of {all} pixels, {most}");
    }
}

/// Files with every orientation.
fn photographs() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photographs");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let jpegs = entries.filter(|path| path.extension().is_some_and(|found| found == "jpg"));
    jpegs.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}
