//! A look at data as lines of 80 columns.

use residual::arch::{Preprocess, Resize, TaskKind};
use residual::data::{Handling, Overlap, Repeats, Size, Sizes, Split, Survey};
use residual_files::HumanBytes;

use super::Look;
use super::classes::Balance;
use super::view::name;
use crate::cli::findings::{paragraphs, summary, wrapped};
use crate::cli::table::{Align, Table, thousands};

/// The most broken files that are named.
const NAMED: usize = 5;

pub(super) fn lines(look: &Look) -> Vec<String> {
    let survey = &look.survey;
    let mut lines = wrapped("", &format!("{}: {}", look.name, contents(survey)));
    look.notes().iter().for_each(|note| lines.extend(wrapped("note: ", note)));
    lines.push(String::new());
    match survey.task() {
        TaskKind::Regression => lines.extend(targets(survey)),
        _ => {
            let balance = Balance::of(survey);
            lines.extend(balance.lines());
            balance.summaries().iter().for_each(|line| lines.extend(wrapped("  ", line)));
            lines.extend(labels_per_image(survey));
        }
    }
    lines.push(String::new());
    for (label, text) in facts(survey) {
        lines.extend(wrapped(&format!("{label:<13}"), &text));
    }
    lines.extend(broken(survey));
    lines.extend(duplicates(survey));
    lines.push(String::new());
    lines.extend(loader(look));
    lines.push(String::new());
    lines.extend(wrapped("findings     ", &summary(&look.findings)));
    lines.extend(paragraphs(&look.findings));
    lines
}

/// `1,230 images (train 1,000, val 230) of 3 classes, 153.2 MB`
pub(super) fn contents(survey: &Survey) -> String {
    let splits: Vec<String> =
        survey.splits().map(|split| format!("{split} {}", number(survey.images_of(split)))).collect();
    let (images, classes) = (number(survey.images()), survey.classes().len());
    let classes = match (survey.task(), classes) {
        (TaskKind::Regression, 1) => "1 target".to_owned(),
        (TaskKind::Regression, targets) => format!("{} targets", number(targets)),
        (_, 1) => "1 class".to_owned(),
        (_, classes) => format!("{} classes", number(classes)),
    };
    format!("{images} images ({}) of {classes}, {}", splits.join(", "), HumanBytes(survey.bytes()))
}

pub(super) fn number(count: usize) -> String {
    thousands(count as u64)
}

/// A table of the targets of a regression in each split.
fn targets(survey: &Survey) -> Vec<String> {
    let numbers = ["least", "mean", "deviation", "greatest"].map(|title| (title, Align::Right));
    let mut table = Table::new(&[&[("target", Align::Left), ("split", Align::Left)], &numbers[..]].concat());
    for (place, name) in survey.classes().iter().enumerate() {
        for split in survey.splits() {
            let Some(spread) = survey.targets(split).get(place).copied() else { continue };
            let numbers = [spread.least, spread.mean, spread.deviation, spread.greatest].map(figures);
            table.row([name.clone(), split.to_string()].into_iter().chain(numbers));
        }
    }
    table.lines()
}

