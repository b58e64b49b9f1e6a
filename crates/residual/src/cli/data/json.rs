//! A look at data as one JSON object.

use std::collections::BTreeMap;

use residual::arch::{Preprocess, TaskKind};
use residual::data::{
    Augment, Equal, Format, Handling, LabelsPerImage, Mix, Note, Overlap, Place, Repeats, Size, Sizes, Split,
    Survey, TargetSpread,
};
use residual::doctor::Finding;
use serde::Serialize;

use super::Look;

/// All that is known of data. Names are stable.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    data: &'a str,
    images: usize,
    bytes: u64,
    task: TaskKind,
    /// Names of the classes, or of a regression's targets.
    classes: &'a [String],
    splits: Vec<SplitObject>,
    sizes: Option<SizesObject>,
    formats: BTreeMap<Format, usize>,
    /// By the number of channels.
    channels: BTreeMap<usize, usize>,
    /// Images of more than 8 bits a sample.
    deep: usize,
    /// By EXIF's number, 1 to 8.
    orientations: BTreeMap<u8, usize>,
    transparent: usize,
    first_of_several: usize,
    broken: Vec<BrokenObject<'a>>,
    not_images: BTreeMap<&'a str, usize>,
    duplicates: DuplicatesObject<'a>,
    loader: Loader<'a>,
    findings: &'a [Finding],
    notes: Vec<String>,
}

#[derive(Serialize)]
struct SplitObject {
    split: Split,
    images: usize,
    /// Images of each class, in the order of the classes.
    counts: Vec<usize>,
    /// Numbers of each target of a regression, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<TargetSpread>,
    /// Labels an image, where it may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    labels_per_image: Option<LabelsPerImage>,
}

#[derive(Serialize)]
struct SizesObject {
    #[serde(flatten)]
    sizes: Sizes,
    frequent: Vec<Frequent>,
}

#[derive(Serialize)]
struct Frequent {
    #[serde(flatten)]
    size: Size,
    images: usize,
}

#[derive(Serialize)]
struct BrokenObject<'a> {
    #[serde(flatten)]
    image: ImageObject<'a>,
    found: &'a str,
}

#[derive(Serialize)]
struct ImageObject<'a> {
    file: String,
    split: Split,
    class: &'a str,
}

#[derive(Serialize)]
struct DuplicatesObject<'a> {
    across: Vec<Overlap>,
    within: Vec<Repeats>,
    groups: Vec<GroupObject<'a>>,
}

#[derive(Serialize)]
struct GroupObject<'a> {
    equal: Equal,
    images: Vec<ImageObject<'a>>,
}

#[derive(Serialize)]
struct Loader<'a> {
    network: &'a str,
    preprocess: &'a Preprocess,
    augment: &'a [Augment],
    mix: Option<&'a Mix>,
    skip_bad: bool,
    #[serde(flatten)]
    handling: Handling,
}

impl<'a> Object<'a> {
    pub(super) fn of(look: &'a Look) -> Self {
        let survey = &look.survey;
        let image = |place: Place| image(survey, place);
        let broken =
            survey.broken().iter().map(|one| BrokenObject { image: image(one.place), found: &one.found });
        let found = survey.duplicates();
        let group = |group: residual::data::Group| GroupObject {
            equal: group.equal,
            images: group.places.into_iter().map(image).collect(),
        };
        let split = |split| SplitObject {
            split,
            images: survey.images_of(split),
            counts: survey.counts(split),
            targets: survey.targets(split),
            labels_per_image: survey.labels_per_image(split),
        };
        Self {
            data: &look.name,
            images: survey.images(),
            bytes: survey.bytes(),
            task: survey.task(),
            classes: survey.classes(),
            splits: survey.splits().map(split).collect(),
            sizes: survey.sizes().map(sizes),
            formats: survey.formats(),
            channels: survey.channels(),
            deep: survey.deep(),
            orientations: survey.orientations(),
            transparent: survey.transparent(),
            first_of_several: survey.first_of_several(),
            broken: broken.collect(),
            not_images: not_images(look.data.notes()),
            duplicates: DuplicatesObject {
                groups: found.groups.into_iter().map(group).collect(),
                across: found.across,
                within: found.within,
            },
            loader: Loader {
                network: &look.view.network,
                preprocess: &look.view.preprocess,
                augment: &look.view.augment,
                mix: look.view.mix.as_ref(),
                skip_bad: look.skip_bad,
                handling: survey.handling(&look.view.preprocess),
            },
            findings: &look.findings,
            notes: look.notes(),
        }
    }
}

fn image(survey: &Survey, place: Place) -> ImageObject<'_> {
    let class = match survey.task() {
        TaskKind::Regression => "",
        _ => survey.classes().get(survey.label(place)).map_or("", String::as_str),
    };
    ImageObject { file: survey.file(place), split: place.split, class }
}

fn sizes(mut sizes: Sizes) -> SizesObject {
    let frequent = std::mem::take(&mut sizes.frequent);
    let frequent = frequent.into_iter().map(|(size, images)| Frequent { size, images }).collect();
    SizesObject { sizes, frequent }
}

/// Endings of files in class folders that are not named as images, and their numbers.
fn not_images(notes: &[Note]) -> BTreeMap<&str, usize> {
    let kinds = notes.iter().filter_map(|note| match note {
        Note::OtherFiles { kinds, .. } => Some(kinds),
        _ => None,
    });
    kinds.flatten().map(|(kind, count)| (kind.as_str(), *count)).collect()
}
