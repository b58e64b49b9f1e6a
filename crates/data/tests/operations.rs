//! Operations of augmentations against torchvision's and Pillow's own results (`bench/peers/augment.py`).

use std::path::Path;

use residual_arch::Interpolation;
use residual_data::{Affine, Erasure, Error, Image, Operation, Sampling, decode};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/augment").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn lines(name: &str) -> Vec<Vec<String>> {
    let split = |line: &str| line.split(' ').map(str::to_owned).collect();
    read(name).lines().filter(|line| !line.starts_with('#')).map(split).collect()
}

fn fnv(bytes: &[u8]) -> String {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn photo() -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/augment/photo.png");
    decode(&std::fs::read(path).unwrap(), "photo.png").unwrap()
}

fn noise(width: usize, height: usize, seed: u64) -> Image {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    Image::new(width, height, 3, (0..width * height * 3).map(|_| next()).collect()).unwrap()
}

fn gradient(width: usize, height: usize) -> Image {
    let pixel = |at: usize| {
        let (y, x) = (at / width, at % width);
        [x * 255 / (width - 1), y * 255 / (height - 1), (x * 3 + y * 5) % 256].map(|level| level as u8)
    };
    Image::new(width, height, 3, (0..width * height).flat_map(pixel).collect()).unwrap()
}

/// The images of `bench/peers/augment.py`.
fn picture(name: &str) -> Image {
    match name {
        "photo" => photo(),
        "dim" => {
            let photo = photo();
            let pixels = photo.pixels().iter().map(|level| 60 + level / 4).collect();
            Image::new(photo.width(), photo.height(), 3, pixels).unwrap()
        }
        "grey" => {
            let crop = Operation::ResizedCrop {
                corner: [2, 3],
                part: [29, 37],
                size: [29, 37],
                interpolation: Interpolation::Bilinear,
            };
            crop.apply(photo(), name).unwrap().with_channels(1, name).unwrap()
        }
        "gradient" => gradient(33, 20),
        "noise" => noise(17, 31, 5),
        "square" => noise(24, 24, 6),
        "wide" => gradient(224, 3),
        "row" => noise(9, 1, 7),
        "small" => noise(2, 2, 8),
        "flat" => Image::new(5, 4, 3, [10, 200, 30].repeat(20)).unwrap(),
        other => panic!("{other}"),
    }
}

fn interpolation(name: &str) -> Interpolation {
    match name {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => panic!("{other}"),
    }
}

