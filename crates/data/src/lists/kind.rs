//! Kinds of lists, by the file's ending.

use std::path::Path;

use super::lines::Lines;

/// Kind of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// Fields with this byte between them, quoted where they hold it (RFC 4180).
    Separated(u8),
    /// A path, white space, a label.
    Spaced,
    /// A JSON object a line.
    JsonLines,
}

/// True for a file that is named as a list: `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.txt`.
pub(crate) fn is_list(path: &Path) -> bool {
    ending(path).is_some_and(|ending| matches!(ending.as_str(), "csv" | "tsv" | "jsonl" | "ndjson" | "txt"))
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

impl ListKind {
    /// Kind of the list at `path`; the separator is the commonest of its first line.
    pub(super) fn of(path: &Path, text: &str) -> Self {
        let ending = ending(path).unwrap_or_default();
        let first = Lines::new(text).map(|(_, line)| line).find(|line| !line.trim().is_empty());
        let first = first.unwrap_or_default();
        let count = |separator: u8| first.bytes().filter(|&byte| byte == separator).count();
        let commonest = [b',', b';', b'\t'].into_iter().rev().max_by_key(|&separator| count(separator));
        match (ending.as_str(), commonest) {
            ("jsonl" | "ndjson", _) => Self::JsonLines,
            ("tsv", _) => Self::Separated(b'\t'),
            ("txt", Some(separator)) if count(separator) == 0 => Self::Spaced,
            (_, separator) => Self::Separated(separator.unwrap_or(b',')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_told_from_the_first_line() {
        let of = |name: &str, text: &str| ListKind::of(Path::new(name), text);
        assert_eq!(of("a.csv", "path,label\na;b,c"), ListKind::Separated(b','));
        assert_eq!(of("a.csv", "\npath;label\n"), ListKind::Separated(b';'));
        assert_eq!(of("a.CSV", "path"), ListKind::Separated(b','));
        assert_eq!(of("a.tsv", "path,x\tlabel"), ListKind::Separated(b'\t'));
        assert_eq!(of("a.txt", "a/b.jpg 3\n"), ListKind::Spaced);
        assert_eq!(of("a.txt", "a/b.jpg\tcat\n"), ListKind::Separated(b'\t'));
        assert_eq!(of("a.jsonl", "{\"a\": 1}"), ListKind::JsonLines);
        assert!(
            is_list(Path::new("x/Train.TSV")) && !is_list(Path::new("x.zip")) && !is_list(Path::new("csv"))
        );
    }
}
