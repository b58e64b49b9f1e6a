//! Cost of each augmentation by itself, on one thread: what it adds to an image of 224x224 and of 32x32, and images a
//! second from a JPEG to the augmented 224x224.
//!
//! ```text
//! cargo run --release -p residual-data --example augment_speed -- FOLDER
//! ```
//!
//! FOLDER holds photographs.

use std::error::Error;
use std::time::Instant;

use residual_arch::Preprocess;
use residual_data::{Augment, Augmenter, Image, RandomResizedCrop, SampleKey, decode};

/// Every augmentation with its default parameters, or usual ones where it has none.
const EACH: [&str; 14] = [
    "pad_crop",
    "horizontal_flip:probability=1",
    "vertical_flip:probability=1",
    "random_rotation:degrees=15",
    "random_rotation:degrees=15:interpolation=bilinear",
    "random_affine:degrees=15:translate=[0.1,0.1]:scale=[0.9,1.1]",
    "color_jitter:brightness=0.4:contrast=0.4:saturation=0.4:hue=0.1",
    "random_grayscale:probability=1",
    "gaussian_blur",
    "gaussian_blur:kernel_size=23",
    "rand_augment",
    "trivial_augment_wide",
    "auto_augment",
    "random_erasing:probability=1:value=random",
];

/// Those that take a chain of others.
const SLOW: [&str; 2] = ["aug_mix", "three_augment"];

/// Seconds that each is measured for at least.
const LONG_ENOUGH: f64 = 0.4;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("augment_speed FOLDER")?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jpg")) {
            files.push(std::fs::read(path)?);
        }
    }
    if files.is_empty() {
        return Err("no .jpg there".into());
    }
    let [large, small] = [224, 32].map(|side| crop(side, None));
    let [large, small] = [large?, small?];
    let whole = files.iter().map(|file| decode(file, "photograph")).collect::<Result<Vec<_>, _>>()?;
    let cut = |augmenter: &Augmenter| -> Result<Vec<Image>, residual_data::Error> {
        whole.iter().map(|image| augmenter.apply(image.clone(), SampleKey::default(), "x")).collect()
    };
    let (large_images, small_images) = (cut(&large)?, cut(&small)?);
    let base = per_image(|index| from_jpeg(&large, &files[index % files.len()], index))?;
    println!("| augmentation | 224x224, µs | 32x32, µs | JPEG to 224x224, images/s |");
    println!("| --- | --- | --- | --- |");
    println!("| none but the crop | | | {:.0} |", 1e6 / base);
    for text in EACH.iter().chain(&SLOW) {
        let augment: Augment = text.parse()?;
        let alone = Augmenter::new(std::slice::from_ref(&augment), &Preprocess::normalise_only())?;
        let on = |images: &[Image]| {
            let copy = per_image(|index| Ok(images[index % images.len()].clone()))?;
            let all = per_image(|index| alone.apply(images[index % images.len()].clone(), key(index), "x"))?;
            Ok::<f64, residual_data::Error>((all - copy).max(0.0))
        };
        let (at_large, at_small) = (on(&large_images)?, on(&small_images)?);
        let both = crop(224, Some(augment))?;
        let jpeg = per_image(|index| from_jpeg(&both, &files[index % files.len()], index))?;
        println!("| `{text}` | {at_large:.0} | {at_small:.1} | {:.0} |", 1e6 / jpeg);
    }
    Ok(())
}

fn crop(side: usize, behind: Option<Augment>) -> Result<Augmenter, residual_data::Error> {
    let list: Vec<Augment> = [Augment::RandomResizedCrop(RandomResizedCrop::new([side, side]))]
        .into_iter()
        .chain(behind)
        .collect();
    Augmenter::new(&list, &Preprocess::normalise_only())
}

fn key(index: usize) -> SampleKey {
    SampleKey::new(0, 0, index as u64)
}

fn from_jpeg(augmenter: &Augmenter, file: &[u8], index: usize) -> Result<Image, residual_data::Error> {
    augmenter.apply(decode(file, "photograph")?, key(index), "photograph")
}

/// Microseconds an image.
fn per_image(
    mut image: impl FnMut(usize) -> Result<Image, residual_data::Error>,
) -> Result<f64, residual_data::Error> {
    let mut count = 0;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < LONG_ENOUGH {
        for _ in 0..16 {
            std::hint::black_box(image(count)?);
            count += 1;
        }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / count as f64)
}
