//! Answers of a data set that are more than a class.

use std::sync::Arc;

use residual_arch::TaskKind;
use residual_files::escaped;

use super::Dataset;
use crate::answers::{Given, Texts, answer};
use crate::{Error, Split};

impl Dataset {
    /// Task that the images are labelled for.
    pub fn task(&self) -> TaskKind {
        self.splits.first().map_or(TaskKind::SingleLabel, |(_, set)| set.task())
    }

    /// Data whose classes are the names of folders, or other texts of labels, for a task: names of several classes, or
    /// numbers.
    pub(super) fn of_names(mut self, task: TaskKind) -> Result<Self, Error> {
        if task.is_single_label() {
            return Ok(self);
        }
        let columns = ["label".to_owned()];
        for class in &mut self.classes {
            let text = answer(task, &columns, &[Given::Text(class.as_str().into())]);
            *class = text.map_err(|reason| Error::Answer {
                path: self.origin.clone(),
                reason: format!("of the class `{}`: {reason}", escaped(class)),
            })?;
        }
        self.answered(task, &columns)
    }

    /// Data whose classes are texts of answers, decoded.
    pub(super) fn answered(mut self, kind: TaskKind, columns: &[String]) -> Result<Self, Error> {
        if kind.is_single_label() {
            return Ok(self);
        }
        let mut trained = vec![false; self.classes.len()];
        for (_, set) in self.splits.iter().filter(|(split, _)| *split == Split::Train) {
            (0..set.len()).for_each(|index| trained[set.items.label(index)] = true);
        }
        let texts = Texts { kind, columns, texts: &self.classes, trained, origin: &self.origin };
        let (classes, answers) = texts.decode()?;
        self.classes = classes;
        let (names, answers): (Arc<[String]>, _) = (self.classes.clone().into(), Arc::new(answers));
        for (_, set) in &mut self.splits {
            (set.classes, set.answers) = (names.clone(), Some(answers.clone()));
        }
        Ok(self)
    }
}
