//! A list of paths on standard input, a path a line.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use crate::cli::failure::{Failure, Outcome};

/// The longest line, in bytes: more than any system takes for a path.
const LONGEST: usize = 1 << 16;

/// Bytes of a line that are skipped in search of its end, before it is taken for something that has none.
const SKIPPED: u64 = 1 << 26;

/// The paths of a list, one after the other; empty lines are left out. A line that is no path is an error, and so is
/// the end of what cannot be a list.
pub(super) fn paths(list: impl BufRead) -> impl Iterator<Item = Outcome<PathBuf>> {
    let mut lines = Lines { list, number: 0, ended: false };
    std::iter::from_fn(move || lines.next_path())
}

struct Lines<R> {
    list: R,
    /// Number of the line that was read last, from 1.
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    fn next_path(&mut self) -> Option<Outcome<PathBuf>> {
        loop {
            match self.line() {
                Ok(None) => return None,
                Ok(Some(line)) if line.is_empty() => {}
                Ok(Some(line)) => return Some(from_bytes(line).map_err(|failure| self.named(failure))),
                Err(failure) => return Some(Err(self.named(failure))),
            }
        }
    }

    fn named(&self, failure: Failure) -> Failure {
        failure.within(format_args!("standard input, line {}", self.number))
    }

    /// The next line without its end; `None` behind the last.
    fn line(&mut self) -> Outcome<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        self.number += 1;
        let mut line = Vec::new();
        let mut some = (&mut self.list).take(LONGEST as u64 + 1);
        some.read_until(b'\n', &mut line).inspect_err(|_| self.ended = true)?;
        if line.is_empty() {
            self.ended = true;
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > LONGEST {
            self.ended = !self.skip()?;
            return Err(Failure::new(format_args!("longer than any path ({LONGEST} bytes)")));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if self.number == 1 && line.starts_with("\u{feff}".as_bytes()) {
            line.drain(.."\u{feff}".len());
        }
        Ok(Some(line))
    }

    /// Goes to the end of the line; `false` where it has none for too long.
    fn skip(&mut self) -> Outcome<bool> {
        let mut left = SKIPPED;
        while left > 0 {
            let some = self.list.fill_buf().inspect_err(|_| self.ended = true)?;
            let (used, found) = match some.iter().position(|&byte| byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (some.len(), some.is_empty()),
            };
            self.list.consume(used);
            if found {
                return Ok(true);
            }
            left = left.saturating_sub(used as u64);
        }
        Ok(false)
    }
}

fn from_bytes(line: Vec<u8>) -> Outcome<PathBuf> {
    if line.contains(&0) {
        return Err(Failure::new(
            "holds a zero byte; help: give a path a line (`find -print`, not `-print0`)",
        ));
    }
    path(line)
}

#[cfg(unix)]
fn path(line: Vec<u8>) -> Outcome<PathBuf> {
    let name: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(line);
    Ok(name.into())
}

#[cfg(not(unix))]
fn path(line: Vec<u8>) -> Outcome<PathBuf> {
    Ok(String::from_utf8(line)?.into())
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, repeat};

    use super::*;

    fn found(list: impl Read) -> Vec<String> {
        let report = |failure: Failure| failure.report(false).unwrap();
        paths(BufReader::new(list))
            .map(|path| path.map_or_else(report, |path| path.display().to_string()))
            .collect()
    }

    #[test]
    fn a_path_a_line() {
        assert_eq!(found("\u{feff}a b.png\r\n\n\nc\n\u{feff}d".as_bytes()), ["a b.png", "c", "\u{feff}d"]);
        assert_eq!(found(&b""[..]), [""; 0]);
    }

    #[test]
    fn what_is_no_path_is_an_error_and_the_list_goes_on() {
        let list = ["a".repeat(LONGEST), "b".repeat(10_000_000), "c\0d".into(), "e".into()].join("\n");
        let found = found(list.as_bytes());
        assert_eq!((found.len(), found[0].len(), found[3].as_str()), (4, LONGEST, "e"));
        assert!(found[1].starts_with("error: standard input, line 2: longer than any path"), "{}", found[1]);
        assert!(found[2].starts_with("error: standard input, line 3: holds a zero byte"), "{}", found[2]);
    }

    #[test]
    fn a_line_without_an_end_ends_the_list() {
        let found = found("a\n".as_bytes().chain(repeat(0)));
        assert_eq!(found.len(), 2);
        assert!(found[1].contains("line 2: longer than any path"), "{}", found[1]);
    }
}
