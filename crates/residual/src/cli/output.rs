//! Standard output: lines, JSON, and a reader that may go away.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

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

    /// Prints a line.
    pub(crate) fn line(&mut self, line: impl Display) -> Outcome {
        writeln!(self.stdout, "{line}").and_then(|()| self.stdout.flush()).map_err(write_failure)
    }

    /// Prints one JSON object on a line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Outcome {
        let text = serde_json::to_string(value)?;
        self.line(text)
    }
}

fn write_failure(error: io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::from(error).within("cannot write to standard output")
    }
}
