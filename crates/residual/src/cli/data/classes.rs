//! Class balance: a bar a class.

use residual::data::Survey;
use residual_files::escaped;

use crate::cli::table::{WIDTH, shorten, thousands};

/// The most classes that each have a line.
const ALL: usize = 24;

/// Of more classes, so many of the largest and of the smallest.
const ENDS: usize = 8;

/// The longest name that is not cut, and the longest bar.
const NAME: usize = 28;
const BAR: usize = 40;

/// Classes with the numbers of their images in each split.
pub(super) struct Balance {
    classes: Vec<String>,
    /// Name of a split, and the images of each class in it.
    splits: Vec<(String, Vec<usize>)>,
}

impl Balance {
    pub(super) fn of(survey: &Survey) -> Self {
        let splits = survey.splits().map(|split| (split.to_string(), survey.counts(split))).collect();
        Self { classes: survey.classes().to_vec(), splits }
    }

    /// A table of the classes, as a bar and a number a split.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some((_, first)) = self.splits.first() else { return Vec::new() };
        let shown = self.shown(ALL, ENDS);
        let widths = self.splits.iter().map(|(split, counts)| {
            let widest = counts.iter().map(|&count| thousands(count as u64).len()).max().unwrap_or(0);
            widest.max(split.len())
        });
        let widths: Vec<usize> = widths.collect();
        let names =
            shown.iter().flatten().map(|&class| escaped(&self.classes[class]).to_string().chars().count());
        let name = names.max().unwrap_or(0).clamp("class".len(), NAME);
        let numbers: usize = widths.iter().map(|width| width + 2).sum();
        let bar = WIDTH.saturating_sub(name + 2 + numbers).min(BAR);
        let heading =
            self.splits.iter().zip(&widths).map(|((split, _), &width)| format!("  {split:>width$}"));
        let mut lines = vec![format!("{:<name$}  {:bar$}{}", "class", "", heading.collect::<String>())];
        let most = first.iter().copied().max().unwrap_or(0);
        for class in shown {
            let Some(class) = class else {
                lines
                    .push(format!("… {} classes between", thousands((self.classes.len() - 2 * ENDS) as u64)));
                continue;
            };
            let text = shorten(&escaped(&self.classes[class]).to_string(), name);
            let counts = self.splits.iter().zip(&widths);
            let counts =
                counts.map(|((_, counts), &width)| format!("  {:>width$}", thousands(counts[class] as u64)));
            let drawn = drawn(first[class], most, bar);
            lines.push(format!("{text:<name$}  {drawn:<bar$}{}", counts.collect::<String>()));
        }
        lines
    }

    /// `train: 20 to 400 images a class (20.0 to 1), median 130`, for each split.
    pub(super) fn summaries(&self) -> Vec<String> {
        let summary = |(split, counts): &(String, Vec<usize>)| {
            let mut sorted = counts.clone();
            sorted.sort_unstable();
            let (&least, &most) = (sorted.first()?, sorted.last()?);
            let median = sorted[(sorted.len() - 1) / 2];
            let [least_text, most_text, median] = [least, most, median].map(|count| thousands(count as u64));
            Some(match (least, most) {
                (least, most) if least == most => format!("{split}: {most_text} images a class"),
                (0, _) => {
                    let empty = sorted.iter().filter(|&&count| count == 0).count();
                    format!("{split}: 0 to {most_text} images a class, median {median}; {empty} without any")
                }
                (least, most) => {
                    let ratio = most as f64 / least as f64;
                    format!(
                        "{split}: {least_text} to {most_text} images a class ({ratio:.1} to 1), median {median}"
                    )
                }
            })
        };
        self.splits.iter().filter_map(summary).collect()
    }

    /// The classes that have a line, `None` for those between: all in their order, or the largest and the smallest:
    /// of more than `all`, so many at each of the `ends`.
    pub(super) fn shown(&self, all: usize, ends: usize) -> Vec<Option<usize>> {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        let Some((_, counts)) = self.splits.first().filter(|_| order.len() > all) else {
            return order.into_iter().map(Some).collect();
        };
        order.sort_by_key(|&class| std::cmp::Reverse(counts[class]));
        let (largest, smallest) = (&order[..ends], &order[order.len() - ends..]);
        let class = |&class: &usize| Some(class);
        largest.iter().map(class).chain([None]).chain(smallest.iter().map(class)).collect()
    }
}

/// A bar of eighths of a character; what is not nothing is seen.
fn drawn(count: usize, most: usize, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (count as f64 / most.max(1) as f64 * 8.0 * width as f64).round() as usize;
    let eighths = eighths.max(usize::from(count > 0));
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(classes: usize) -> Balance {
        let names = (0..classes).map(|class| format!("class {class} {}", "x".repeat(class % 50)));
        let counts: Vec<usize> = (0..classes).map(|class| class * 10).collect();
        let test = vec![5; classes];
        Balance { classes: names.collect(), splits: vec![("train".into(), counts), ("test".into(), test)] }
    }

    #[test]
    fn few_classes_are_all_there_and_many_at_their_ends() {
        let lines = balance(3).lines();
        assert_eq!(lines.len(), 4);
        assert!(lines[3].contains(&"█".repeat(BAR)) && lines[3].ends_with("20     5"), "{lines:?}");
        assert!(!lines[1].contains('█') && lines[1].ends_with(" 0     5"), "{lines:?}");
        let lines = balance(1000).lines();
        assert_eq!(lines.len(), 2 * ENDS + 2);
        assert!(lines[1].starts_with("class 999"), "{lines:?}");
        assert_eq!(lines[ENDS + 1], "… 984 classes between");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
    }

    #[test]
    fn summaries_give_least_and_most() {
        let found = balance(3).summaries();
        assert_eq!(found[0], "train: 0 to 20 images a class, median 10; 1 without any");
        assert_eq!(found[1], "test: 5 images a class");
        let uneven =
            Balance { classes: vec!["a".into(), "b".into()], splits: vec![("val".into(), vec![4, 10])] };
        assert_eq!(uneven.summaries(), ["val: 4 to 10 images a class (2.5 to 1), median 4"]);
    }

    #[test]
    fn one_image_is_seen_beside_a_million() {
        assert_eq!(drawn(1, 1_000_000, 10), "▏");
        assert_eq!(drawn(0, 5, 10), "");
        assert_eq!(drawn(5, 5, 3), "███");
        assert_eq!(drawn(0, 0, 3), "");
    }
}
