//! Looking on.

/// Observer of a study while it goes on. Every method does nothing by default; `()` watches nothing.
pub trait Watch {
    /// Progress of this session's work, between 0 and 1, and what is being done.
    fn progress(&mut self, share: f64, doing: &str) {
        let _ = (share, doing);
    }

    /// A cell is finished: a line about it.
    fn finished(&mut self, line: &str) {
        let _ = line;
    }
}

impl Watch for () {}
