//! A checkpoint by its name.

use super::checkpoint::{Library, Published};
use super::table::all;
use crate::families::{UnknownModel, edits};

/// Stands before the name of a network that is meant as timm has it.
const TIMM: &str = "timm_";

/// The checkpoint called `name`: `resnet50.a1_in1k`, `resnet50:IMAGENET1K_V2`; without a tag, the library's default.
///
/// # Errors
/// [`UnknownModel`] for a network of which there are no published weights, and for an unknown tag, with the nearest.
pub fn find(name: &str) -> Result<&'static Published, UnknownModel> {
    lookup(name)?.ok_or_else(|| UnknownModel {
        name: name.into(),
        published: false,
        reason: Some("neither torchvision nor timm publishes weights under this name".into()),
        suggestions: Vec::new(),
    })
}

/// A name without its tag, and the tag.
pub(crate) fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once([':', '.']) {
        Some((model, tag)) => (model, Some(tag)),
        None => (name, None),
    }
}

/// The checkpoint called `name`, where the tables have its network.
pub(crate) fn lookup(name: &str) -> Result<Option<&'static Published>, UnknownModel> {
    let (model, tag) = split(name);
    let (model, timm_alone) = match model.strip_prefix(TIMM) {
        Some(model) => (model, true),
        None => (model, false),
    };
    let mut rows =
        all().iter().filter(|row| row.model == model && (row.library == Library::Timm || !timm_alone));
    let Some(tag) = tag else { return Ok(rows.find(|row| row.default)) };
    match rows.clone().find(|row| row.tag.eq_ignore_ascii_case(tag)) {
        Some(row) => Ok(Some(row)),
        None if rows.next().is_none() => Ok(None),
        None => Err(unknown_tag(name, model, tag)),
    }
}

fn unknown_tag(name: &str, model: &str, tag: &str) -> UnknownModel {
    let tag: String = tag.chars().take(64).collect::<String>().to_lowercase();
    let mut rows: Vec<_> = all().iter().filter(|row| row.model == model && row.url.is_some()).collect();
    rows.sort_by_cached_key(|row| edits(&tag, &row.tag.to_lowercase()));
    UnknownModel {
        name: name.into(),
        published: false,
        reason: Some(format!("`{model}` has no tag `{tag}`")),
        suggestions: rows.into_iter().take(3).map(Published::name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_tag() {
        for (name, found) in [
            ("resnet50", "resnet50:IMAGENET1K_V2"),
            ("timm_resnet50", "resnet50.a1_in1k"),
            ("resnet101", "resnet101:IMAGENET1K_V2"),
            ("timm_resnet101", "resnet101.a1h_in1k"),
            ("resnet50:IMAGENET1K_V1", "resnet50:IMAGENET1K_V1"),
            ("resnet50.imagenet1k_v1", "resnet50:IMAGENET1K_V1"),
            ("resnet50.tv2_in1k", "resnet50.tv2_in1k"),
            ("resnetv2_50x1_bit", "resnetv2_50x1_bit.goog_distilled_in1k"),
            ("seresnet152", "seresnet152.untrained"),
        ] {
            assert_eq!(find(name).unwrap().name(), found, "{name}");
        }
    }

    #[test]
    fn unknown_names_say_what_is_near() {
        let error = find("resnet50.a1_in2k").unwrap_err();
        assert_eq!(error.suggestions[0], "resnet50.a1_in1k", "{error}");
        assert!(error.to_string().contains("`resnet50` has no tag `a1_in2k`"), "{error}");
        assert_eq!(find("resnet18:V2").unwrap_err().suggestions.len(), 3);
        let error = find("cifar_resnet20").unwrap_err();
        assert!(error.to_string().contains("neither torchvision nor timm"), "{error}");
        let long = format!("resnet18.{}", "é".repeat(100_000));
        assert!(find(&long).is_err());
    }

    /// `timm_resnet50:IMAGENET1K_V1` asks timm for what is torchvision's.
    #[test]
    fn timms_names_are_timms_alone() {
        assert!(find("timm_resnet50:IMAGENET1K_V1").is_err());
        assert_eq!(find("timm_resnet50.a1_in1k").unwrap().tag, "a1_in1k");
    }
}
