//! Axes: scales and ticks.

use crate::number::{number, power_of_ten};

/// Scale of an axis: how numbers become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Logarithmic; what is not above zero has no place.
    Log,
}

/// An axis of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Quantity on the axis, with its unit.
    pub label: String,
    /// Scale.
    pub scale: Scale,
    from_zero: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear, from_zero: false }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log, from_zero: false }
    }

    /// Begins at zero, where it is linear.
    pub fn from_zero(self) -> Self {
        Self { from_zero: true, ..self }
    }

    /// Test for a number that has a place on the axis.
    pub(crate) fn has(&self, value: f64) -> bool {
        value.is_finite() && (self.scale == Scale::Linear || value > 0.0)
    }

    /// The range for these numbers, and where ticks stand in it.
    pub(crate) fn fit(&self, values: impl Iterator<Item = f64>) -> Fitted {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&value| self.has(value)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = if self.scale == Scale::Log { (0.1, 10.0) } else { (0.0, 1.0) };
        }
        match self.scale {
            Scale::Linear => self.fit_linear(low, high),
            Scale::Log => fit_log(low, high),
        }
    }

    fn fit_linear(&self, mut low: f64, mut high: f64) -> Fitted {
        if self.from_zero {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let step = nice_step((high - low) / 5.0);
        let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).collect();
        Fitted { low: first as f64 * step, high: last as f64 * step, scale: Scale::Linear, ticks }
    }
}

fn fit_log(low: f64, high: f64) -> Fitted {
    let (first, mut last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    last = last.max(first + 1);
    let every = ((last - first) / 6 + 1) as usize;
    let ticks = (first..=last).step_by(every).map(|power| 10f64.powi(power)).collect();
    Fitted { low: 10f64.powi(first), high: 10f64.powi(last), scale: Scale::Log, ticks }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let nice = [1.0, 2.0, 5.0].into_iter().find(|nice| nice * power >= step * (1.0 - 1e-9));
    nice.unwrap_or(10.0) * power
}

/// An axis that knows its range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) scale: Scale,
    pub(crate) ticks: Vec<f64>,
}

impl Fitted {
    /// The place of a value between 0 (low) and 1 (high).
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// A tick's text.
    pub(crate) fn text(&self, tick: f64) -> String {
        match self.scale {
            Scale::Log => {
                let power = tick.log10().round() as i32;
                if (-2..=4).contains(&power) { value_text(tick) } else { power_of_ten(power) }
            }
            Scale::Linear => value_text(tick),
        }
    }
}

/// Text of a value in a figure: four figures.
pub(crate) fn value_text(value: f64) -> String {
    number(value, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let fitted = Axis::linear("x").fit([0.13, 0.97, f64::NAN].into_iter());
        assert!(fitted.low <= 0.13 && fitted.high >= 0.97, "{fitted:?}");
        let texts: Vec<_> = fitted.ticks.iter().map(|&tick| fitted.text(tick)).collect();
        assert_eq!(texts, ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(Axis::linear("x").from_zero().fit([3.0, 4.0].into_iter()).low, 0.0);
    }

    #[test]
    fn a_logarithm_has_no_place_for_zero() {
        let fitted = Axis::log("x").fit([0.0, -1.0, 2e-7, 30.0].into_iter());
        assert_eq!((fitted.low, fitted.high), (1e-7, 100.0));
        assert!((fitted.place(1e-7), fitted.place(100.0)) == (0.0, 1.0));
        assert!(!Axis::log("x").has(0.0));
    }

    #[test]
    fn nothing_to_show_is_no_panic() {
        for axis in [Axis::linear("x"), Axis::log("x")] {
            let fitted = axis.fit(std::iter::empty());
            assert!(fitted.low < fitted.high && !fitted.ticks.is_empty());
        }
        let one = Axis::linear("x").fit([7.0].into_iter());
        assert!(one.low < 7.0 && one.high > 7.0);
    }
}
