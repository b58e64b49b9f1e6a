//! Finding of a list's columns by its first two lines.

use residual_arch::TaskKind;

use super::columns::{Columns, LABELS, PATHS, SPLITS, is_called};
use crate::listing::is_image_name;

/// Indices of the columns of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: usize,
    pub(super) labels: Vec<usize>,
    pub(super) split: Option<usize>,
    /// True where the first line names the columns.
    pub(super) header: bool,
    /// True where the labels are what is left beside the path, under a name that says nothing.
    pub(super) guessed: bool,
}

/// First lines of a list: the names of its columns and an image, or two images; the second is empty where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) first: &'a [&'a str],
    pub(super) second: &'a [&'a str],
}

impl Head<'_> {
    /// Finds the columns; `None` where they cannot be told.
    pub(super) fn find(&self, columns: &Columns, task: TaskKind) -> Option<Found> {
        let split = self.named(&columns.split, &SPLITS);
        if columns.split.is_some() && split.is_none() {
            return None;
        }
        let path = self.named(&columns.path, &PATHS);
        let labels = self.named_labels(columns);
        if let (Some(path), Some(labels)) = (path, &labels)
            && !labels.contains(&path)
        {
            return Some(Found { path, labels: labels.clone(), split, header: true, guessed: false });
        }
        if let Some(found) = self.without_names(columns) {
            return Some(found);
        }
        let path = path.or_else(|| self.path_by_content().filter(|_| columns.path.is_none()))?;
        if let Some(labels) = labels {
            let apart = !labels.contains(&path);
            return apart.then_some(Found { path, labels, split, header: true, guessed: false });
        }
        if columns.label.is_some() || !columns.labels.is_empty() {
            return None;
        }
        let rest = self.rest(path, split);
        let labels = match rest.as_slice() {
            &[label] if self.may_be_label(label, task) => rest,
            [_, _, ..] if task == TaskKind::MultiLabel && self.are_flags(&rest) => rest,
            _ => return None,
        };
        Some(Found { path, labels, split, header: true, guessed: true })
    }

    /// Advice for whoever has a list of which the columns cannot be told.
    pub(super) fn help(&self, columns: &Columns) -> String {
        let usual = || "name them, as in --columns path=photo,label=breed".to_owned();
        let path = self.named(&columns.path, &PATHS).or_else(|| self.path_by_content());
        let Some(path) = path.filter(|_| columns.label.is_none() && columns.labels.is_empty()) else {
            return usual();
        };
        let rest = self.rest(path, self.named(&columns.split, &SPLITS));
        let names: Vec<&str> = rest.iter().map(|&at| self.first[at].trim()).collect();
        let names = names.join(",");
        let numeric = |at: &usize| self.second.get(*at).is_some_and(|value| value.parse::<f64>().is_ok());
        if rest.len() > 1 && self.are_flags(&rest) {
            return format!(
                "where each is a class, of which an image has one (its column is 1): --label {names}"
            );
        }
        if !rest.is_empty() && rest.iter().all(numeric) {
            return format!("numbers to predict are --task regression --label {names}");
        }
        usual()
    }

    /// Column of a name: the one that was asked for, or the first of the usual names that is there.
    fn named(&self, asked: &Option<String>, known: &[&str]) -> Option<usize> {
        match asked {
            Some(name) => self.called(name),
            None => known.iter().find_map(|name| self.first.iter().position(|field| is_called(field, name))),
        }
    }

    fn called(&self, name: &str) -> Option<usize> {
        self.first.iter().position(|field| field.eq_ignore_ascii_case(name))
    }

    fn named_labels(&self, columns: &Columns) -> Option<Vec<usize>> {
        match columns.labels.as_slice() {
            [] => self.named(&columns.label, &LABELS).map(|label| vec![label]),
            names => names.iter().map(|name| self.called(name)).collect(),
        }
    }

    /// Columns of a list without names: two, of which one is named as an image; or an image, its label, and numbers
    /// behind them, as of a box.
    fn without_names(&self, columns: &Columns) -> Option<Found> {
        let image = |at: usize| is_image_name(self.first[at].as_ref());
        let number = |field: &&str| field.parse::<f64>().is_ok();
        let path = match self.first {
            _ if !columns.is_default() => return None,
            [_, _] if image(0) != image(1) => usize::from(image(1)),
            [_, label, rest @ ..]
                if image(0) && !rest.is_empty() && !number(label) && rest.iter().all(number) =>
            {
                0
            }
            _ => return None,
        };
        Some(Found { path, labels: vec![1 - path], split: None, header: false, guessed: false })
    }

    /// The only column whose value names an image, where no name of a column does.
    fn path_by_content(&self) -> Option<usize> {
        if self.first.iter().any(|field| is_image_name(field.as_ref())) {
            return None;
        }
        let mut images = (0..self.first.len().min(self.second.len()))
            .filter(|&at| is_image_name(self.second[at].as_ref()));
        images.next().filter(|_| images.next().is_none())
    }

    /// Columns beside the path and the split that have a name: pandas writes an index without one.
    fn rest(&self, path: usize, split: Option<usize>) -> Vec<usize> {
        let is_left = |&at: &usize| at != path && Some(at) != split && !self.first[at].trim().is_empty();
        (0..self.first.len()).filter(is_left).collect()
    }

    /// True where the value of a column may be a label: neither boxes nor, for classes, a number with a point.
    fn may_be_label(&self, at: usize, task: TaskKind) -> bool {
        let Some(value) = self.second.get(at) else { return false };
        let numbers = value.split_whitespace().filter(|word| word.parse::<f64>().is_ok()).count();
        let is_measure = value.contains('.') && value.parse::<f64>().is_ok();
        numbers < 2 && !(is_measure && task.is_single_label())
    }

    /// True where the columns hold a 0 or a 1 each.
    fn are_flags(&self, columns: &[usize]) -> bool {
        let is_flag = |at: &usize| matches!(self.second.get(*at), Some(&("0" | "1" | "0.0" | "1.0")));
        columns.iter().all(is_flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(first: &[&str], second: &[&str], columns: &str, task: TaskKind) -> Option<Found> {
        let columns = if columns.is_empty() { Columns::default() } else { columns.parse().unwrap() };
        Head { first, second }.find(&columns, task)
    }

    fn found(first: &[&str], columns: &str) -> Option<(usize, usize, Option<usize>, bool)> {
        let found = head(first, &[], columns, TaskKind::SingleLabel);
        found.map(|found| (found.path, found.labels[0], found.split, found.header))
    }

    #[test]
    fn usual_names_are_found_in_any_order() {
        assert_eq!(found(&["label", "path"], ""), Some((1, 0, None, true)));
        assert_eq!(found(&["id", "File Name", "Class", "SPLIT"], ""), Some((1, 2, Some(3), true)));
        assert_eq!(found(&["photo", "breed"], ""), None);
        assert_eq!(found(&["photo", "breed"], "path=photo,label=Breed"), Some((0, 1, None, true)));
        assert_eq!(found(&["path", "label"], "split=fold"), None);
        assert_eq!(found(&["path"], ""), None);
    }

    #[test]
    fn two_columns_need_no_names() {
        assert_eq!(found(&["a/1.jpg", "cat"], ""), Some((0, 1, None, false)));
        assert_eq!(found(&["cat", "a/1.jpg"], ""), Some((1, 0, None, false)));
        assert_eq!(found(&["a.jpg", "b.jpg"], ""), None);
        assert_eq!(found(&["a.jpg", "b", "c"], ""), None);
        assert_eq!(found(&["a.jpg", "n01443537", "0", "0", "62", "61"], ""), Some((0, 1, None, false)));
        assert_eq!(found(&["a.jpg", "0", "0", "62"], ""), None);
    }

    #[test]
    fn what_is_left_beside_the_path_are_the_labels() {
        let labels = |first: &[&str], second: &[&str], task| {
            head(first, second, "", task).map(|found| (found.path, found.labels, found.guessed))
        };
        let single = TaskKind::SingleLabel;
        assert_eq!(labels(&["id", "breed"], &["000b", "pug"], single), Some((0, vec![1], true)));
        assert_eq!(labels(&["Klasse", "Datei"], &["Hund", "a/1.jpg"], single), Some((1, vec![0], true)));
        assert_eq!(labels(&["", "photo", "breed"], &["0", "1.png", "pug"], single), Some((1, vec![2], true)));
        assert_eq!(labels(&["photo", "label"], &["1.png", "pug"], single), Some((0, vec![1], false)));
        assert_eq!(labels(&["id", "breed", "split"], &["1", "pug", "val"], single), Some((0, vec![1], true)));
        let solution = ["ImageId", "PredictionString"];
        assert_eq!(labels(&solution, &["a", "n01440764 0 0 10 10"], single), None, "boxes");
        assert_eq!(labels(&["file", "score"], &["1.jpg", "0.71"], single), None);
        let regression = TaskKind::Regression;
        assert_eq!(labels(&["file", "score"], &["1.jpg", "0.71"], regression), Some((0, vec![1], true)));
        let flags = (["id", "a", "b"], ["7", "0", "1"]);
        assert_eq!(labels(&flags.0, &flags.1, single), None);
        assert_eq!(labels(&flags.0, &flags.1, TaskKind::MultiLabel), Some((0, vec![1, 2], true)));
    }

    #[test]
    fn advice_names_the_columns_that_are_left() {
        let help = |first: &[&str], second: &[&str]| Head { first, second }.help(&Columns::default());
        assert!(help(&["id", "a", "b"], &["7", "0", "1"]).ends_with("--label a,b"));
        assert!(
            help(&["file", "age", "height"], &["7.jpg", "20", "150.5"])
                .ends_with("--task regression --label age,height")
        );
        assert!(help(&["x", "y", "z"], &["1", "2", "3"]).contains("--columns path="));
    }
}
