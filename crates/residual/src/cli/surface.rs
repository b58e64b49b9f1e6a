//! The terminal of standard error as bars are drawn on it.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};

/// Drawings a second, at the most.
const RATE: u8 = 20;

/// Terminal of standard error. `indicatif` fills every line up to the terminal's edge with spaces, to get to the next one;
/// here a line ends where its text does. A line up to the edge breaks into two when the terminal is made narrower, and
/// when it echoes a key such as Ctrl-C behind it.
#[derive(Debug, Default)]
struct Terminal {
    frame: Mutex<Frame>,
}

/// Text of a drawing, which is written at once.
#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// True where a line was written, and its filling is next.
    has_line: bool,
    /// True where the next line begins with a line feed.
    has_filled: bool,
}

/// Where bars are drawn: nowhere, without a terminal or on one that can only print.
pub(super) fn target() -> ProgressDrawTarget {
    let term = std::env::var_os("TERM");
    let prints_only = term.map_or(cfg!(unix), |term| term == "dumb");
    match std::io::stderr().is_terminal() && !prints_only {
        true => ProgressDrawTarget::term_like_with_hz(Box::<Terminal>::default(), RATE),
        false => ProgressDrawTarget::hidden(),
    }
}

/// Columns and rows.
pub(super) fn size() -> [u16; 2] {
    terminal_size::terminal_size_of(std::io::stderr())
        .map_or([80, 24], |(width, height)| [width.0.max(2), height.0.max(2)])
}

impl Frame {
    /// Line and filling, in turn.
    fn write(&mut self, text: &str) {
        if self.has_line {
            self.text += "\x1b[K";
            (self.has_line, self.has_filled) = (false, true);
            return;
        }
        if self.has_filled {
            self.text.push('\n');
        }
        self.text += text;
        (self.has_line, self.has_filled) = (true, false);
    }

    /// Moves the cursor; the lines that follow are a new block.
    fn go(&mut self, count: usize, direction: char) {
        (self.has_line, self.has_filled) = (false, false);
        if count > 0 {
            self.text += &format!("\x1b[{count}{direction}");
        }
    }
}

impl Terminal {
    fn with(&self, change: impl FnOnce(&mut Frame)) -> io::Result<()> {
        change(&mut self.frame.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        size()[0]
    }

    fn height(&self) -> u16 {
        size()[1]
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.with(|frame| frame.go(n, 'A'))
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.with(|frame| frame.go(n, 'B'))
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.with(|frame| frame.go(n, 'C'))
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.with(|frame| frame.go(n, 'D'))
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.with(|frame| {
            frame.go(0, 'A');
            frame.text += s;
            frame.text.push('\n');
        })
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.with(|frame| frame.write(s))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.with(|frame| {
            frame.go(0, 'A');
            frame.text += "\r\x1b[2K";
        })
    }

    fn flush(&self) -> io::Result<()> {
        let mut text = String::new();
        self.with(|frame| {
            frame.go(0, 'A');
            text = std::mem::take(&mut frame.text);
        })?;
        std::io::stderr().write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

    use super::*;

    /// Terminal of which the text stays with the test.
    #[derive(Debug, Clone, Default)]
    struct Kept(std::sync::Arc<Terminal>);

    impl TermLike for Kept {
        fn width(&self) -> u16 {
            40
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.0.move_cursor_up(n)
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.0.move_cursor_down(n)
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.0.move_cursor_right(n)
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.0.move_cursor_left(n)
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.0.write_line(s)
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.0.write_str(s)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.clear_line()
        }
        fn flush(&self) -> io::Result<()> {
            self.0.with(|frame| frame.go(0, 'A'))
        }
    }

    #[test]
    fn lines_end_where_their_text_does() {
        let kept = Kept::default();
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(kept.clone())));
        let style = ProgressStyle::with_template("{msg}").unwrap();
        let bar = screen.add(ProgressBar::no_length().with_style(style));
        bar.set_message("first\nsecond\nthird");
        let drawn = |kept: &Kept| std::mem::take(&mut kept.0.frame.lock().unwrap().text);
        assert_eq!(drawn(&kept), "first\x1b[K\nsecond\x1b[K\nthird\x1b[K");
        bar.finish_and_clear();
        let cleared = drawn(&kept);
        assert!(cleared.starts_with("\x1b[2A") && cleared.ends_with("\x1b[2A"), "{cleared:?}");
        assert_eq!(cleared.matches("\r\x1b[2K").count(), 3, "{cleared:?}");
    }
}
