//! Images that are there more than once: in two splits, or in one.

use serde::Serialize;

use super::take::Place;
use super::{Digest, Survey};
use crate::{Overlap, Split};

/// Respect in which images are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Equal {
    /// Copy with the same bytes.
    Bytes,
    /// Other bytes that decode to the same pixels.
    Pixels,
}

/// Group of equal images.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Respect in which they are equal: bytes, where all of them have the same.
    pub equal: Equal,
    /// Places of the images, in order.
    pub places: Vec<Place>,
}

/// Images of a split that repeat an earlier one of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repeats {
    /// Split.
    pub split: Split,
    /// Images with the bytes of an earlier one.
    pub same_bytes: usize,
    /// Images with other bytes, and the pixels of an earlier one.
    pub same_pixels: usize,
    /// Those of both whose label is another than that of the image that they repeat.
    pub other_labels: usize,
    /// The first of them, and the image that it repeats.
    pub first: [String; 2],
    /// The first with another label, and the image that it repeats.
    pub first_other_label: Option<[String; 2]>,
}

impl Repeats {
    /// Number of images.
    pub fn images(&self) -> usize {
        self.same_bytes + self.same_pixels
    }
}

/// Duplicates of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Duplicates {
    /// Groups of equal images, in the order of their first.
    pub groups: Vec<Group>,
    /// Images of a split that are in an earlier one too, for each pair of splits that has any.
    pub across: Vec<Overlap>,
    /// Repeated images within a split, for each split that has any.
    pub within: Vec<Repeats>,
}

/// Image in a group.
#[derive(Clone, Copy)]
struct Member {
    place: Place,
    content: Digest,
    label: usize,
}

/// Images whose pixels are equal; where they were not decoded, whose bytes are. Broken and empty ones are left out.
pub(super) fn find(survey: &Survey) -> Duplicates {
    let mut keyed: Vec<(Digest, Place, Digest)> = survey
        .all()
        .filter_map(|(place, seen)| {
            let content = seen.content.filter(|_| seen.bytes > 0)?;
            let key = match survey.is_decoded() {
                true => seen.picture?.pixels,
                false => content,
            };
            Some((key, place, content))
        })
        .collect();
    keyed.sort_unstable();
    let several = keyed.chunk_by(|one, other| one.0 == other.0).filter(|group| group.len() > 1);
    let member = |&(_, place, content): &_| Member { place, content, label: survey.label(place) };
    let mut groups: Vec<Vec<Member>> = several.map(|group| group.iter().map(member).collect()).collect();
    groups.sort_unstable_by_key(|group| group[0].place);
    let splits: Vec<Split> = survey.splits().collect();
    let pairs = splits
        .iter()
        .enumerate()
        .flat_map(|(number, &split)| splits[..number].iter().map(move |&with| (split, with)));
    Duplicates {
        across: pairs.filter_map(|(split, with)| across(survey, &groups, split, with)).collect(),
        within: splits.iter().filter_map(|&split| within(survey, &groups, split)).collect(),
        groups: groups.iter().map(|group| listed(group)).collect(),
    }
}

fn listed(group: &[Member]) -> Group {
    let same = group.iter().all(|member| member.content == group[0].content);
    let equal = if same { Equal::Bytes } else { Equal::Pixels };
    Group { equal, places: group.iter().map(|member| member.place).collect() }
}

/// Images of `split` that are in `with` too.
fn across(survey: &Survey, groups: &[Vec<Member>], split: Split, with: Split) -> Option<Overlap> {
    let mut found = Overlap::none(split, with, survey.images_of(split));
    for group in groups {
        let others: Vec<&Member> = group.iter().filter(|member| member.place.split == with).collect();
        for member in group.iter().filter(|member| member.place.split == split) {
            let Some(&first) = others.first() else { break };
            let equal = others.iter().find(|other| other.content == member.content);
            let names =
                [member, equal.unwrap_or(&first)].map(|member| survey.name(member.place).into_owned());
            found.add(names, equal.is_some(), others.iter().any(|other| other.label != member.label));
        }
    }
    (found.images() > 0).then_some(found)
}

/// Images of `split` that repeat an earlier one of it.
fn within(survey: &Survey, groups: &[Vec<Member>], split: Split) -> Option<Repeats> {
    let (first, first_other_label) = (Default::default(), None);
    let mut found =
        Repeats { split, same_bytes: 0, same_pixels: 0, other_labels: 0, first, first_other_label };
    for group in groups {
        let own: Vec<&Member> = group.iter().filter(|member| member.place.split == split).collect();
        for (number, member) in own.iter().enumerate().skip(1) {
            let equal = own[..number].iter().find(|earlier| earlier.content == member.content);
            let names =
                |other: &Member| [*member, other].map(|member| survey.name(member.place).into_owned());
            if found.images() == 0 {
                found.first = names(equal.unwrap_or(&own[0]));
            }
            *if equal.is_some() { &mut found.same_bytes } else { &mut found.same_pixels } += 1;
            if let Some(other) = own[..number].iter().find(|earlier| earlier.label != member.label) {
                found.other_labels += 1;
                found.first_other_label.get_or_insert_with(|| names(other));
            }
        }
    }
    (found.images() > 0).then_some(found)
}
