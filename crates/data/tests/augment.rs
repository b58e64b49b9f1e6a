//! Augmentations: functions of their keys, with the distributions that they promise.

mod support;

use std::collections::BTreeSet;

use residual_arch::Preprocess;
use residual_data::{
    Augment, Augmenter, ColorJitter, EraseValue, Error, Fill, GaussianBlur, Image, Noise, RandAugment,
    RandomErasing, RandomRotation, SampleKey, Spread, ThreeAugment,
};
use support::augments::{each, erasing};

fn image(width: usize, height: usize, channels: usize) -> Image {
    let pixels = (0..width * height * channels).map(|at| (at * 37 % 255 + 1) as u8).collect();
    Image::new(width, height, channels, pixels).unwrap()
}

fn preprocess(channels: usize) -> Preprocess {
    Preprocess::normalise_only().with(|preprocess| {
        preprocess.mean = (0..channels).map(|channel| 0.5 - 0.1 * channel as f32).collect();
        preprocess.std = vec![0.25; channels];
    })
}

fn apply(list: &[Augment], image: &Image, index: u64) -> Image {
    let augmenter = Augmenter::new(list, &preprocess(image.channels())).unwrap();
    augmenter.apply(image.clone(), SampleKey::new(1, 0, index), "x").unwrap()
}

fn at(image: &Image, one: &Augment, index: u64) -> Image {
    apply(std::slice::from_ref(one), image, index)
}

#[test]
fn each_augmentation_is_a_function_of_its_key() {
    let source = image(20, 16, 3);
    let key = SampleKey::new(1, 2, 3);
    let others = [
        SampleKey::new(2, 2, 3),
        SampleKey::new(1, 3, 3),
        SampleKey::new(1, 2, 4),
        key.with(|key| key.repetition = 1),
    ];
    for one in each() {
        let augmenter = Augmenter::new(std::slice::from_ref(&one), &preprocess(3)).unwrap();
        let run = |key| augmenter.apply(source.clone(), key, "x").unwrap();
        assert_eq!(run(key), run(key), "{}", one.name());
        // Some draw one thing of two: of many keys, each number makes a difference for some.
        for (place, other) in others.iter().enumerate() {
            let differ = (0..40).any(|index| {
                let [a, b] = [key, *other].map(|key| key.with(|key| key.index += 10 * index));
                run(a) != run(b)
            });
            assert!(differ, "{}: number {place} of the key", one.name());
        }
        let results: BTreeSet<Vec<u8>> =
            (0..40).map(|index| at(&source, &one, index).into_pixels()).collect();
        assert!(results.len() > 1, "{}", one.name());
    }
    let all = each();
    assert_eq!(apply(&all, &source, 5), apply(&all, &source, 5));
    // The same augmentation twice draws twice.
    let flip = || Augment::HorizontalFlip { probability: 0.5 };
    let twice = (0..400).filter(|&index| apply(&[flip(), flip()], &source, index) != source).count();
    assert!((140..260).contains(&twice), "{twice}");
}

#[test]
fn pad_crop_shifts_in_both_directions_and_fills_with_black() {
    let source = image(4, 4, 1);
    let shifted = |[top, left]: [isize; 2]| -> Vec<u8> {
        let pixel = |y: isize, x: isize| match (0..4).contains(&y) && (0..4).contains(&x) {
            true => source.pixels()[(y * 4 + x) as usize],
            false => 0,
        };
        (0..4).flat_map(|y| (0..4).map(move |x| [y, x])).map(|[y, x]| pixel(y + top, x + left)).collect()
    };
    let mut seen = BTreeSet::new();
    for index in 0..200 {
        let cut = at(&source, &Augment::PadCrop { padding: 1 }, index);
        let all = (-1..=1).flat_map(|y| (-1..=1).map(move |x| [y, x]));
        let matching: Vec<[isize; 2]> = all.filter(|&corner| shifted(corner) == cut.pixels()).collect();
        assert_eq!(matching.len(), 1);
        seen.insert(matching[0]);
    }
    assert_eq!(seen.len(), 9, "every shift comes up: {seen:?}");
    assert_eq!(at(&source, &Augment::PadCrop { padding: 0 }, 0), source);
}

