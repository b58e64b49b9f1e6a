//! Folders that are arranged otherwise than by classes: boxes of objects, or a list beside the images.

use crate::Error;
use crate::listing::{Listing, Others};
use crate::path::InnerPath;

/// Endings of lists that can be given as the data.
const LISTS: [&str; 4] = [".csv", ".tsv", ".jsonl", ".ndjson"];

/// Words in the names of texts that are lists of images.
pub(crate) const LIST_WORDS: [&str; 3] = ["annotation", "label", "list"];

impl Listing {
    /// Error for data of boxes of objects, told by the files that say them; `None` where there are none.
    pub(crate) fn boxes(&self) -> Option<Error> {
        let found = self.others.iter().find_map(|((folder, kind), others)| {
            Some((self.format_of_boxes(folder, kind, others)?, others.first.clone()))
        });
        let (format, evidence) = found?;
        Some(Error::Boxes { path: self.origin.clone(), format, evidence })
    }

    fn format_of_boxes(&self, folder: &InnerPath, kind: &str, others: &Others) -> Option<&'static str> {
        let called = |part: &[u8], name: &str| part.eq_ignore_ascii_case(name.as_bytes());
        let last = folder.parts().last().unwrap_or_default();
        match kind {
            ".json" => {
                let name = others.first.rsplit('/').next().unwrap_or_default();
                let is_coco = called(last, "annotations")
                    || name.starts_with("instances_")
                    || name.ends_with("_annotations.coco.json");
                is_coco.then_some("COCO")
            }
            ".xml" => called(last, "annotations").then_some("Pascal VOC"),
            ".txt" => {
                let place = folder.parts().position(|part| called(part, "labels"))?;
                let above = folder.up_to(place);
                let beside = |other: &&InnerPath| {
                    other.depth() == place + 1 && other.is_within(&above) && called(other.last(), "images")
                };
                self.folders.iter().find(beside).map(|_| "YOLO")
            }
            _ => None,
        }
    }

    /// The first list by depth and name that may say the labels of the images.
    pub(crate) fn list_beside(&self) -> Option<String> {
        let lists = self.others.iter().filter(|((_, kind), others)| {
            let name = others.first.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
            let is_text_list = kind == ".txt" && LIST_WORDS.iter().any(|word| name.contains(word));
            LISTS.contains(&kind.as_str()) || is_text_list
        });
        let first = lists.min_by_key(|((folder, _), others)| (folder.depth(), others.first.clone()));
        first.map(|(_, others)| others.first.clone())
    }
}
