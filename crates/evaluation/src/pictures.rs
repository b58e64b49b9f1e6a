//! Worst and best images, and where the network looked.

use residual_arch::{Preprocess, Resize};
use residual_data::{Image, Preprocessor, Source};
use residual_predict::Classifier;
use residual_report::{Picture, percent};

use crate::{Answer, Answers};

/// Images of either kind.
const SHOWN: usize = 8;

/// Side of an image on the page, in pixels; its heat map stands beside it.
const SIDE: usize = 112;

/// Worst and best images of an evaluation, as pictures of a page.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Shown {
    /// Images with the greatest loss, the worst first.
    pub worst: Vec<Picture>,
    /// Images with the least loss, the best first.
    pub best: Vec<Picture>,
}

/// Pictures of the eight worst and the eight best images: each as the network saw it, and its heat map for the class that
/// it was taken for. Images that cannot be drawn are left out.
pub fn pictures(classifier: &Classifier, images: &dyn Source, answers: &Answers) -> Shown {
    let draw = |list: Vec<Answer>| -> Vec<Picture> {
        list.iter().filter_map(|answer| picture(classifier, images, answers, answer)).collect()
    };
    // Where there are few images, none is among both.
    let shown = SHOWN.min(answers.list().len().div_ceil(2));
    Shown {
        worst: draw(answers.worst(shown)),
        best: draw(answers.best(shown.min(answers.list().len() - shown))),
    }
}

fn picture(
    classifier: &Classifier,
    images: &dyn Source,
    answers: &Answers,
    answer: &Answer,
) -> Option<Picture> {
    let explanation = classifier.explain(images.image(answer.index).ok()?).ok()?;
    let halves = [explanation.image.clone()?, explanation.overlay()?].map(thumbnail);
    let [seen, map] = [halves[0].as_ref()?, halves[1].as_ref()?];
    let [label, taken] = [answer.label, answer.answer].map(|class| answers.classes()[class].as_str());
    let confidence = percent(answer.confidence);
    let mut lines = match answer.place {
        0 => vec![format!("{label}: {confidence}")],
        _ => vec![format!("{taken}: {confidence}"), format!("is {label}: {}", percent(answer.probability))],
    };
    let file = images.file(answer.index);
    lines.push(last_two(&file));
    let description =
        format!("{file}, {label}, taken for {taken} ({confidence}); beside it where that is seen");
    Some(Picture { png: beside(seen, map)?, description, lines })
}

/// Name of a file with its folder, which is often its class.
fn last_two(file: &str) -> String {
    let mut parts: Vec<&str> = file.rsplit(['/', '\\']).take(2).collect();
    parts.reverse();
    parts.join("/")
}

/// RGB image whose longer side is that of a thumbnail.
fn thumbnail(image: Image) -> Option<Image> {
    let small = Preprocess::normalise_only().with(|small| small.resize = Some(Resize::Within([SIDE; 2])));
    let rgb = image.with_channels(3, "thumbnail").ok()?;
    Preprocessor::new(&small).ok()?.fit(rgb, "thumbnail").ok()
}

/// PNG file of two images beside each other.
fn beside(left: &Image, right: &Image) -> Option<Vec<u8>> {
    let (width, height) = (left.width() + right.width(), left.height().min(right.height()));
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for image in [left, right] {
            let start = row * image.width() * 3;
            pixels.extend_from_slice(&image.pixels()[start..start + image.width() * 3]);
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