#[test]
fn probabilities_are_kept() {
    let source = image(7, 6, 3);
    type Make = fn(f64) -> Augment;
    let cases: [Make; 6] = [
        |probability| Augment::HorizontalFlip { probability },
        |probability| Augment::VerticalFlip { probability },
        |probability| Augment::RandomGrayscale { probability },
        |p| {
            Augment::GaussianBlur(
                GaussianBlur::default().with(|blur| (blur.probability, blur.sigma) = (p, [1.0, 2.0])),
            )
        },
        |p| {
            Augment::RandomErasing(
                RandomErasing::default()
                    .with(|erasing| (erasing.probability, erasing.scale) = (p, [0.2, 0.3])),
            )
        },
        |p| {
            Augment::ColorJitter(
                ColorJitter::default()
                    .with(|jitter| (jitter.probability, jitter.hue) = (p, Spread::Between([0.2, 0.4]))),
            )
        },
    ];
    for make in cases {
        let changed = |probability: f64| {
            let one = make(probability);
            (0..1000).filter(|&index| at(&source, &one, index) != source).count()
        };
        let name = make(0.5).name();
        assert_eq!(changed(0.0), 0, "{name}");
        assert!(changed(1.0) >= 995, "{name}: {}", changed(1.0));
        let quarter = changed(0.25);
        assert!((200..300).contains(&quarter), "{name}: {quarter} of 1000 at 0.25");
    }
}

/// Mean and extremes of numbers.
fn spread_of(values: &[f64]) -> [f64; 3] {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [least, values.iter().sum::<f64>() / values.len() as f64, greatest]
}

#[test]
fn factors_are_even_between_their_ends() {
    // Of a flat image of 100 the brightness is the factor in percent.
    let flat = Image::new(2, 2, 1, vec![100; 4]).unwrap();
    let factors = |brightness| -> Vec<f64> {
        let one = Augment::ColorJitter(ColorJitter::default().with(|jitter| jitter.brightness = brightness));
        (0..4000).map(|index| f64::from(at(&flat, &one, index).pixels()[0]) / 100.0).collect()
    };
    let [least, mean, greatest] = spread_of(&factors(Spread::Around(0.4)));
    assert!((0.6..0.62).contains(&least) && (1.38..=1.4).contains(&greatest), "{least} to {greatest}");
    assert!((mean - 1.0).abs() < 0.015, "{mean}");
    let [least, mean, greatest] = spread_of(&factors(Spread::Between([0.2, 0.6])));
    assert!((0.19..0.21).contains(&least) && (0.58..=0.6).contains(&greatest), "{least} to {greatest}");
    assert!((mean - 0.4).abs() < 0.015, "{mean}");
    // Below 0 there is nothing.
    assert!(factors(Spread::Around(1.5)).iter().any(|&factor| factor < 0.02));
}

#[test]
fn angles_are_even_to_both_sides() {
    // A dot on a disc: its place after the rotation tells the angle.
    let mut pixels = vec![0; 101 * 101];
    for y in 49..52 {
        for x in 88..91 {
            pixels[y * 101 + x] = 255;
        }
    }
    let dot = Image::new(101, 101, 1, pixels).unwrap();
    let one = Augment::RandomRotation(RandomRotation::new(30.0));
    let angle = |index| {
        let turned = at(&dot, &one, index);
        let lit = turned.pixels().iter().enumerate().filter(|(_, level)| **level > 0);
        let (mut sum, mut count) = ([0.0, 0.0], 0.0);
        for (place, _) in lit {
            sum[0] += (place / 101) as f64 - 50.0;
            sum[1] += (place % 101) as f64 - 50.0;
            count += 1.0;
        }
        (-sum[0] / count).atan2(sum[1] / count).to_degrees()
    };
    let angles: Vec<f64> = (0..1000).map(angle).collect();
    let [least, mean, greatest] = spread_of(&angles);
    assert!((-31.5..-28.5).contains(&least) && (28.5..31.5).contains(&greatest), "{least} to {greatest}");
    assert!(mean.abs() < 1.5, "{mean}");
    let outer = angles.iter().filter(|angle| angle.abs() > 15.0).count();
    assert!((430..570).contains(&outer), "{outer}");
}

