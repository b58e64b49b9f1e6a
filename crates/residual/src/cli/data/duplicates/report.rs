//! Groups of repeated images as lines, as JSON and as a sheet.

use residual_files::escaped;
use serde::Serialize;

use super::super::text::number;
use super::find::{By, Found, Group, Member, Relation};
use crate::cli::failure::Outcome;
use crate::cli::findings::wrapped;
use crate::cli::sheet::{IN_A_ROW, Row, Sheet};
use crate::cli::table::shorten;
use crate::cli::thumbnail::{shrinking, thumbnail};

/// The most groups that are printed, the images of one, and the groups on a sheet.
const GROUPS: usize = 20;
const MEMBERS: usize = 10;
const ROWS: usize = 40;

pub(super) fn lines(name: &str, found: &Found) -> Vec<String> {
    let mut lines = wrapped("", &summary(name, found));
    for (place, group) in found.groups.iter().take(GROUPS).enumerate() {
        lines.push(String::new());
        lines.push(title(place, group));
        lines.extend(group.0.iter().take(MEMBERS).map(line));
        if group.0.len() > MEMBERS {
            lines.push(format!("  and {} more", number(group.0.len() - MEMBERS)));
        }
    }
    if found.groups.len() > GROUPS {
        lines.push(String::new());
        lines.push(format!("and {} more groups (--json lists them)", number(found.groups.len() - GROUPS)));
    }
    lines
}

/// `photos: 1,230 images, 9 of them in 4 groups of (near) duplicates: ...`
fn summary(name: &str, found: &Found) -> String {
    let images = number(found.images.len());
    let by = match found.by {
        By::Hash { distance } => {
            format!("perceptual hashes that differ in {distance} bits of 64 at the most")
        }
        By::Embedding { similarity } => format!("embeddings whose cosine is {similarity} or more"),
    };
    let broken = match found.broken {
        0 => String::new(),
        broken => format!("; {} cannot be decoded", number(broken)),
    };
    if found.groups.is_empty() {
        return format!("{name}: {images} images, none repeated: by bytes, and {by}{broken}");
    }
    let members = found.groups.iter().map(|group| group.0.len()).sum();
    let counted =
        |what: &str, is: fn(&Group) -> bool| match found.groups.iter().filter(|group| is(group)).count() {
            0 => String::new(),
            count => format!(", {} {what}", number(count)),
        };
    let groups = match found.groups.len() {
        1 => "1 group".to_owned(),
        groups => format!("{} groups", number(groups)),
    };
    format!(
        "{name}: {images} images, {} of them in {groups} of repeated ones{}{}: by bytes, and {by}{broken}",
        number(members),
        counted("across splits", Group::is_across),
        counted("of several classes", Group::has_other_labels),
    )
}

fn title(place: usize, group: &Group) -> String {
    let across = if group.is_across() { ", across splits" } else { "" };
    let labels = if group.has_other_labels() { ", of several classes" } else { "" };
    format!("group {}: {} images{across}{labels}", number(place + 1), number(group.0.len()))
}

fn line(member: &Member) -> String {
    let text = |text: Option<&str>, width| shorten(&escaped(text.unwrap_or_default()).to_string(), width);
    let row = &member.row;
    let (split, path) = (text(row.split.as_deref(), 5), text(Some(&row.path), 40));
    let (label, relation) = (text(row.label.as_deref(), 12), said(member.relation));
    format!("  {split:<5}  {path:<40}  {label:<12}  {relation}").trim_end().to_owned()
}

fn said(relation: Relation) -> String {
    match relation {
        Relation::First => String::new(),
        Relation::Bytes => "same bytes".to_owned(),
        Relation::Pixels => "same pixels".to_owned(),
        Relation::Distance(1) => "1 bit".to_owned(),
        Relation::Distance(bits) => format!("{bits} bits"),
        Relation::Similarity(cosine) => format!("{cosine:.4}"),
        Relation::Linked => "by another".to_owned(),
    }
}

/// A sheet with a group a row.
pub(super) fn sheet(name: &str, found: &Found) -> Outcome<Sheet> {
    let (mut sheet, shrink) = (Sheet::new(), shrinking()?);
    sheet.title(&summary(name, found));
    sheet.space();
    for (place, group) in found.groups.iter().take(ROWS).enumerate() {
        let images = group.0.iter().take(IN_A_ROW);
        let images = images
            .map(|member| Ok(thumbnail(&shrink, &found.images.read(member.number)?.upright())))
            .collect::<Outcome<Vec<_>>>()?;
        let relations: Vec<String> = group.0.iter().map(|member| said(member.relation)).collect();
        let mut lines = vec![group.0[0].row.path.clone(), relations[1..].join(", ")];
        lines.extend(group.is_across().then(|| "across splits".to_owned()));
        lines.extend(group.has_other_labels().then(|| "of several classes".to_owned()));
        sheet.row(Row { name: format!("group {}", number(place + 1)), lines, bar: None, images });
    }
    if found.groups.len() > ROWS {
        sheet.text(&format!("and {} more groups", number(found.groups.len() - ROWS)));
    }
    Ok(sheet)
}

/// All groups. Names are stable.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    data: &'a str,
    images: usize,
    near: By,
    groups: Vec<GroupObject<'a>>,
    /// Images in groups, but for the first of each.
    repeated: usize,
    /// Groups with images of several splits.
    across: usize,
    broken: usize,
}

#[derive(Serialize)]
struct GroupObject<'a> {
    across: bool,
    other_labels: bool,
    images: Vec<ImageObject<'a>>,
}

#[derive(Serialize)]
struct ImageObject<'a> {
    path: &'a str,
    split: Option<&'a str>,
    label: Option<&'a str>,
    /// Relation to the first of the group.
    relation: Relation,
}

impl<'a> Object<'a> {
    pub(super) fn of(name: &'a str, found: &'a Found) -> Self {
        let image = |member: &'a Member| ImageObject {
            path: &member.row.path,
            split: member.row.split.as_deref(),
            label: member.row.label.as_deref(),
            relation: member.relation,
        };
        let group = |group: &'a Group| GroupObject {
            across: group.is_across(),
            other_labels: group.has_other_labels(),
            images: group.0.iter().map(image).collect(),
        };
        Self {
            data: name,
            images: found.images.len(),
            near: found.by,
            groups: found.groups.iter().map(group).collect(),
            repeated: found.groups.iter().map(|group| group.0.len() - 1).sum(),
            across: found.groups.iter().filter(|group| group.is_across()).count(),
            broken: found.broken,
        }
    }
}
