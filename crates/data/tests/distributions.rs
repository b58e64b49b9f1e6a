//! Random parameters of every augmentation: bounds, mean, coverage, and the share of every part of the range;
//! independence of neighbours in an epoch, of epochs, seeds, repetitions and places in the list, of the other parameters
//! of an image, and of the worker that draws them.

mod support;

use std::sync::Arc;

use residual_arch::Preprocess;
use residual_data::{
    AugMix, Augment, Augmenter, AutoAugment, ColorJitter, GaussianBlur, Image, LabelledImages, Loader,
    LoaderOptions, Mix, MixMode, Operation, RandAugment, RandomAffine, RandomErasing, RandomResizedCrop,
    RandomRotation, SampleKey, Source, Spread, ThreeAugment, TrivialAugmentWide,
};
use support::augments::each;
use support::laws::Law;

/// Images of an epoch.
const IMAGES: u64 = 8000;

/// `[height, width]` of the images, so large that a pixel is little.
const SIZE: [usize; 2] = [4000, 5000];

/// A parameter: its name, its law, and its value in what was drawn, `None` where it was not drawn.
type Parameter = (&'static str, Law, fn(&[Operation]) -> Option<f64>);

/// An augmentation, and parameters that it draws independently of each other.
struct Case {
    augment: Augment,
    parameters: Vec<Parameter>,
}

fn drawn(augment: &Augment, keys: impl Iterator<Item = SampleKey>) -> Vec<Vec<Operation>> {
    let augmenter = Augmenter::new(std::slice::from_ref(augment), &Preprocess::normalise_only()).unwrap();
    keys.map(|key| augmenter.operations(SIZE, key)).collect()
}

fn hold(case: &Case) {
    let Case { augment, parameters } = case;
    let name = augment.name();
    let keys =
        |seed, epoch, first| (first..first + IMAGES).map(move |index| SampleKey::new(seed, epoch, index));
    let epoch = drawn(augment, keys(3, 0, 0));
    let next_place = Augmenter::new(&[identity(), augment.clone()], &Preprocess::normalise_only()).unwrap();
    let others = [
        ("its neighbour", drawn(augment, keys(3, 0, 1))),
        ("the image a batch later", drawn(augment, keys(3, 0, 64))),
        ("the next epoch", drawn(augment, keys(3, 1, 0))),
        ("the next seed", drawn(augment, keys(4, 0, 0))),
        ("its repetition", drawn(augment, keys(3, 0, 0).map(|key| key.with(|key| key.repetition = 1)))),
        ("the next of the list", keys(3, 0, 0).map(|key| next_place.operations(SIZE, key)).collect()),
    ];
    for (place, (parameter, law, value)) in parameters.iter().enumerate() {
        let values: Vec<f64> = epoch.iter().filter_map(|operations| value(operations)).collect();
        law.hold(&values, &format!("{name}: {parameter}"));
        let pairs = |other: &[Vec<Operation>], of: fn(&[Operation]) -> Option<f64>| -> Vec<[f64; 2]> {
            let both = |(a, b): (&Vec<Operation>, &Vec<Operation>)| Some([value(a)?, of(b)?]);
            epoch.iter().zip(other).filter_map(both).collect()
        };
        for (other, operations) in &others {
            let pairs = pairs(operations, *value);
            // What seldom comes twice in a row has too few pairs for its many values.
            if pairs.len() > 1000 {
                law.hold_independent(law, &pairs, &format!("{name}: {parameter} and that of {other}"));
            }
        }
        for (second, other_law, of) in &parameters[place + 1..] {
            let pairs = pairs(&epoch, *of);
            if pairs.len() > 1000 {
                law.hold_independent(other_law, &pairs, &format!("{name}: {parameter} and {second}"));
            }
        }
    }
}

/// An augmentation that draws and does nothing.
fn identity() -> Augment {
    Augment::HorizontalFlip { probability: 0.0 }
}

/// The value of the first operation that has one.
fn first(operations: &[Operation], value: impl Fn(&Operation) -> Option<f64>) -> Option<f64> {
    operations.iter().find_map(value)
}

macro_rules! of {
    ($pattern:pat => $value:expr) => {
        |operations: &[Operation]| {
            first(operations, |operation| match operation {
                $pattern => Some($value),
                _ => None,
            })
        }
    };
}

fn is_changed(operations: &[Operation]) -> Option<f64> {
    Some(f64::from(u8::from(!operations.is_empty())))
}

/// Start of a part of the side that leaves `room`, from 0 to 1.
fn start(at: usize, room: usize) -> f64 {
    (at as f64 + 0.5) / (room as f64 + 1.0)
}

#[test]
fn geometry() {
    const HEIGHT: f64 = SIZE[0] as f64;
    const WIDTH: f64 = SIZE[1] as f64;
    let half_log = 1.2_f64.ln();
    let crop = RandomResizedCrop::new([224, 224])
        .with(|crop| (crop.scale, crop.ratio) = ([0.1, 0.3], [1.0 / 1.2, 1.2]));
    let affine = RandomAffine::new(20.0).with(|affine| {
        (affine.translate, affine.scale) = ([0.2, 0.3], [0.7, 1.3]);
        affine.shear = [Spread::Around(10.0), Spread::Between([-3.0, 5.0])];
    });
    let between = RandomRotation::new(0.0).with(|rotation| rotation.degrees = Spread::Between([-10.0, 45.0]));
    let unit = || Law::Even([0.0, 1.0]);
    let cases = [
        Case {
            augment: Augment::RandomResizedCrop(crop),
            parameters: vec![
                (
                    "area",
                    Law::Even([0.1, 0.3]),
                    of!(Operation::ResizedCrop { part: [h, w], .. } =>
                    (h * w) as f64 / (HEIGHT * WIDTH)),
                ),
                (
                    "logarithm of the aspect",
                    Law::Even([-half_log, half_log]),
                    of!(Operation::ResizedCrop { part: [h, w], .. } => (*w as f64 / *h as f64).ln()),
                ),
                (
                    "row",
                    unit(),
                    of!(Operation::ResizedCrop { corner: [top, _], part: [h, _], .. } =>
                    start(top.unsigned_abs(), SIZE[0] - h)),
                ),
                (
                    "column",
                    unit(),
                    of!(Operation::ResizedCrop { corner: [_, left], part: [_, w], .. } =>
                    start(left.unsigned_abs(), SIZE[1] - w)),
                ),
            ],
        },
        Case {
            augment: Augment::PadCrop { padding: 3 },
            parameters: vec![
                (
                    "row",
                    Law::even_counts(7),
                    of!(Operation::Crop { corner: [top, _], .. } => (top + 3) as f64),
                ),
                (
                    "column",
                    Law::even_counts(7),
                    of!(Operation::Crop { corner: [_, left], .. } => (left + 3) as f64),
                ),
            ],
        },
        Case {
            augment: Augment::HorizontalFlip { probability: 0.3 },
            parameters: vec![("probability", Law::chance(0.3), is_changed)],
        },
        Case {
            augment: Augment::VerticalFlip { probability: 0.7 },
            parameters: vec![("probability", Law::chance(0.7), is_changed)],
        },
        Case {
            augment: Augment::RandomRotation(RandomRotation::new(30.0)),
            parameters: vec![(
                "angle",
                Law::Even([-30.0, 30.0]),
                of!(Operation::Rotate(degrees, _) => *degrees),
            )],
        },
        Case {
            augment: Augment::RandomRotation(between),
            parameters: vec![(
                "angle",
                Law::Even([-10.0, 45.0]),
                of!(Operation::Rotate(degrees, _) => *degrees),
            )],
        },
        Case {
            augment: Augment::RandomAffine(affine),
            parameters: vec![
                ("angle", Law::Even([-20.0, 20.0]), of!(Operation::Affine(affine, _) => affine.angle)),
                (
                    "shift to the right",
                    Law::Even([-0.2, 0.2]),
                    of!(Operation::Affine(affine, _) =>
                    affine.translate[0] / WIDTH),
                ),
                (
                    "shift down",
                    Law::Even([-0.3, 0.3]),
                    of!(Operation::Affine(affine, _) =>
                    affine.translate[1] / HEIGHT),
                ),
                ("scale", Law::Even([0.7, 1.3]), of!(Operation::Affine(affine, _) => affine.scale)),
                (
                    "shear of rows",
                    Law::Even([-10.0, 10.0]),
                    of!(Operation::Affine(affine, _) => affine.shear[0]),
                ),
                (
                    "shear of columns",
                    Law::Even([-3.0, 5.0]),
                    of!(Operation::Affine(affine, _) => affine.shear[1]),
                ),
            ],
        },
    ];
    cases.iter().for_each(hold);
}

#[test]
fn colour_and_blur() {
    let jitter = ColorJitter::default().with(|jitter| {
        (jitter.brightness, jitter.contrast) = (Spread::Around(0.4), Spread::Between([0.2, 0.6]));
        (jitter.saturation, jitter.hue) = (Spread::Around(1.0), Spread::Around(0.2));
        jitter.probability = 0.8;
    });
    let blur = GaussianBlur::default().with(|blur| (blur.sigma, blur.probability) = ([0.3, 1.7], 0.6));
    let three = ThreeAugment::default().with(|three| three.color_jitter = 0.25);
    let cases = [
        Case {
            augment: Augment::ColorJitter(jitter.clone()),
            parameters: vec![("probability", Law::chance(0.8), is_changed)],
        },
        Case {
            augment: Augment::ColorJitter(jitter),
            parameters: vec![
                ("brightness", Law::Even([0.6, 1.4]), of!(Operation::Brightness(factor) => *factor)),
                ("contrast", Law::Even([0.2, 0.6]), of!(Operation::Contrast(factor) => *factor)),
                ("saturation", Law::Even([0.0, 2.0]), of!(Operation::Saturation(factor) => *factor)),
                ("hue", Law::Even([-0.2, 0.2]), of!(Operation::Hue(shift) => *shift)),
                ("order", Law::even_counts(24), order),
            ],
        },
        Case {
            augment: Augment::RandomGrayscale { probability: 0.2 },
            parameters: vec![("probability", Law::chance(0.2), is_changed)],
        },
        Case {
            augment: Augment::GaussianBlur(blur.clone()),
            parameters: vec![("probability", Law::chance(0.6), is_changed)],
        },
        Case {
            augment: Augment::GaussianBlur(blur),
            parameters: vec![(
                "sigma",
                Law::Even([0.3, 1.7]),
                of!(Operation::GaussianBlur { sigma, .. } => sigma[0]),
            )],
        },
        Case {
            augment: Augment::ThreeAugment(three.clone()),
            parameters: vec![("which of three", Law::even_counts(3), which_of_three)],
        },
        Case {
            augment: Augment::ThreeAugment(three),
            parameters: vec![
                ("radius", Law::Even([0.1, 2.0]), of!(Operation::PillowBlur(radius) => *radius)),
                ("brightness", Law::Even([0.75, 1.25]), of!(Operation::Brightness(factor) => *factor)),
                ("contrast", Law::Even([0.75, 1.25]), of!(Operation::Contrast(factor) => *factor)),
                ("saturation", Law::Even([0.75, 1.25]), of!(Operation::Saturation(factor) => *factor)),
            ],
        },
    ];
    cases.iter().for_each(hold);
}

fn which_of_three(operations: &[Operation]) -> Option<f64> {
    Some(match operations[0] {
        Operation::Grayscale => 0.0,
        Operation::Solarize(128.0) => 1.0,
        Operation::PillowBlur(_) => 2.0,
        ref other => panic!("{other:?}"),
    })
}

/// Number of the order of four operations, 0 to 23.
fn order(operations: &[Operation]) -> Option<f64> {
    let place = |operation: &Operation| match operation {
        Operation::Brightness(_) => 0,
        Operation::Contrast(_) => 1,
        Operation::Saturation(_) => 2,
        _ => 3,
    };
    let mut left = vec![0, 1, 2, 3];
    let mut number = 0;
    for operation in operations {
        let at = left.iter().position(|&one| one == place(operation))?;
        number = number * left.len() + at;
        left.remove(at);
    }
    (!operations.is_empty()).then_some(number as f64)
}

#[test]
fn erasing() {
    let erasing = RandomErasing::default().with(|erasing| {
        (erasing.probability, erasing.scale, erasing.ratio) = (0.75, [0.02, 0.1], [0.5, 2.0]);
    });
    let two = 2_f64.ln();
    hold(&Case {
        augment: Augment::RandomErasing(erasing.clone()),
        parameters: vec![("probability", Law::chance(0.75), is_changed)],
    });
    hold(&Case {
        augment: Augment::RandomErasing(erasing),
        parameters: vec![
            (
                "area",
                Law::Even([0.02, 0.1]),
                of!(Operation::Erase { size: [h, w], .. } =>
                (h * w) as f64 / (SIZE[0] * SIZE[1]) as f64),
            ),
            (
                "logarithm of the aspect",
                Law::Even([-two, two]),
                of!(Operation::Erase { size: [h, w], .. } =>
                (*h as f64 / *w as f64).ln()),
            ),
            (
                "row",
                Law::Even([0.0, 1.0]),
                of!(Operation::Erase { corner, size, .. } =>
                start(corner[0], SIZE[0] - size[0])),
            ),
            (
                "column",
                Law::Even([0.0, 1.0]),
                of!(Operation::Erase { corner, size, .. } =>
                start(corner[1], SIZE[1] - size[1])),
            ),
        ],
    });
}

/// Number of a change in torchvision's order, identity not counted.
fn change(operation: &Operation) -> f64 {
    let number = match operation {
        Operation::Affine(affine, _) if affine.shear[0] != 0.0 => 0,
        Operation::Affine(affine, _) if affine.shear[1] != 0.0 => 1,
        Operation::Affine(affine, _) if affine.translate[0] != 0.0 => 2,
        Operation::Affine(affine, _) if affine.translate[1] != 0.0 => 3,
        Operation::Rotate(..) => 4,
        Operation::Brightness(_) => 5,
        Operation::Saturation(_) => 6,
        Operation::Contrast(_) => 7,
        Operation::Sharpness(_) => 8,
        Operation::Posterize(_) => 9,
        Operation::Solarize(_) => 10,
        Operation::Autocontrast => 11,
        Operation::Equalize => 12,
        other => panic!("{other:?}"),
    };
    f64::from(number)
}

/// Number of the change where there is one of the strongest magnitude: 0 for identity.
fn change_or_none(operations: &[Operation]) -> Option<f64> {
    Some(operations.first().map_or(0.0, |operation| 1.0 + change(operation)))
}

/// 1 where the magnitude of a signed change is negative.
fn sign(operations: &[Operation]) -> Option<f64> {
    first(operations, |operation| {
        let magnitude = match operation {
            Operation::Affine(affine, _) => {
                affine.shear[0] + affine.shear[1] + affine.translate[0] + affine.translate[1]
            }
            Operation::Rotate(degrees, _) => *degrees,
            Operation::Brightness(factor)
            | Operation::Saturation(factor)
            | Operation::Contrast(factor)
            | Operation::Sharpness(factor) => factor - 1.0,
            _ => return None,
        };
        (magnitude != 0.0).then_some(f64::from(u8::from(magnitude < 0.0)))
    })
}

/// Bin of 31 of a rotation by up to 135 degrees.
fn bin_of_rotation(operations: &[Operation]) -> Option<f64> {
    first(operations, |operation| match operation {
        Operation::Rotate(degrees, _) => Some((degrees.abs() / 4.5).round()),
        _ => None,
    })
}

#[test]
fn policies() {
    let one = RandAugment::default().with(|policy| (policy.num_ops, policy.magnitude) = (1, 30));
    let two = RandAugment::default().with(|policy| policy.magnitude = 30);
    let both = |place: usize| -> fn(&[Operation]) -> Option<f64> {
        match place {
            0 => |operations| (operations.len() == 2).then(|| change(&operations[0])),
            _ => |operations| (operations.len() == 2).then(|| change(&operations[1])),
        }
    };
    let cases = [
        Case {
            augment: Augment::RandAugment(one.clone()),
            parameters: vec![("change", Law::even_counts(14), change_or_none)],
        },
        Case { augment: Augment::RandAugment(one), parameters: vec![("sign", Law::chance(0.5), sign)] },
        Case {
            augment: Augment::RandAugment(two),
            parameters: vec![
                ("first of two", Law::even_counts(13), both(0)),
                ("second of two", Law::even_counts(13), both(1)),
            ],
        },
        Case {
            augment: Augment::TrivialAugmentWide(TrivialAugmentWide::default()),
            parameters: vec![
                ("sign", Law::chance(0.5), sign),
                ("bin of a rotation", Law::even_counts(31), bin_of_rotation),
                (
                    "bin of the threshold",
                    Law::even_counts(31),
                    of!(Operation::Solarize(threshold) =>
                    (30.0 * (1.0 - threshold / 255.0)).round()),
                ),
                (
                    "bin of the brightness",
                    Law::even_counts(31),
                    of!(Operation::Brightness(factor) =>
                    ((factor - 1.0).abs() / 0.99 * 30.0).round()),
                ),
            ],
        },
        Case {
            augment: Augment::AutoAugment(AutoAugment::default()),
            parameters: vec![("sign", Law::chance(0.5), sign)],
        },
    ];
    cases.iter().for_each(hold);
}

/// Chains of a mixture, and the image's own share.
fn mixture(operations: &[Operation]) -> (f64, &[residual_data::Chain]) {
    match operations {
        [Operation::Mixture { own, chains }] => (f64::from(*own), chains),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mixtures() {
    // A first share of three that are even on the simplex: 1 - (1 - x)^2.
    let first_share: fn(&[Operation]) -> Option<f64> = |operations| {
        let (own, chains) = mixture(operations);
        (own < 0.99).then(|| f64::from(chains[0].share) / (1.0 - own))
    };
    let depth: fn(&[Operation]) -> Option<f64> =
        |operations| Some(mixture(operations).1[1].operations.len() as f64 - 1.0);
    let severity: fn(&[Operation]) -> Option<f64> = |operations| {
        first(&mixture(operations).1[2].operations, |operation| match operation {
            Operation::Rotate(degrees, _) => Some((degrees.abs() / 30.0 * 9.0).round()),
            _ => None,
        })
    };
    hold(&Case {
        augment: Augment::AugMix(AugMix::default().with(|policy| policy.severity = 4)),
        parameters: vec![
            ("share of the image", Law::Even([0.0, 1.0]), |operations| Some(mixture(operations).0)),
            ("share of a chain", Law::Cumulative(|share| 1.0 - (1.0 - share).powi(2)), first_share),
            ("depth", Law::even_counts(3), depth),
            ("bin of a rotation", Law::even_counts(4), severity),
        ],
    });
}

/// Images of one level, of four pixels.
fn flat(count: usize) -> Arc<LabelledImages> {
    let image = |at: usize| (Image::new(2, 2, 3, vec![at as u8; 12]).unwrap(), at % 2);
    Arc::new(LabelledImages::new(["a", "b"], (0..count).map(image).collect()).unwrap())
}

#[test]
fn shares_of_mixed_images() {
    let set = flat(IMAGES as usize);
    let shares = |epoch: u64, mode: MixMode| -> Vec<f64> {
        let options = LoaderOptions::evaluation(2, Preprocess::normalise_only()).with(|options| {
            (options.seed, options.epoch) = (3, epoch);
            options.mix = Some(Mix::default().with(|mix| (mix.mixup, mix.mode) = (1.0, mode)));
        });
        let batches = Loader::new(set.clone(), options).unwrap();
        batches.flat_map(|batch| batch.unwrap().partners).map(|partner| partner.share).collect()
    };
    let law = Law::Even([0.0, 1.0]);
    let pairs = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| [*a, *b]).collect::<Vec<[f64; 2]>>();
    let element = shares(0, MixMode::Element);
    law.hold(&element, "mixup: share");
    law.hold_independent(&law, &pairs(&element, &element[1..]), "mixup: neighbours");
    law.hold_independent(&law, &pairs(&element, &shares(1, MixMode::Element)), "mixup: epochs");
    let batch: Vec<f64> = shares(0, MixMode::Batch).into_iter().step_by(2).collect();
    law.hold(&batch, "mixup: share of a batch");
    law.hold_independent(&law, &pairs(&batch, &batch[1..]), "mixup: batches");
}

/// Worker threads have no state of their own: what a batch holds is what each image's key says, whoever decodes it.
#[test]
fn workers() {
    let preprocess = Preprocess::normalise_only().with(|preprocess| {
        (preprocess.mean, preprocess.std) = (vec![0.0; 3], vec![1.0; 3]);
    });
    let pixels = (0..24 * 20 * 3).map(|at| (at * 37 % 251) as u8).collect();
    let image = Image::new(24, 20, 3, pixels).unwrap();
    let set = Arc::new(LabelledImages::new(["a"], vec![(image.clone(), 0); 60]).unwrap());
    for augment in each() {
        let name = augment.name();
        let augmenter = Augmenter::new(std::slice::from_ref(&augment), &preprocess).unwrap();
        let wanted: Vec<Vec<u8>> = (0..60)
            .map(|index| {
                augmenter.apply(image.clone(), SampleKey::new(5, 2, index), "x").unwrap().into_pixels()
            })
            .collect();
        for workers in [1, 2, 5] {
            let options = LoaderOptions::evaluation(4, preprocess.clone()).with(|options| {
                (options.seed, options.epoch, options.workers) = (5, 2, workers);
                options.augment = vec![augment.clone()];
            });
            let mut seen = 0;
            for batch in Loader::new(set.clone() as Arc<dyn Source>, options).unwrap() {
                let batch = batch.unwrap();
                let size: usize = batch.shape[1..].iter().product();
                for (values, &index) in batch.images.chunks(size).zip(&batch.indices) {
                    let plane = size / 3;
                    let level = |at: usize| (values[at % 3 * plane + at / 3] * 255.0).round() as u8;
                    let found: Vec<u8> = (0..size).map(level).collect();
                    assert_eq!(found, wanted[index], "{name}: image {index} with {workers} workers");
                    seen += 1;
                }
            }
            assert_eq!(seen, 60);
        }
    }
}

#[test]
fn what_is_off_by_little_is_found() {
    let even: Vec<f64> = (0..8000).map(|at| (at as f64 * 0.618_034).fract()).collect();
    Law::Even([0.0, 1.0]).hold(&even, "even");
    let fails = |law: Law, change: fn(f64) -> f64| {
        let values: Vec<f64> = even.iter().map(|&value| change(value)).collect();
        std::panic::catch_unwind(|| law.hold(&values, "changed")).is_err()
    };
    assert!(fails(Law::Even([0.0, 1.0]), |value| 0.95 * value), "the end is not reached");
    assert!(fails(Law::Even([0.0, 0.95]), |value| value), "beyond the end");
    assert!(fails(Law::Even([0.0, 1.0]), |value| value.powf(1.1)), "not even");
    assert!(fails(Law::chance(0.5), |value| f64::from(value < 0.54)));
    assert!(!fails(Law::chance(0.5), |value| f64::from(value < 0.5)));
    let law = Law::Even([0.0, 1.0]);
    let pairs: Vec<[f64; 2]> = even.iter().map(|&value| [value, (value * 0.5 + 0.25)]).collect();
    assert!(std::panic::catch_unwind(|| law.hold_independent(&law, &pairs, "pairs")).is_err());
}
