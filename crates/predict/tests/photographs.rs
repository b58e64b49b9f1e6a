//! Photographs as people have them: turned ones, arrays of any number of channels, animations.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use residual_arch::families::family;
use residual_arch::{NetSpec, OrientationPolicy};
use residual_data::Note;
use residual_predict::{Classifier, Error, Image, Input, Options};
use residual_testkit::networks;
use residual_weights::Tensor;

fn spec() -> NetSpec {
    family("cifar_resnet8").unwrap().with_classes(3)
}

fn classifier(spec: &NetSpec) -> Classifier {
    Classifier::new(networks::model(spec, 1.0).unwrap(), Options::new().threads(1)).unwrap()
}

fn answer<'a>(classifier: &Classifier, input: impl Into<Input<'a>>) -> Vec<u64> {
    let prediction = classifier.classify(input).unwrap();
    prediction.probabilities().iter().map(|probability| probability.to_bits()).collect()
}

fn pixels(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i * 91 % 251) as u8).collect()
}

/// A JPEG file of grey pixels with EXIF's orientation 6: to be turned clockwise.
fn turned(width: usize, height: usize) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    let grey: Vec<u8> = (0..width * height).map(|i| (i % width * 5 + i / width * 3) as u8).collect();
    encoder.write_image(&grey, width as u32, height as u32, ExtendedColorType::L8).unwrap();
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&jpeg[..2], &[0xff, 0xe1, 0, 2 + exif.len() as u8], exif, &jpeg[2..]].concat()
}

/// An array of NumPy, version 1.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

#[test]
fn predictions_follow_the_models_orientation() {
    let bytes = turned(40, 32);
    let image = residual_data::decode(&bytes, "x").unwrap();
    let plain =
        |image: &Image| Image::new(image.width(), image.height(), 1, image.pixels().to_vec()).unwrap();
    let (stored, upright) = (plain(&image), plain(&image.clone().upright()));
    assert_eq!([upright.width(), upright.height()], [32, 40]);
    let ignoring = classifier(&spec());
    assert_eq!(answer(&ignoring, &bytes), answer(&ignoring, &stored));
    assert_ne!(answer(&ignoring, &stored), answer(&ignoring, &upright));
    let mut spec = spec();
    spec.preprocess.orientation = OrientationPolicy::Apply;
    let applying = classifier(&spec);
    assert_eq!(answer(&applying, &bytes), answer(&applying, &upright));
}

#[test]
fn five_channels_come_from_arrays_in_either_order() {
    let mut spec = spec().with_input([5, 32, 32]);
    (spec.preprocess.mean, spec.preprocess.std) =
        (vec![0.1, 0.2, 0.3, 0.4, 0.5], vec![0.5, 0.4, 0.3, 0.2, 0.1]);
    let classifier = classifier(&spec);
    let together = pixels(32 * 32 * 5);
    let planes: Vec<u8> =
        (0..5).flat_map(|channel| together.iter().skip(channel).step_by(5)).copied().collect();
    let wanted = answer(&classifier, Image::new(32, 32, 5, together.clone()).unwrap());
    assert_eq!(answer(&classifier, npy("|u1", "(32, 32, 5)", &together)), wanted);
    assert_eq!(answer(&classifier, npy("|u1", "(5, 32, 32)", &planes)), wanted);

    // Sixteen bits are normalised by the channel's own mean and deviation.
    let deep: Vec<u16> = planes.iter().map(|&value| u16::from(value) * 257 + 3).collect();
    let bytes: Vec<u8> = deep.iter().flat_map(|value| value.to_le_bytes()).collect();
    let values = deep.iter().enumerate().map(|(i, &value)| {
        let channel = i / (32 * 32);
        (f32::from(value) / 65535.0 - spec.preprocess.mean[channel]) / spec.preprocess.std[channel]
    });
    let tensor = Tensor::new(vec![5, 32, 32], values.collect()).unwrap();
    assert_eq!(answer(&classifier, npy("<u2", "(5, 32, 32)", &bytes)), answer(&classifier, &tensor));
    assert!(classifier.explain(npy("<u2", "(5, 32, 32)", &bytes)).unwrap().image.is_some());

    let error = classifier.classify(npy("|u1", "(32, 32, 4)", &together[..32 * 32 * 4])).unwrap_err();
    assert!(matches!(error, Error::Image(_)), "{error}");
    assert!(error.to_string().contains("4 channels, where 5 are expected; help:"), "{error}");
}

#[test]
fn the_first_frame_of_an_animation_is_said_once() {
    // One pixel on a picture of 32x32, twice; its colours are two shades of grey, and LZW's codes clear, 0, end.
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let palette = [[10; 3], [200; 3]].concat();
    let bytes = [b"GIF89a \0 \0\x80\0\0", &palette[..], frame, frame, b";"].concat();
    let classifier = classifier(&spec());
    assert!(classifier.notes().is_empty());
    let first = Image::new(32, 32, 3, vec![10; 32 * 32 * 3]).unwrap();
    assert_eq!(answer(&classifier, &bytes), answer(&classifier, &first));
    answer(&classifier, &bytes);
    assert!(matches!(&classifier.notes()[..], [Note::FirstOfSeveral { .. }]));
}
