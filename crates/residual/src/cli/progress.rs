//! Progress on standard error: a line that moves on a terminal, nothing or plain lines elsewhere.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Whether standard error is a terminal that lines may be drawn on again and again.
pub(crate) fn is_interactive() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}

/// Prints a line on standard error. Where that has been closed there is nobody to tell.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A bar with a count, on a terminal only.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// A bar for `total` images.
    pub(crate) fn new(total: usize) -> Self {
        Self::with_template(total, "[{bar:24}] {pos} of {len} images, {per_sec} a second, {eta} left")
    }

    /// A bar whose line is its message.
    #[cfg(feature = "train")]
    pub(crate) fn with_message(total: usize) -> Self {
        Self::with_template(total, "[{bar:14}] {msg}")
    }

    fn with_template(total: usize, template: &str) -> Self {
        if !is_interactive() {
            return Self { bar: None };
        }
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total as u64).with_style(style.progress_chars("=> "));
        Self { bar: Some(bar) }
    }

    /// Whether there is a bar.
    #[cfg(feature = "train")]
    pub(crate) fn is_drawn(&self) -> bool {
        self.bar.is_some()
    }

    /// Moves to `done`.
    pub(crate) fn set(&self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    /// Moves to `done`, with a message.
    #[cfg(feature = "train")]
    pub(crate) fn say(&self, done: usize, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(message);
        }
    }

    /// Prints a line that stays, above the bar.
    pub(crate) fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(line)),
            None => note(line),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `45s`, `12m 05s`, `3h 20m`.
#[cfg(feature = "train")]
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_owned();
    }
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(44.6), "45s");
        assert_eq!(duration(725.0), "12m 05s");
        assert_eq!(duration(12_000.0), "3h 20m");
        assert_eq!(duration(f64::NAN), "?");
        assert_eq!(duration(-1.0), "0s");
    }
}
