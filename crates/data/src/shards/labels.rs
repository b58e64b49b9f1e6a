//! Labels of stored images, before the classes are known.

use std::collections::HashMap;

use residual_arch::TaskKind;

use crate::Error;
use crate::answers::{Given, answer};

/// Place of a label that there is none of.
pub(crate) const NO_LABEL: u32 = u32::MAX;

/// Place of a label of an image that is at fault and left out.
pub(crate) const LEFT_OUT: u32 = u32::MAX - 1;

/// The most different labels: beyond it, they are no classes but texts or numbers of something.
const MOST: usize = 1 << 20;

/// Texts of labels, each once, and the label of each image as a place among them.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    texts: Vec<String>,
    places: HashMap<String, u32>,
    /// Label of each image, [`NO_LABEL`] or [`LEFT_OUT`].
    pub(crate) of: Vec<u32>,
}

impl Labels {
    /// Place of a label.
    ///
    /// # Errors
    /// [`Error::Sample`] where there are more labels than classes can be; `file` is named in it.
    pub(crate) fn place(&mut self, text: &str, file: impl Fn() -> String) -> Result<u32, Error> {
        if let Some(&place) = self.places.get(text) {
            return Ok(place);
        }
        if self.texts.len() >= MOST {
            let reason =
                format!("the label is one of more than {MOST}; help: choose another (--columns label=NAME)");
            return Err(Error::Sample { file: file(), reason });
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        Ok(place)
    }

    /// Puts the texts of answers in the place of what was read.
    ///
    /// # Errors
    /// [`Error::Answer`] for one that is none.
    pub(crate) fn answer(&mut self, kind: TaskKind, columns: &[String], origin: &str) -> Result<(), Error> {
        for text in &mut self.texts {
            let answered = answer(kind, columns, &[Given::Text(text.as_str().into())]);
            *text = answered.map_err(|reason| Error::Answer { path: origin.to_owned(), reason })?;
        }
        Ok(())
    }

    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Puts others in the place of the texts.
    pub(crate) fn set_texts(&mut self, texts: Vec<String>) {
        self.texts = texts;
    }

    /// Adds the images of another part of the data behind.
    pub(crate) fn extend(&mut self, other: &Self, file: impl Fn() -> String) -> Result<(), Error> {
        let places = other.texts.iter().map(|text| self.place(text, &file)).collect::<Result<Vec<_>, _>>()?;
        self.of.extend(other.of.iter().map(|&label| places.get(label as usize).copied().unwrap_or(label)));
        Ok(())
    }
}
