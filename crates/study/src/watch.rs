//! Looking on.

/// What a study tells while it goes on. Every method does nothing by default; `()` watches nothing.
pub trait Watch {
    /// How much of this session's work is done, between 0 and 1, and what is being done.
    fn progress(&mut self, share: f64, doing: &str) {
        let _ = (share, doing);
    }

    /// A cell is finished: a line about it.
    fn finished(&mut self, line: &str) {
        let _ = line;
    }
}

impl Watch for () {}
