//! Lines of a text, however they end.

/// Lines of a text with their numbers, counted from 1. They end at `\n`, at `\r\n` or at `\r`, of which a text may have
/// all three.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    rest: Option<&'a str>,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: Some(text), number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        self.number += 1;
        let Some(end) = rest.find(['\n', '\r']) else {
            self.rest = None;
            return (!rest.is_empty()).then_some((self.number, rest));
        };
        let (line, behind) = rest.split_at(end);
        self.rest = Some(behind.strip_prefix("\r\n").unwrap_or(&behind[1..]));
        Some((self.number, line))
    }
}

/// Numbers of the lines at given places of a text, each at or behind the one before.
#[derive(Debug)]
pub(super) struct LineNumbers<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> LineNumbers<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0, line: 1 }
    }

    /// Number of the first line at or behind byte `place` that is not empty.
    pub(super) fn of(&mut self, place: usize) -> u64 {
        let end = place.clamp(self.at, self.text.len());
        let blank = self.text[end..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let end = end + blank;
        for at in self.at..end {
            let ends = match self.text[at] {
                b'\n' => true,
                b'\r' => self.text.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(ends);
        }
        self.at = end;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_three_ways() {
        let text = "a\r\nb\rc\n\n\r\nd";
        let lines: Vec<_> = Lines::new(text).collect();
        assert_eq!(lines, [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, ""), (6, "d")]);
        assert_eq!(Lines::new("a\r").collect::<Vec<_>>(), [(1, "a")]);
        assert_eq!(Lines::new("").count(), 0);
        let mut numbers = LineNumbers::new(text);
        let found: Vec<u64> =
            ["a", "b", "c"].iter().map(|line| numbers.of(text.find(line).unwrap())).collect();
        assert_eq!(found, [1, 2, 3]);
        // The place behind `c` is that of blank lines, and the next that is not is the sixth.
        assert_eq!((numbers.of(7), numbers.of(text.len()), numbers.of(0)), (6, 6, 6));
    }
}
