//! Worst and best images, and where the network looked.

use residual_arch::{Preprocess, Resize};
use residual_data::{Image, Preprocessor, Source};
use residual_predict::Classifier;
use residual_report::{Page, Picture, percent};

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

impl Shown {
    /// Pictures of images in the order of their loss, the greatest first: of the worst and the best eight, but where there
    /// are few images none is among both. Those that cannot be drawn are left out.
    pub(crate) fn of<T>(worst: &[T], best: &[T], draw: impl Fn(&T) -> Option<Picture>) -> Self {
        let shown = SHOWN.min(worst.len().div_ceil(2));
        let rest = shown.min(best.len() - shown);
        Self {
            worst: worst[..shown].iter().filter_map(&draw).collect(),
            best: best[..rest].iter().filter_map(&draw).collect(),
        }
    }

    /// Sections of a page; `words` say what is seen of the worst images.
    pub(crate) fn sections(self, page: Page, words: &str) -> Page {
        if self.worst.is_empty() {
            return page;
        }
        let page = page.heading("Worst images").text(words).pictures(&self.worst);
        if self.best.is_empty() {
            return page;
        }
        page.heading("Best images").text("The least loss first.").pictures(&self.best)
    }
}

/// Pictures of the eight worst and the eight best images: each as the network saw it, and its heat map for the class that
/// it was taken for. Images that cannot be drawn are left out.
pub fn pictures(classifier: &Classifier, images: &dyn Source, answers: &Answers) -> Shown {
    let [worst, best] = [answers.worst(usize::MAX), answers.best(usize::MAX)];
    Shown::of(&worst, &best, |answer| picture(classifier, images, answers, answer))
}

fn picture(
    classifier: &Classifier,
    images: &dyn Source,
    answers: &Answers,
    answer: &Answer,
) -> Option<Picture> {
    let explanation = classifier.explain(images.image(answer.index).ok()?).ok()?;
    let png = beside([explanation.image.clone()?, explanation.overlay()?])?;
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
    Some(Picture { png, description, lines })
}

/// Name of a file with its folder, which is often its class.
pub(crate) fn last_two(file: &str) -> String {
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

/// PNG file of two images beside each other, as thumbnails.
pub(crate) fn beside(images: [Image; 2]) -> Option<Vec<u8>> {
    let [left, right] = images.map(thumbnail);
    let (left, right) = (left?, right?);
    let (width, height) = (left.width() + right.width(), left.height().min(right.height()));
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for image in [&left, &right] {
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