fn operation(name: &str, parameters: &str) -> Operation {
    let parts: Vec<&str> = parameters.split(',').collect();
    let number = |at: usize| parts[at].parse::<f64>().unwrap();
    let whole = |at: usize| number(at) as usize;
    let last = parts[parts.len() - 1];
    let sampling = || Sampling { interpolation: interpolation(last), ..Sampling::default() };
    let corner = Some([0.0; 2]);
    let shear = |shear| Operation::Affine(Affine { shear, centre: corner, ..Affine::default() }, sampling());
    let shift = |translate| Operation::Affine(Affine { translate, ..Affine::default() }, sampling());
    match name {
        "shear_x" => shear([number(0).atan().to_degrees(), 0.0]),
        "shear_y" => shear([0.0, number(0).atan().to_degrees()]),
        "translate_x" => shift([number(0), 0.0]),
        "translate_y" => shift([0.0, number(0)]),
        "rotate" => Operation::Rotate(number(0), sampling()),
        "affine" => {
            let [angle, x, y, scale, shear_x, shear_y] = [0, 1, 2, 3, 4, 5].map(number);
            let affine = Affine { angle, translate: [x, y], scale, shear: [shear_x, shear_y], centre: None };
            Operation::Affine(affine, sampling())
        }
        "horizontal_flip" => Operation::HorizontalFlip,
        "vertical_flip" => Operation::VerticalFlip,
        "resized_crop" => Operation::ResizedCrop {
            corner: [whole(0) as isize, whole(1) as isize],
            part: [whole(2), whole(3)],
            size: [whole(4), whole(5)],
            interpolation: interpolation(last),
        },
        "brightness" => Operation::Brightness(number(0)),
        "contrast" => Operation::Contrast(number(0)),
        "saturation" => Operation::Saturation(number(0)),
        "sharpness" => Operation::Sharpness(number(0)),
        "hue" => Operation::Hue(number(0)),
        "posterize" => Operation::Posterize(number(0) as u8),
        "solarize" => Operation::Solarize(number(0)),
        "autocontrast" => Operation::Autocontrast,
        "equalize" => Operation::Equalize,
        "invert" => Operation::Invert,
        "grayscale" => Operation::Grayscale,
        "pillow_blur" => Operation::PillowBlur(number(0)),
        "erase" => Operation::Erase {
            corner: [whole(0), whole(1)],
            size: [whole(2), whole(3)],
            erasure: Erasure::Colour(vec![7.0, 130.0, 255.0]),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn operations_have_the_bits_of_pillow_and_torchvision() {
    let mut wrong = Vec::new();
    let all = lines("operations.txt");
    for line in &all {
        let [image, name, parameters, wanted] = &line[..] else { panic!("{line:?}") };
        let result = operation(name, parameters).apply(picture(image), image).unwrap();
        if fnv(result.pixels()) != *wanted {
            wrong.push(line[..3].join(" "));
        }
    }
    assert_eq!(wrong, [""; 0], "{} of {}", wrong.len(), all.len());
    assert!(all.len() > 900);
}

#[test]
fn the_gaussian_blur_is_within_one_level_of_torchvisions() {
    for line in lines("blur.txt") {
        let pair = |text: &str| -> [f64; 2] {
            let numbers: Vec<f64> = text.split(',').map(|number| number.parse().unwrap()).collect();
            [numbers[0], numbers[1]]
        };
        let kernel_size = pair(&line[1]).map(|taps| taps as usize);
        let blur = Operation::GaussianBlur { kernel_size, sigma: pair(&line[2]) };
        let result = blur.apply(picture(&line[0]), "x").unwrap();
        let byte = |at: usize| u8::from_str_radix(&line[3][at..at + 2], 16).unwrap();
        let wanted: Vec<u8> = (0..line[3].len()).step_by(2).map(byte).collect();
        assert_eq!(result.pixels().len(), wanted.len());
        let off = result.pixels().iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert!(result.pixels().iter().zip(&wanted).all(|(a, b)| a.abs_diff(*b) <= 1), "{line:?}");
        // Halves alone are rounded differently.
        assert!(off * 100 <= wanted.len(), "{off} of {}", wanted.len());
    }
}

/// The image with each level at `level / 255` of more bits.
fn deep(image: &Image) -> Image {
    let values = image.pixels().iter().map(|&level| f32::from(level) / 255.0).collect();
    Image::deep(image.width(), image.height(), image.channels(), values).unwrap()
}

#[test]
fn more_than_8_bits_are_as_8_bits_or_refused() {
    let sampling = Sampling { interpolation: Interpolation::Bilinear, fill: vec![9, 8, 7] };
    let affine = Affine { angle: 12.0, shear: [5.0, 3.0], ..Affine::default() };
    let smooth = [
        Operation::HorizontalFlip,
        Operation::VerticalFlip,
        Operation::Affine(affine, sampling.clone()),
        Operation::Rotate(33.0, sampling),
        Operation::Brightness(0.7),
        Operation::Contrast(0.7),
        Operation::Saturation(0.3),
        Operation::Grayscale,
        Operation::GaussianBlur { kernel_size: [5, 3], sigma: [1.0, 2.0] },
        Operation::Erase { corner: [1, 2], size: [9, 8], erasure: Erasure::Colour(vec![1.0, 2.0, 3.0]) },
    ];
    for operation in smooth {
        let flat = operation.apply(photo(), "x").unwrap();
        let result = operation.apply(deep(&photo()), "x").unwrap();
        for (value, &level) in result.values().unwrap().iter().zip(flat.pixels()) {
            assert!((value * 255.0 - f32::from(level)).abs() < 1.6, "{operation:?}: {value} and {level}");
        }
    }
    for operation in [
        Operation::Hue(0.1),
        Operation::Sharpness(0.1),
        Operation::Posterize(3),
        Operation::Solarize(100.0),
        Operation::Autocontrast,
        Operation::Equalize,
        Operation::Invert,
        Operation::PillowBlur(1.0),
    ] {
        let error = operation.apply(deep(&photo()), "scan.tif").unwrap_err();
        assert!(matches!(&error, Error::MoreThan8Bits { .. }), "{error}");
        assert!(error.to_string().starts_with("scan.tif: "), "{error}");
    }
}

#[test]
fn any_number_of_channels_is_moved_and_changed_channel_by_channel() {
    let plane = |seed| noise(13, 11, seed).with_channels(1, "x").unwrap();
    let planes: Vec<Image> = (0..5).map(|seed| plane(seed + 1)).collect();
    let pixels = (0..13 * 11).flat_map(|at| planes.iter().map(move |plane| plane.pixels()[at])).collect();
    let stack = Image::new(13, 11, 5, pixels).unwrap();
    let sampling = |interpolation| Sampling { interpolation, fill: vec![77] };
    let affine = Affine { angle: 20.0, translate: [2.0, 1.0], ..Affine::default() };
    for operation in [
        Operation::VerticalFlip,
        Operation::Affine(affine, sampling(Interpolation::Nearest)),
        Operation::Affine(affine, sampling(Interpolation::Bilinear)),
        Operation::Rotate(45.0, sampling(Interpolation::Nearest)),
        Operation::Brightness(1.3),
        Operation::Sharpness(1.7),
        Operation::Posterize(3),
        Operation::Solarize(128.0),
        Operation::Autocontrast,
        Operation::Equalize,
        Operation::Invert,
        Operation::PillowBlur(1.5),
        Operation::GaussianBlur { kernel_size: [3, 5], sigma: [1.0, 1.0] },
        Operation::Erase { corner: [2, 3], size: [4, 5], erasure: Erasure::Colour(vec![50.0]) },
    ] {
        let result = operation.apply(stack.clone(), "x").unwrap();
        for (channel, plane) in planes.iter().enumerate() {
            let alone = operation.apply(plane.clone(), "x").unwrap();
            let channel: Vec<u8> = result.pixels()[channel..].iter().step_by(5).copied().collect();
            assert_eq!(channel, alone.pixels(), "{operation:?}");
        }
    }
    for colour in [Operation::Saturation(0.0), Operation::Hue(0.3), Operation::Grayscale] {
        assert_eq!(colour.apply(stack.clone(), "x").unwrap(), stack);
    }
}