/// A number to five figures.
fn figures(number: f64) -> String {
    let whole = number.abs().max(1.0).log10() as usize;
    match whole {
        0..=6 => {
            let text = format!("{number:.*}", 4_usize.saturating_sub(whole));
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
        _ => format!("{number:.3e}"),
    }
}

/// `train: 0 to 3 labels an image, mean 1.42; 12 images have none`, for each split of images that may have several.
fn labels_per_image(survey: &Survey) -> Vec<String> {
    let line = |split: Split| {
        let labels = survey.labels_per_image(split)?;
        let without = match labels.without {
            0 => String::new(),
            1 => "; 1 image has none".to_owned(),
            without => format!("; {} images have none", number(without)),
        };
        Some(format!("  {split}: up to {} labels an image, mean {:.2}{without}", labels.most, labels.mean))
    };
    survey.splits().filter_map(line).collect()
}

/// Facts with their labels; what no image has is left out.
fn facts(survey: &Survey) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(sizes) = survey.sizes() {
        facts.push(("sizes", sizes_of(&sizes)));
        if sizes.distinct > 1 {
            let often = sizes.frequent.iter().map(|(size, count)| format!("{size} {}", number(*count)));
            facts.push(("  often", often.collect::<Vec<_>>().join(", ")));
            let aspect = sizes.aspect;
            let text = format!(
                "{:.2} to {:.2}, median {:.2} (width / height)",
                aspect.least, aspect.greatest, aspect.median
            );
            facts.push(("aspect", text));
        }
    }
    let formats = survey.formats().into_iter().map(|(format, count)| format!("{format} {}", number(count)));
    let formats: Vec<String> = formats.collect();
    let formats = if formats.is_empty() { "pixels, no image files".to_owned() } else { formats.join(", ") };
    facts.push(("formats", formats));
    let channels = survey.channels().into_iter().map(|(channels, count)| match channels {
        1 => format!("grey {}", number(count)),
        3 => format!("RGB {}", number(count)),
        channels => format!("{channels} channels {}", number(count)),
    });
    facts.push(("channels", channels.collect::<Vec<_>>().join(", ")));
    let (decoded, deep) = (survey.images() - survey.broken().len(), survey.deep());
    facts.push(match deep {
        0 => ("depth", "8 bits".to_owned()),
        deep => ("depth", format!("8 bits {}, more {}", number(decoded - deep), number(deep))),
    });
    let turned = survey.turned().len();
    if turned > 0 {
        let kinds = survey.orientations().into_iter().filter(|&(orientation, _)| orientation != 1);
        let kinds = kinds.map(|(orientation, count)| {
            format!("{orientation} ({}) {}", meaning(orientation), number(count))
        });
        facts.push((
            "orientation",
            format!("{} turned, by EXIF: {}", number(turned), kinds.collect::<Vec<_>>().join(", ")),
        ));
    }
    for (label, count, what) in [
        ("transparent", survey.transparent(), "with transparent pixels"),
        ("several", survey.first_of_several(), "of several frames or pages"),
    ] {
        if count > 0 {
            facts.push((label, format!("{}, {what}", number(count))));
        }
    }
    facts
}

/// `32x32, all`, or the smallest, the median and the largest.
pub(super) fn sizes_of(sizes: &Sizes) -> String {
    let Sizes { smallest, median, largest, distinct, .. } = sizes;
    match distinct {
        1 => format!("{smallest}, all"),
        distinct => format!(
            "{smallest} smallest, {median} median, {largest} largest (width x height); {} different",
            number(*distinct)
        ),
    }
}

/// Turn that brings an image of this orientation upright.
fn meaning(orientation: u8) -> &'static str {
    match orientation {
        2 => "mirrored",
        3 => "upside down",
        4 => "flipped",
        5 => "transposed",
        6 => "clockwise",
        7 => "transverse",
        8 => "counterclockwise",
        _ => "upright",
    }
}

fn broken(survey: &Survey) -> Vec<String> {
    let broken = survey.broken();
    if broken.is_empty() {
        return Vec::new();
    }
    let mut lines =
        wrapped("broken       ", &format!("{} of {}", number(broken.len()), number(survey.images())));
    for one in &broken[..broken.len().min(NAMED)] {
        lines.extend(wrapped("  ", &format!("{}: {}", survey.name(one.place), one.found)));
    }
    if broken.len() > NAMED {
        lines.push(format!("  and {} more (--json lists them)", number(broken.len() - NAMED)));
    }
    lines
}

fn duplicates(survey: &Survey) -> Vec<String> {
    let found = survey.duplicates();
    let across = found.across.iter().map(across);
    let texts: Vec<String> = across.chain(found.within.iter().map(within)).collect();
    let mut labels = std::iter::once("duplicates   ").chain(std::iter::repeat("             "));
    texts.iter().flat_map(|text| wrapped(labels.next().unwrap_or_default(), text)).collect()
}

