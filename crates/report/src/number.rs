//! Numbers as text for people: in tables, sentences and on axes.

/// Text of a number in at most `figures` significant figures: `12`, `0.034`, `1,234,567`, `2.1 × 10⁻⁷`. Zeros that say
/// nothing are left out; what has more digits in front of the point than seven and than figures, or three zeros
/// behind it, is written with a power of ten. `-` where it is not a number.
///
/// ```
/// use residual_report::number;
/// assert_eq!([12.164, 0.0345, 1_234_567.0, 2.1e-7].map(|value| number(value, 3)), ["12.2", "0.0345", "1,234,567", "2.1 × 10⁻⁷"]);
/// ```
pub fn number(value: f64, figures: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return if value.is_nan() { "-".to_owned() } else { value.to_string().replace("inf", "infinite") };
    }
    let figures = figures.max(1);
    // As it will be rounded: 9.99 in two figures is 10.
    let scientific = format!("{value:.*e}", figures - 1);
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if !(-3..figures.max(7) as i32).contains(&power) {
        return match without_zeros(digits) {
            "1" => power_of_ten(power),
            "-1" => format!("-{}", power_of_ten(power)),
            digits => format!("{digits} × {}", power_of_ten(power)),
        };
    }
    let decimals = usize::try_from(figures as i32 - 1 - power).unwrap_or(0);
    grouped(without_zeros(&format!("{value:.decimals$}")))
}

/// Percentage of a fraction: `80.4%`, `100%`; what would be rounded to nothing or to everything is `under 0.1%` and `over
/// 99.9%`.
///
/// ```
/// use residual_report::percent;
/// assert_eq!([0.804, 1.0, 0.0003, 0.99997].map(percent), ["80.4%", "100%", "under 0.1%", "over 99.9%"]);
/// ```
pub fn percent(fraction: f64) -> String {
    match fraction {
        fraction if fraction > 0.0 && fraction < 0.001 => "under 0.1%".to_owned(),
        fraction if fraction > 0.999 && fraction < 1.0 => "over 99.9%".to_owned(),
        _ => format!("{}%", number(100.0 * fraction, 3)),
    }
}

/// Ratio in words: `12 times`, `1.2 times`, `1/340 of`, for a sentence such as "the one is RATIO the other".
///
/// ```
/// use residual_report::times;
/// assert_eq!([12.16, 1.049, 0.5, 1.0 / 342.0].map(times), ["12 times", "1.05 times", "0.5 times", "1/340 of"]);
/// ```
pub fn times(ratio: f64) -> String {
    match ratio {
        0.98..1.1 => format!("{} times", number(ratio, 3)),
        ratio if ratio > 0.0 && ratio < 0.05 => format!("1/{} of", number(rounded(1.0 / ratio), 2)),
        _ => format!("{} times", number(rounded(ratio), 2)),
    }
}

/// Time: `45s`, `12m 05s`, `3h 20m`; `?` where it is not known. A time below 0 is none.
///
/// ```
/// use residual_report::duration;
/// assert_eq!([44.6, 725.0, 12_000.0].map(duration), ["45s", "12m 05s", "3h 20m"]);
/// assert_eq!([f64::NAN, -1.0].map(duration), ["?", "0s"]);
/// ```
pub fn duration(seconds: f64) -> String {
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

/// Two figures, those in front of the point included: 342 as 340.
fn rounded(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// A power of ten: `10⁻⁷`.
pub(crate) fn power_of_ten(power: i32) -> String {
    let raised = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => digit.to_digit(10).and_then(|digit| char::from_u32(0x2070 + digit)).unwrap_or(digit),
    };
    format!("10{}", power.to_string().chars().map(raised).collect::<String>())
}

fn without_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// Thousands apart, from five digits on.
fn grouped(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.find('.').map_or((text, ""), |point| text.split_at(point));
    if whole.len() < 5 {
        return format!("{sign}{text}");
    }
    let mut groups: Vec<&str> =
        whole.as_bytes().rchunks(3).map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.reverse();
    format!("{sign}{}{fraction}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.05, "0.05"),
            (1.0, "1"),
            (1234.0, "1234"),
            (12345.6, "12,346"),
            (-1_234_567.0, "-1,234,567"),
            (2e7, "2 × 10⁷"),
            (1e7, "10⁷"),
            (-1e-7, "-10⁻⁷"),
            (9_999_999.9, "10⁷"),
            (0.000_999_96, "0.001"),
            (0.000_123_4, "1.234 × 10⁻⁴"),
            (-0.5, "-0.5"),
            (3.2159, "3.216"),
            (f64::NAN, "-"),
            (f64::NEG_INFINITY, "-infinite"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value, 4), text, "{value}");
        }
        assert_eq!(number(25_557_032.0, 12), "25,557,032");
        assert_eq!([9.99, 0.0999].map(|value| number(value, 2)), ["10", "0.1"]);
    }

    #[test]
    fn no_number_is_off_by_more_than_its_last_figure() {
        let mut value = 1.234_567e-12;
        while value < 1e15 {
            let text = number(value, 3).replace(',', "");
            let read: f64 = match text.split_once(" × 10") {
                Some((digits, power)) => {
                    let plain = |c| {
                        if c == '⁻' {
                            '-'
                        } else {
                            "⁰¹²³⁴⁵⁶⁷⁸⁹"
                                .chars()
                                .position(|d| d == c)
                                .map_or('?', |d| (b'0' + d as u8) as char)
                        }
                    };
                    let power: i32 = power.chars().map(plain).collect::<String>().parse().unwrap();
                    digits.parse::<f64>().unwrap() * 10f64.powi(power)
                }
                None => text.parse().unwrap(),
            };
            assert!((read / value - 1.0).abs() <= 0.005, "{value}: {text}");
            value *= 1.7;
        }
    }

    #[test]
    fn ratios_are_words() {
        let cases = [
            (12.16, "12 times"),
            (1216.0, "1200 times"),
            (1.0, "1 times"),
            (0.85, "0.85 times"),
            (0.04, "1/25 of"),
            (2.4e-5, "1/42,000 of"),
            (1.1e8, "1.1 × 10⁸ times"),
            (3e-12, "1/3.3 × 10¹¹ of"),
            (0.0, "0 times"),
        ];
        for (ratio, text) in cases {
            assert_eq!(times(ratio), text, "{ratio}");
        }
    }
}
