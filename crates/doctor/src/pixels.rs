//! What the network gets to see: images decoded, preprocessed, normalised.

use std::sync::Arc;

use residual_arch::Preprocess;
use residual_data::{BadImage, Batch, Error as DataError, ImageSet, Loader, LoaderOptions};

use crate::images::{BAD_IMAGE_HELP, MIXED_SIZES_HELP};
use crate::{Error, Finding, Kind, Severity};

/// Images in a batch, and batches: 256 images tell a mean to a sixteenth of a deviation.
const BATCH: usize = 16;
const BATCHES: usize = 16;

/// CIFAR-10 under ImageNet's normalisation has means within 0.05 and deviations within 1.2. One deviation off
/// is another kind of image, such as digits on black; [`FAULT_STD`] is a scale that is applied twice or not
/// at all (a factor of 255).
const GREATEST_MEAN: f64 = 1.5;
const STD: [f64; 2] = [0.25, 4.0];
const FAULT_STD: [f64; 2] = [0.02, 50.0];

/// Checks of decoded images, and the first batch for the network, if the images make one.
pub(crate) fn check(set: &ImageSet, preprocess: &Preprocess) -> Result<(Vec<Finding>, Option<Batch>), Error> {
    let options = LoaderOptions::evaluation(BATCH, preprocess.clone())
        .with(|options| (options.shuffle, options.skip_bad) = (true, true));
    let mut loader = match Loader::new(Arc::new(set.clone()), options) {
        Ok(loader) => loader,
        // Wrong means and deviations are the shape check's to tell.
        Err(DataError::InvalidOption { .. }) => return Ok((vec![], None)),
        Err(error) => return Err(error.into()),
    };
    let (mut findings, mut moments, mut first) = (vec![], Moments::new(preprocess.mean.len()), None);
    for batch in loader.by_ref().take(BATCHES) {
        let batch = match batch {
            Ok(batch) => batch,
            Err(DataError::MixedSizes { file, found, first, expected }) => {
                findings.push(mixed_sizes(&file, found, &first, expected));
                first_only(&mut findings);
                return Ok((findings, None));
            }
            Err(error) => return Err(error.into()),
        };
        findings.extend(batch.skipped.iter().map(bad_image));
        moments.add(&batch);
        if first.is_none() && batch.shape[0] > 0 {
            first = Some(batch);
        }
    }
    first_only(&mut findings);
    findings.extend(normalisation(&moments));
    Ok((findings, first))
}

/// Merges findings of bad images into the first, with their number.
fn first_only(findings: &mut Vec<Finding>) {
    let bad = findings.iter().filter(|finding| finding.kind == Kind::BadImage).count();
    if bad > 1 {
        let mut seen = false;
        findings.retain(|finding| finding.kind != Kind::BadImage || !std::mem::replace(&mut seen, true));
        if let Some(first) = findings.iter_mut().find(|finding| finding.kind == Kind::BadImage) {
            first.found.push_str(&format!(" (and {} more among those looked at)", bad - 1));
        }
    }
}

fn bad_image(bad: &BadImage) -> Finding {
    let finding = Kind::BadImage.at(&bad.file).found(&bad.found).expected("a whole image");
    finding.help(BAD_IMAGE_HELP)
}

fn mixed_sizes(file: &str, found: [usize; 2], first: &str, expected: [usize; 2]) -> Finding {
    let size = |[height, width]: [usize; 2]| format!("{height}x{width}");
    let finding = Kind::MixedSizes.at(file).found(size(found));
    let finding = finding.expected(format!("{}, as {first}", size(expected)));
    finding.help(MIXED_SIZES_HELP)
}

/// Sums of a channel's values and their squares.
struct Moments {
    sums: Vec<[f64; 2]>,
    count: f64,
}

impl Moments {
    fn new(channels: usize) -> Self {
        Self { sums: vec![[0.0; 2]; channels], count: 0.0 }
    }

    fn add(&mut self, batch: &Batch) {
        let [images, channels, height, width] = batch.shape;
        for (index, plane) in batch.images.chunks(height * width).take(images * channels).enumerate() {
            let [sum, squares] = &mut self.sums[index % channels];
            *sum += plane.iter().map(|&v| f64::from(v)).sum::<f64>();
            *squares += plane.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        }
        self.count += (images * height * width) as f64;
    }

    /// Mean and deviation of every channel.
    fn of_channels(&self) -> Vec<[f64; 2]> {
        let of = |[sum, squares]: &[f64; 2]| {
            let mean = sum / self.count;
            [mean, (squares / self.count - mean * mean).max(0.0).sqrt()]
        };
        if self.count == 0.0 { vec![] } else { self.sums.iter().map(of).collect() }
    }
}

fn normalisation(moments: &Moments) -> Option<Finding> {
    let channels = moments.of_channels();
    let outside = |value: f64, [least, most]: [f64; 2]| !(least..=most).contains(&value);
    let off = |&&[mean, std]: &&[f64; 2]| mean.abs() > GREATEST_MEAN || outside(std, STD);
    let place = channels.iter().position(|moments| off(&moments))?;
    let [mean, std] = channels[place];
    let (severity, help) = match std {
        std if std < FAULT_STD[0] => {
            (Severity::Fault, "the images are scaled twice: divide mean and std by 255")
        }
        std if std > FAULT_STD[1] => {
            (Severity::Fault, "std is far too small for pixels from 0 to 1: multiply it by 255")
        }
        _ => (Severity::Warning, "set mean and std to those of the training images, on the scale 0 to 1"),
    };
    let finding = Kind::Normalisation.at(format!("channel {place}")).severity(severity);
    let finding = finding.found(format!("mean {mean:.3}, deviation {std:.3} after preprocessing"));
    let expected = format!("mean within {GREATEST_MEAN} of 0, deviation from {} to {}", STD[0], STD[1]);
    Some(finding.expected(expected).help(help))
}
