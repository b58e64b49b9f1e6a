//! How a command ends when it does not end well.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::Write as _;

use residual_files::escaped;

use super::table::shorten;

/// The longest line of a report, in characters: a message may quote a file's line of any length.
const LONGEST: usize = 600;

/// Reason for which a command stops short.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something is wrong with what was asked for or found: one line, and the chain of causes.
    Error {
        /// The line.
        message: String,
        /// Causes, outermost first.
        causes: Vec<String>,
    },
    /// A check did not hold. What failed has been printed already.
    Check,
    /// Errors of parts of the work that did not keep the rest from being done, printed already.
    Reported,
    /// The user pressed Ctrl-C. What that means has been printed already.
    Interrupted,
    /// The reader of standard output has gone, as in `residual models | head -1`.
    OutputClosed,
}

/// Result of every command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// An error of the command line's own.
    pub(crate) fn new(message: impl Display) -> Self {
        Self::Error { message: message.to_string(), causes: Vec::new() }
    }

    /// The exit code: 2 for an error, 1 for a check that failed, 130 for Ctrl-C as shells have it.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Error { .. } | Self::Reported => 2,
            Self::Check => 1,
            Self::Interrupted => 130,
            Self::OutputClosed => 0,
        }
    }

    /// Text for standard error: one line, with `verbose` the causes under it.
    pub(crate) fn report(&self, verbose: bool) -> Option<String> {
        let Self::Error { message, causes } = self else { return None };
        let mut report = format!("error: {}\n", line(message));
        if verbose {
            for cause in causes {
                // Writing to a string does not fail.
                let _ = writeln!(report, "  caused by: {}", line(cause));
            }
        }
        Some(report)
    }

    /// Prints the report on standard error.
    pub(crate) fn announce(&self, verbose: bool) {
        if let Some(report) = self.report(verbose) {
            // There is nowhere left to complain.
            let _ = std::io::stderr().write_all(report.as_bytes());
        }
    }

    /// Failure with its message put after `context` and a colon.
    pub(crate) fn within(self, context: impl Display) -> Self {
        match self {
            Self::Error { message, causes } => {
                Self::Error { message: format!("{context}: {message}"), causes }
            }
            other => other,
        }
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self::Error { message: error.to_string(), causes }
    }
}

/// Message on one line, without the control characters of names that it quotes, and of bearable length.
pub(crate) fn line(message: &str) -> String {
    shorten(&escaped(&without_snippet(message)).to_string(), LONGEST)
}

/// A message in which the TOML reader quotes the line that it stopped at: what is said of it is kept.
fn without_snippet(message: &str) -> String {
    if !message.contains("TOML parse error at line") {
        return message.to_owned();
    }
    let is_snippet = |line: &&str| {
        line.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).starts_with('|')
    };
    message.trim_end().lines().filter(|line| !is_snippet(line)).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "no number of epochs")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_chain_is_shown_when_asked_for() {
        let failure = Failure::from(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(failure.report(false).unwrap(), "error: no number of epochs\n");
        let verbose = failure.report(true).unwrap();
        assert!(verbose.ends_with("  caused by: invalid digit found in string\n"), "{verbose}");
        assert_eq!(failure.within("run").report(false).unwrap(), "error: run: no number of epochs\n");
    }

    #[test]
    fn a_report_is_one_short_line_whatever_it_quotes() {
        let report = |message: &str| Failure::new(message).report(false).unwrap();
        assert_eq!(report("a\n\u{1b}[2Jb.png: none"), "error: a\\n\\u{1b}[2Jb.png: none\n");
        let long = report(&"x".repeat(100_000));
        assert!(long.chars().count() < 700 && long.contains('…'), "{long}");
        let text = format!("a = \"{}\"\nb = ", "x".repeat(100_000));
        for text in [text.as_str(), "\n\n[head", "a = 1\na = 2", "é = [1, 2"] {
            let Err(error) = residual::arch::NetSpec::from_toml(text) else { panic!("{text} is no network") };
            let report = Failure::from(error).within("x.toml").report(false).unwrap();
            assert!(report.starts_with("error: x.toml: ") && report.contains("at line"), "{report}");
            assert!(
                report.chars().count() < 300 && !report.contains(" | ") && !report.contains("\\n"),
                "{report}"
            );
        }
    }
}
