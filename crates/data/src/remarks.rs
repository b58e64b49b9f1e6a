//! What was noticed in images while they were read.

use std::sync::OnceLock;

use crate::{Image, Note};

/// Remarks on images, shared by those who read them. Each is about the first image that it was noticed in.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    /// The first file of several pictures.
    several: OnceLock<String>,
}

impl Remarks {
    pub(crate) fn look_at(&self, image: &Image, file: &str) {
        if image.is_first_of_several() {
            self.several.get_or_init(|| file.to_owned());
        }
    }

    pub(crate) fn notes(&self) -> Vec<Note> {
        let several = self.several.get().map(|first| Note::FirstOfSeveral { first: first.clone() });
        several.into_iter().collect()
    }
}
