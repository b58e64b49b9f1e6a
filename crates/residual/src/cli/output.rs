//! Standard output: lines, JSON, and a reader that may go away.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

use residual_files::escaped;
use serde::Serialize;

use super::failure::{Failure, Outcome};

/// Standard output. Every line is flushed, so that a reader sees results as they come.
pub(crate) struct Output {
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// Takes standard output for as long as the value lives.
    pub(crate) fn new() -> Self {
        Self { stdout: BufWriter::new(io::stdout().lock()) }
    }

    /// Prints a line. Control characters of names are escaped.
    pub(crate) fn line(&mut self, line: impl Display) -> Outcome {
        let line = line.to_string();
        self.print(escaped(&line))
    }

    /// Prints one JSON object on a line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(value)?;
        self.print(plain_json(&text))
    }

    fn print(&mut self, line: impl Display) -> Outcome {
        writeln!(self.stdout, "{line}").and_then(|()| self.stdout.flush()).map_err(write_failure)
    }
}

/// JSON whose strings hold no character that a terminal obeys: JSON itself escapes only those below U+0020.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match escaped(character.encode_utf8(&mut [0; 4])).is_plain() {
            true => plain.push(character),
            // All of them are of the basic plane: one unit of UTF-16.
            false => plain.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    plain
}

fn write_failure(error: io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::from(error).within("cannot write to standard output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_value_without_control_characters() {
        let value = "a\u{1b}[31m\n\u{7f}\u{9b}2J\u{202e}é猫😀\u{feff}";
        let text = plain_json(&serde_json::to_string(value).unwrap());
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        assert_eq!(text, "\"a\\u001b[31m\\n\\u007f\\u009b2J\\u202eé猫😀\\ufeff\"");
    }
}