#[test]
fn what_is_erased_keeps_to_scale_and_ratio() {
    let source = Image::new(60, 50, 1, vec![255; 3000]).unwrap();
    let one =
        Augment::RandomErasing(erasing().with(|erasing| erasing.value = EraseValue::Fill(Fill::Level(0))));
    let mut areas = Vec::new();
    for index in 0..1000 {
        let erased = at(&source, &one, index);
        let lost: Vec<usize> = (0..3000).filter(|&place| erased.pixels()[place] == 0).collect();
        if lost.is_empty() {
            continue;
        }
        let rows: BTreeSet<usize> = lost.iter().map(|place| place / 60).collect();
        let columns: BTreeSet<usize> = lost.iter().map(|place| place % 60).collect();
        assert_eq!(rows.len() * columns.len(), lost.len(), "a rectangle");
        let aspect = rows.len() as f64 / columns.len() as f64;
        assert!((0.25..4.0).contains(&aspect), "{aspect}");
        areas.push(lost.len() as f64 / 3000.0);
    }
    let [least, mean, greatest] = spread_of(&areas);
    assert!(areas.len() > 980);
    assert!((0.015..0.03).contains(&least) && (0.3..0.35).contains(&greatest), "{least} to {greatest}");
    assert!((mean - 0.17).abs() < 0.01, "{mean}");
}

#[test]
fn the_mean_is_erased_to_0_and_noise_has_the_statistics() {
    let source = Image::new(64, 64, 3, vec![255; 64 * 64 * 3]).unwrap();
    let erased = at(&source, &Augment::RandomErasing(erasing()), 0);
    let changed: Vec<&[u8]> = erased.pixels().chunks(3).filter(|pixel| **pixel != [255; 3]).collect();
    assert!(!changed.is_empty());
    // 255 times the means 0.5, 0.4 and 0.3, which in floats is a little more.
    assert!(changed.iter().all(|pixel| *pixel == [128, 102, 77]));
    let large = erasing().with(|erasing| {
        erasing.value = EraseValue::Noise(Noise::Random);
        (erasing.scale, erasing.ratio) = ([0.8, 0.8], [1.0, 1.0]);
    });
    let erased = at(&source, &Augment::RandomErasing(large), 0);
    let second: Vec<f64> = erased
        .pixels()
        .chunks(3)
        .filter(|pixel| **pixel != [255; 3])
        .map(|pixel| f64::from(pixel[1]) / 255.0)
        .collect();
    let [_, mean, _] = spread_of(&second);
    let variance = second.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / second.len() as f64;
    // 0.4 and 0.25, less what lies beyond black and white.
    assert!(second.len() > 2500 && (mean - 0.4).abs() < 0.02, "{mean}");
    assert!((variance.sqrt() - 0.24).abs() < 0.02, "{}", variance.sqrt());
}

#[test]
fn policies_choose_every_change_equally_often() {
    // Results of a single change of the strongest magnitude, told apart by their pixels.
    let source = image(40, 30, 3);
    let one = Augment::RandAugment(
        RandAugment::default().with(|policy| (policy.num_ops, policy.magnitude) = (1, 30)),
    );
    let mut counts = std::collections::BTreeMap::new();
    for index in 0..2800 {
        *counts.entry(at(&source, &one, index).into_pixels()).or_insert(0) += 1;
    }
    // Nine have a sign, four have none and change something, and identity does not: 9 * 2 + 4 + 1.
    assert_eq!(counts.len(), 23);
    let signed = counts.values().filter(|&&count| (60..145).contains(&count)).count();
    let unsigned = counts.values().filter(|&&count| (145..260).contains(&count)).count();
    assert_eq!((signed, unsigned), (18, 5), "{:?}", counts.values());
    assert!((150..250).contains(&counts[source.pixels()]));
}

