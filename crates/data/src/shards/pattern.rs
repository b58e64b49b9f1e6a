//! Names of shards with braces: `train-{000..010}.tar`, `{train,val}.parquet`.

use std::path::{Path, PathBuf};

use crate::Error;

/// The most files that a name may stand for.
const MOST: usize = 100_000;

/// Paths that a path with braces stands for, in order, as in a shell: `{000..010}` counts, with as many digits as are
/// written, `{a,b}` lists, also one in the other. `None` where there are no such braces.
///
/// # Errors
/// [`Error::InvalidOption`] where it stands for more files than can be right.
pub(crate) fn expand(path: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let Some(text) = path.to_str() else { return Ok(None) };
    let mut pending = vec![text.to_owned()];
    let mut whole = Vec::new();
    while let Some(text) = pending.pop() {
        let Some(group) = first_group(&text) else {
            whole.push(PathBuf::from(text));
            continue;
        };
        if whole.len() + pending.len() + group.count() > MOST {
            let (found, expected) =
                (path.display().to_string(), "braces that stand for 100,000 files at most");
            return Err(Error::InvalidOption { option: "data", found, expected });
        }
        // The last is taken first.
        pending.extend(group.choices().rev().map(|choice| [group.before, &choice, group.behind].concat()));
    }
    Ok((whole.len() != 1 || whole[0] != path).then_some(whole))
}

/// A group in braces, and what stands around it.
struct Group<'a> {
    before: &'a str,
    behind: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Numbers { from: u64, to: u64, digits: usize },
    Words(Vec<&'a str>),
}

impl Group<'_> {
    fn count(&self) -> usize {
        match &self.kind {
            Kind::Numbers { from, to, .. } => {
                usize::try_from(to.abs_diff(*from)).unwrap_or(usize::MAX).saturating_add(1)
            }
            Kind::Words(words) => words.len(),
        }
    }

    fn choices(&self) -> Box<dyn DoubleEndedIterator<Item = String> + '_> {
        match &self.kind {
            &Kind::Numbers { from, to, digits } if from <= to => {
                Box::new((from..=to).map(move |number| format!("{number:0digits$}")))
            }
            &Kind::Numbers { from, to, digits } => {
                Box::new((to..=from).rev().map(move |number| format!("{number:0digits$}")))
            }
            Kind::Words(words) => Box::new(words.iter().map(|word| (*word).to_owned())),
        }
    }
}

/// The first group of a text that counts or lists something; braces that do neither are letters of the name.
fn first_group(text: &str) -> Option<Group<'_>> {
    for (open, _) in text.match_indices('{') {
        let Some((close, commas)) = matching(text, open) else { continue };
        let inside = &text[open + 1..close];
        let kind = match (numbers(inside), commas.is_empty()) {
            (Some(kind), _) => kind,
            (None, false) => {
                let starts = std::iter::once(open + 1).chain(commas.iter().map(|comma| comma + 1));
                let ends = commas.iter().copied().chain([close]);
                Kind::Words(starts.zip(ends).map(|(start, end)| &text[start..end]).collect())
            }
            (None, true) => continue,
        };
        return Some(Group { before: &text[..open], behind: &text[close + 1..], kind });
    }
    None
}

/// Place of the brace that closes the one at `open`, and of the commas between them that are in no other braces.
fn matching(text: &str, open: usize) -> Option<(usize, Vec<usize>)> {
    let (mut depth, mut commas) = (0, Vec::new());
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some((at, commas)),
            b'}' => depth -= 1,
            b',' if depth == 1 => commas.push(at),
            _ => {}
        }
    }
    None
}

/// `000..010`.
fn numbers(inside: &str) -> Option<Kind<'_>> {
    let (from, to) = inside.split_once("..")?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    // Without leading zeros, nothing is filled up.
    let padded = [from, to].iter().any(|text| text.len() > 1 && text.starts_with('0'));
    let digits = if padded { from.len().max(to.len()) } else { 1 };
    Some(Kind::Numbers { from: number(from)?, to: number(to)?, digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        let paths = expand(Path::new(text)).unwrap().unwrap_or_else(|| vec![text.into()]);
        paths.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn braces_count_and_list_as_in_a_shell() {
        assert_eq!(expanded("a-{008..010}.tar"), ["a-008.tar", "a-009.tar", "a-010.tar"]);
        assert_eq!(expanded("a-{9..11}.tar"), ["a-9.tar", "a-10.tar", "a-11.tar"]);
        assert_eq!(expanded("a{2..1}"), ["a2", "a1"]);
        assert_eq!(
            expanded("{train,val}-{0..1}.tar"),
            ["train-0.tar", "train-1.tar", "val-0.tar", "val-1.tar"]
        );
        assert_eq!(expanded("{t-{0..1},v}.tar"), ["t-0.tar", "t-1.tar", "v.tar"]);
        assert_eq!(expanded("d/{a,}b"), ["d/ab", "d/b"]);
    }

    #[test]
    fn other_braces_are_letters_and_too_many_files_are_refused() {
        for text in ["plain.tar", "a{b}.tar", "a{.tar", "a}b{", "{..}", "{1..x}", "{-1..2}", "{}"] {
            assert_eq!(expanded(text), [text], "{text}");
        }
        for text in ["a-{0..999999999999}.tar", "{0..999}{0..999}", "{0..18446744073709551615}"] {
            assert!(matches!(expand(Path::new(text)), Err(Error::InvalidOption { .. })), "{text}");
        }
    }
}
