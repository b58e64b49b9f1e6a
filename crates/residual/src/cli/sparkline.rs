//! Curves and bars made of letters.

/// Letters that bars and curves are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Letters {
    /// Blocks: eight heights a letter.
    Blocks,
    /// ASCII, for a terminal of another encoding than UTF-8.
    Ascii,
}

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 5] = ['_', '.', '-', '=', '^'];

impl Letters {
    /// Letters of this terminal's encoding, by the environment as the C library reads it.
    pub(crate) fn of_terminal() -> Self {
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(value).unwrap_or_default();
        let is_utf8 = locale.to_lowercase().replace('-', "").contains("utf8");
        if is_utf8 || cfg!(windows) || cfg!(target_os = "macos") { Self::Blocks } else { Self::Ascii }
    }

    /// Curve of the values in at most `width` letters, the last of them the newest: from the least height at the
    /// smallest value to the greatest at the largest. Where there are more values than letters, each letter is a mean;
    /// what is not finite is a gap.
    pub(crate) fn curve(self, values: &[f64], width: usize) -> String {
        let means = means(values, width);
        let finite = || means.iter().copied().filter(|value| value.is_finite());
        let (low, high) =
            (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let letters: &[char] = if self == Self::Blocks { &BLOCKS } else { &ASCII };
        let letter = |value: f64| {
            let share = if high > low { (value - low) / (high - low) } else { 0.5 };
            let height = (share * letters.len() as f64) as usize;
            if value.is_finite() { letters[height.min(letters.len() - 1)] } else { ' ' }
        };
        means.into_iter().map(letter).collect()
    }

    /// Bar of `width` letters, of which a share is filled: its two parts.
    pub(crate) fn bar(self, share: f64, width: usize) -> (String, String) {
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let filled = ((share * width as f64).floor() as usize).min(width);
        let [full, rest] = if self == Self::Blocks { ["━", "─"] } else { ["=", "-"] };
        (full.repeat(filled), rest.repeat(width - filled))
    }
}

/// The values as they are, or as many means of neighbours as `width`.
fn means(values: &[f64], width: usize) -> Vec<f64> {
    let count = values.len().min(width);
    let part = |i: usize| &values[i * values.len() / count..(i + 1) * values.len() / count];
    (0..count).map(|i| part(i).iter().sum::<f64>() / part(i).len() as f64).collect()
}

/// Values of a whole training in a memory of a fixed size: means over ever more steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thinned {
    means: Vec<f64>,
    /// Number of values of a mean, but for the last one, is two to this power.
    power: u32,
    sum: f64,
    count: u64,
}

/// Number of means that are kept at the most.
const KEPT: usize = 512;

impl Thinned {
    pub(crate) fn push(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        if self.count < 1 << self.power {
            return;
        }
        self.means.push(self.sum / self.count as f64);
        (self.sum, self.count) = (0.0, 0);
        if self.means.len() == KEPT {
            self.means =
                self.means.chunks(2).map(|pair| pair.iter().sum::<f64>() / pair.len() as f64).collect();
            self.power += 1;
        }
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_goes_from_its_least_to_its_greatest_value() {
        let rising: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(Letters::Blocks.curve(&rising, 20), "▁▂▃▄▅▆▇█");
        assert_eq!(Letters::Blocks.curve(&rising, 4), "▁▃▆█");
        assert_eq!(Letters::Ascii.curve(&[5.0, f64::NAN, 1.0], 20), "^ _");
        assert_eq!(Letters::Blocks.curve(&[2.0, 2.0], 20), "▅▅");
        assert_eq!(Letters::Blocks.curve(&[], 20) + &Letters::Blocks.curve(&rising, 0), "");
    }

    #[test]
    fn a_bar_has_its_width() {
        assert_eq!(Letters::Ascii.bar(0.5, 9), ("====".to_owned(), "-----".to_owned()));
        for share in [-1.0, 0.0, 0.999, 1.0, 7.0, f64::NAN] {
            let (full, rest) = Letters::Blocks.bar(share, 10);
            assert_eq!(full.chars().count() + rest.chars().count(), 10, "{share}");
        }
        assert_eq!(Letters::Blocks.bar(0.999, 10).1, "─");
    }

    #[test]
    fn a_long_training_is_kept_in_little_memory() {
        let mut thinned = Thinned::default();
        (0..1_000_000).for_each(|step| thinned.push(f64::from(step)));
        let values = thinned.values();
        assert!(values.len() <= KEPT && values.len() >= KEPT / 4, "{}", values.len());
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(values[0] < 10_000.0 && values[values.len() - 1] > 990_000.0);
    }
}