#[test]
fn one_of_three_comes_up_as_often_as_the_others() {
    let source = image(16, 16, 3);
    let one = Augment::ThreeAugment(ThreeAugment::default().with(|three| three.color_jitter = 0.0));
    let is_grey = |image: &Image| image.pixels().chunks(3).all(|pixel| pixel == [pixel[0]; 3]);
    let solarised: Vec<u8> =
        source.pixels().iter().map(|&level| if level < 128 { level } else { 255 - level }).collect();
    let results: Vec<Image> = (0..900).map(|index| at(&source, &one, index)).collect();
    let grey = results.iter().filter(|image| is_grey(image)).count();
    let inverted = results.iter().filter(|image| image.pixels() == solarised).count();
    let blurred = 900 - grey - inverted;
    assert!(
        [grey, inverted, blurred].iter().all(|count| (240..360).contains(count)),
        "{grey} {inverted} {blurred}"
    );
}

#[test]
fn images_of_other_channels_have_what_makes_sense_and_the_rest_is_refused() {
    for channels in [1, 2, 4, 5] {
        let source = image(20, 16, channels);
        for one in each() {
            match Augmenter::new(std::slice::from_ref(&one), &preprocess(channels)) {
                Ok(augmenter) => {
                    for index in 0..40 {
                        let result =
                            augmenter.apply(source.clone(), SampleKey::new(1, 0, index), "x").unwrap();
                        assert_eq!(result.channels(), channels, "{}", one.name());
                    }
                }
                Err(error) => {
                    let refused = ["color_jitter", "random_grayscale", "three_augment"];
                    assert!(refused.contains(&one.name()), "{error}");
                    assert!(matches!(error, Error::AugmentChannels { .. }), "{error}");
                    assert!(error.to_string().contains(&format!("takes {channels} channels")), "{error}");
                }
            }
        }
        // Levels alone are of any image.
        let brightness = ColorJitter::default().with(|jitter| jitter.brightness = Spread::Around(0.4));
        assert!(Augmenter::new(&[Augment::ColorJitter(brightness)], &preprocess(channels)).is_ok());
    }
    let rotation = RandomRotation::new(5.0).with(|rotation| rotation.fill = Fill::Levels(vec![1, 2]));
    let rotation = Augment::RandomRotation(rotation);
    let error = Augmenter::new(&[rotation], &preprocess(3)).unwrap_err();
    assert!(error.to_string().starts_with("random_rotation.fill"), "{error}");
}

#[test]
fn images_of_more_than_8_bits_are_augmented_or_refused_by_name() {
    let values = (0..20 * 16 * 3).map(|at| (at * 37 % 255) as f32 / 255.0).collect();
    let deep = Image::deep(20, 16, 3, values).unwrap();
    let refused = ["rand_augment", "trivial_augment_wide", "auto_augment", "aug_mix", "three_augment"];
    for one in each() {
        let augmenter = Augmenter::new(std::slice::from_ref(&one), &preprocess(3)).unwrap();
        let results =
            (0..40).map(|index| augmenter.apply(deep.clone(), SampleKey::new(1, 0, index), "a.tif"));
        for result in results {
            match result {
                Ok(image) => {
                    assert!(image.values().is_some() && !refused.contains(&one.name()), "{}", one.name())
                }
                Err(error) => {
                    assert!(matches!(error, Error::MoreThan8Bits { .. }), "{error}");
                    // The hue of a jitter.
                    assert!(refused.contains(&one.name()) || one.name() == "color_jitter", "{error}");
                }
            }
        }
    }
}
