//! Progress on standard error: lines that are drawn again in place on a terminal, nothing or plain lines elsewhere.

use std::cell::Cell;
use std::io::Write;
use std::sync::LazyLock;
#[cfg(feature = "train")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use residual_files::escaped;

use super::surface;

/// Terminal of standard error, on which whatever is drawn again in place is drawn, so that other lines can be printed
/// above it; hidden where there is none, and where `TERM` says that it can only print.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(surface::target()));

/// True where a terminal's text may be coloured: <https://no-color.org>.
#[cfg(feature = "train")]
pub(crate) fn is_coloured() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// True where another process speaks for this one.
#[cfg(feature = "train")]
static MUTE: AtomicBool = AtomicBool::new(false);

/// Says nothing from now on: another process speaks for this one.
#[cfg(feature = "train")]
pub(crate) fn mute() {
    MUTE.store(true, Ordering::Relaxed);
}

/// Prints lines on standard error, above what is drawn there, the control characters of names escaped. Where that has
/// been closed there is nobody to tell.
pub(crate) fn note(lines: &str) {
    #[cfg(feature = "train")]
    if MUTE.load(Ordering::Relaxed) {
        return;
    }
    let lines: Vec<String> = lines.split('\n').map(|line| escaped(line).to_string()).collect();
    let print = || {
        let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
    };
    SCREEN.suspend(print);
}

/// Takes away what is drawn, before the process ends: within a fifth of a second, since a terminal that has been halted
/// takes nothing.
pub(crate) fn leave() {
    let (done, wait) = std::sync::mpsc::channel();
    let cleared = std::thread::Builder::new().spawn(move || {
        let _ = SCREEN.clear();
        let _ = done.send(());
    });
    if cleared.is_ok() {
        let _ = wait.recv_timeout(Duration::from_millis(200));
    }
}

/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(100);

/// Columns that stay empty: for what the terminal itself prints behind the last line when Ctrl-C is pressed.
const ECHO: usize = 3;

/// A bar with a count, or a view of several lines, on a terminal only.
pub(crate) struct Bar {
    total: usize,
    begun: Instant,
    drawn: Cell<Option<Instant>>,
    /// None where nothing is drawn.
    surface: Option<ProgressBar>,
}

impl Bar {
    /// A bar for `total` images, or for `total` steps of which each has a message.
    pub(crate) fn new(total: usize) -> Self {
        let surface = (!SCREEN.is_hidden()).then(|| {
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            SCREEN.add(ProgressBar::no_length().with_style(style))
        });
        Self { total, begun: Instant::now(), drawn: Cell::default(), surface }
    }

    /// True where there is a bar.
    #[cfg(feature = "train")]
    pub(crate) fn is_drawn(&self) -> bool {
        self.surface.is_some()
    }

    /// Moves to `done` images.
    pub(crate) fn set(&self, done: usize) {
        self.draw(|_| {
            let pace = self.pace(done, self.begun.elapsed());
            vec![format!("[{}] {pace}", self.filled(done, 24))]
        });
    }

    /// Moves to `done`, with a message.
    #[cfg(any(feature = "get", feature = "train"))]
    pub(crate) fn say(&self, done: usize, message: &str) {
        self.draw(|_| vec![format!("[{}] {}", self.filled(done, 14), escaped(message))]);
    }

    /// Draws the lines that `view` makes for a terminal of so many columns, unless the bar has just been drawn. Lines
    /// that are wider are cut.
    pub(crate) fn draw(&self, view: impl FnOnce(usize) -> Vec<String>) {
        let Some(surface) = &self.surface else { return };
        let now = Instant::now();
        if self.drawn.get().is_some_and(|drawn| now.duration_since(drawn) < PAUSE) {
            return;
        }
        self.drawn.set(Some(now));
        let columns = usize::from(surface::size()[0]).saturating_sub(ECHO).max(1);
        let lines: Vec<String> = view(columns).iter().map(|line| cut(line, columns)).collect();
        surface.set_message(lines.join("\n"));
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

/// End of a bar: it leaves no trace.
impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(surface) = &self.surface {
            surface.finish_and_clear();
            SCREEN.remove(surface);
        }
    }
}

/// A line in at most `columns` characters; what colours it, from an escape up to an `m`, has none.
fn cut(line: &str, columns: usize) -> String {
    let (mut shown, mut colours, mut text) = (0, false, String::with_capacity(line.len()));
    for character in line.chars() {
        colours |= character == '\u{1b}';
        if colours || shown < columns {
            text.push(character);
        }
        shown += usize::from(!colours);
        colours &= character != 'm';
    }
    text
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
    fn a_line_is_cut_where_it_is_seen() {
        assert_eq!(cut("\u{1b}[32m=====\u{1b}[0m 12 of 20", 8), "\u{1b}[32m=====\u{1b}[0m 12");
        assert_eq!(cut("short", 8), "short");
    }
}
