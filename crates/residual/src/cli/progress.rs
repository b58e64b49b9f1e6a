//! Progress on standard error: a line that moves on a terminal, nothing or plain lines elsewhere.

use std::cell::{Cell, RefCell};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use residual_files::escaped;

/// True where standard error is a terminal that lines may be drawn on again and again.
pub(crate) fn is_interactive() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}

/// Prints lines on standard error, the control characters of names escaped. Where that has been closed there is
/// nobody to tell.
pub(crate) fn note(lines: &str) {
    let lines: Vec<String> = lines.split('\n').map(|line| escaped(line).to_string()).collect();
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);

/// Goes back to the beginning of the line and erases it.
const ERASE: &str = "\r\x1b[2K";

/// A bar with a count, on a terminal only.
pub(crate) struct Bar {
    total: usize,
    begun: Instant,
    is_drawn: bool,
    /// Time and content of the last drawing.
    drawn: Cell<Option<Instant>>,
    text: RefCell<String>,
}

impl Bar {
    /// A bar for `total` images, or for `total` steps of which each has a message.
    pub(crate) fn new(total: usize) -> Self {
        let (begun, is_drawn) = (Instant::now(), is_interactive());
        Self { total, begun, is_drawn, drawn: Cell::default(), text: RefCell::default() }
    }

    /// True where there is a bar.
    #[cfg(feature = "train")]
    pub(crate) fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    /// Moves to `done` images.
    pub(crate) fn set(&self, done: usize) {
        self.draw(|| format!("[{}] {}", self.filled(done, 24), self.pace(done, self.begun.elapsed())));
    }

    /// Moves to `done`, with a message.
    #[cfg(any(feature = "get", feature = "train"))]
    pub(crate) fn say(&self, done: usize, message: &str) {
        self.draw(|| format!("[{}] {message}", self.filled(done, 14)));
    }

    /// Prints a line that stays, above the bar.
    pub(crate) fn line(&self, line: &str) {
        self.clear();
        note(&escaped(line).to_string());
        self.put(&self.text.borrow());
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.put("");
    }

    /// Draws what `text` says, unless the bar has just been drawn.
    fn draw(&self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        let recent = self.drawn.get().is_some_and(|drawn| now.duration_since(drawn) < PAUSE);
        if self.is_drawn && !recent {
            self.drawn.set(Some(now));
            let columns = terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
            // A line that is too long would wrap, and only its last part be erased.
            let text: String = escaped(&text()).to_string().chars().take(columns.saturating_sub(1)).collect();
            self.put(&text);
            self.text.replace(text);
        }
    }

    /// Replaces the line that is drawn.
    fn put(&self, text: &str) {
        if self.is_drawn {
            // As for `note`.
            let _ = write!(std::io::stderr(), "{ERASE}{text}");
        }
    }

    /// `=====>      ` in `width` places.
    fn filled(&self, done: usize, width: usize) -> String {
        let full = (done.min(self.total) * width).checked_div(self.total).unwrap_or(width);
        let head = if full < width { ">" } else { "" };
        format!("{:width$}", "=".repeat(full) + head)
    }

    /// `120 of 500 images, 900 a second, 3 s left`
    fn pace(&self, done: usize, elapsed: Duration) -> String {
        let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
        let left = self.total.saturating_sub(done) as f64 / rate.max(1e-3);
        format!("{done} of {} images, {rate:.0} a second, {left:.0} s left", self.total)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        let bar = Bar::new(8);
        let drawn = [0, 4, 7, 8, 9].map(|done| bar.filled(done, 4));
        assert_eq!(drawn, [">   ", "==> ", "===>", "====", "===="]);
        assert_eq!(Bar::new(0).filled(0, 4), "====");
        assert_eq!(bar.pace(2, Duration::from_secs(1)), "2 of 8 images, 2 a second, 3 s left");
    }

    #[test]
    #[cfg(feature = "train")]
    fn durations_are_short() {
        assert_eq!(duration(44.6), "45s");
        assert_eq!(duration(725.0), "12m 05s");
        assert_eq!(duration(12_000.0), "3h 20m");
        assert_eq!(duration(f64::NAN), "?");
        assert_eq!(duration(-1.0), "0s");
    }
}