fn across(found: &Overlap) -> String {
    let Overlap { split, with, total, .. } = found;
    let [image, twin] = &found.first;
    let images = found.images();
    let are = if images == 1 { "is" } else { "are" };
    format!(
        "{} of {} {split} images {are} also in {with} ({}): {image} is {twin}",
        number(images),
        number(*total),
        kinds(found.same_bytes, found.same_pixels, found.other_labels)
    )
}

fn within(found: &Repeats) -> String {
    let [image, twin] = &found.first;
    let images = found.images();
    let repeat = if images == 1 { "image repeats another" } else { "images repeat others" };
    format!(
        "{} {} {repeat} ({}): {image} is {twin}",
        number(images),
        found.split,
        kinds(found.same_bytes, found.same_pixels, found.other_labels)
    )
}

fn kinds(bytes: usize, pixels: usize, other_labels: usize) -> String {
    let kinds = [
        (bytes, "the same bytes"),
        (pixels, "other bytes, the same pixels"),
        (other_labels, "under another label"),
    ];
    let present: Vec<_> = kinds.into_iter().filter(|&(count, _)| count > 0).collect();
    match present[..] {
        [(_, only)] => only.to_owned(),
        _ => present
            .iter()
            .map(|(count, kind)| format!("{} {kind}", number(*count)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Preprocessing and augmentation of the images, a line each.
fn loader(look: &Look) -> Vec<String> {
    let (view, handling) = (&look.view, look.survey.handling(&look.view.preprocess));
    let mut lines = wrapped("loader       ", &format!("as for {}: {}", view.network, seen(&handling)));
    for (count, what) in steps(&handling, &view.preprocess, look.skip_bad) {
        if count > 0 {
            lines.extend(wrapped(&format!("  {:>9}  ", number(count)), &what));
        }
    }
    let mixed = view.mix.iter().map(|_| "mixed".to_owned());
    let names: Vec<String> = view.augment.iter().map(name).chain(mixed).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    lines.extend(wrapped("  in training  ", &names));
    lines
}

fn seen(handling: &Handling) -> String {
    match &handling.sizes[..] {
        [] => "no image can be decoded".to_owned(),
        [size] => format!("images of {size}"),
        several => format!(
            "images of several sizes, which make no batch: {}",
            several.iter().map(Size::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn steps(handling: &Handling, preprocess: &Preprocess, skip_bad: bool) -> Vec<(usize, String)> {
    let target = match preprocess.resize {
        Some(Resize::ShorterSide(side)) => format!("to a shorter side of {side}"),
        Some(Resize::Exact(size)) => format!("to {}", Size::from(size)),
        Some(Resize::Cover(size)) => format!("to cover {}", Size::from(size)),
        Some(Resize::Within(size)) => format!("to lie within {}", Size::from(size)),
        _ => String::new(),
    };
    let crop = preprocess.crop.map_or(String::new(), |size| format!(" to {}", Size::from(size)));
    let cut =
        handling.median_cut.map_or(String::new(), |cut| format!(" (the median loses {:.0}%)", 100.0 * cut));
    let channels = preprocess.mean.len();
    let broken = if skip_bad {
        "left out, with a word"
    } else {
        "an error in training, unless --skip-bad leaves them out"
    };
    vec![
        (handling.turned, "turned upright".to_owned()),
        (handling.left_turned, "left on their side: this preprocessing ignores EXIF".to_owned()),
        (handling.opacity_dropped, "transparency dropped, colours kept as they are stored".to_owned()),
        (handling.laid_on_background, "laid over a background".to_owned()),
        (handling.first_of_several, "of several frames or pages the first".to_owned()),
        (handling.made_rgb, "grey made RGB".to_owned()),
        (handling.made_grey, "RGB made grey".to_owned()),
        (handling.other_channels, format!("an error: not of {channels} channels")),
        (handling.shrunk, format!("shrunk {target}")),
        (handling.enlarged, format!("enlarged {target}")),
        (handling.stretched, "stretched to another aspect ratio".to_owned()),
        (handling.cropped, format!("cut at the centre{crop}{cut}")),
        (handling.padded, format!("filled up around{crop}")),
        (handling.as_they_are, "taken at their own size".to_owned()),
        (handling.broken, broken.to_owned()),
    ]
}
