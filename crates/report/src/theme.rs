//! The colours of figures and pages, in light and dark.

/// Number of series that have a colour of their own; dashes tell further ones apart.
pub const COLOURS: usize = 7;

/// The style of every figure: colours as custom properties, light by default and dark where the reader's
/// system is. All text and lines have a contrast of at least 4.5 (text) or 3 (lines) against the background.
pub(crate) const STYLE: &str = "\
.fig{--bg:#fff;--ink:#1b1b1b;--soft:#595959;--grid:#dcdcdc;\
--c0:#0067a6;--c1:#b34700;--c2:#00734f;--c3:#a8377a;--c4:#8a6d00;--c5:#3d7ea6;--c6:#444;\
font:13px system-ui,sans-serif}\
@media(prefers-color-scheme:dark){.fig{--bg:#16181c;--ink:#ececec;--soft:#b0b0b0;--grid:#3a3d44;\
--c0:#56b4e9;--c1:#ff9d4d;--c2:#2fd0a0;--c3:#e794c4;--c4:#f0e442;--c5:#9bc9ff;--c6:#d0d0d0}}\
.fig .bg{fill:var(--bg)}.fig text{fill:var(--ink)}.fig .soft{fill:var(--soft)}\
.fig .cell{font-size:12px}.fig .title{font-size:15px;font-weight:600}.fig .grid{stroke:var(--grid);stroke-width:1}\
.fig .axis{stroke:var(--soft);stroke-width:1}.fig .line{fill:none;stroke-width:2}\
.fig .contour{fill:none;stroke:var(--ink);stroke-width:1;stroke-opacity:.75}\
.fig .s0{stroke:var(--c0)}.fig .s1{stroke:var(--c1)}.fig .s2{stroke:var(--c2)}.fig .s3{stroke:var(--c3)}\
.fig .s4{stroke:var(--c4)}.fig .s5{stroke:var(--c5)}.fig .s6{stroke:var(--c6)}\
.fig .f0{fill:var(--c0)}.fig .f1{fill:var(--c1)}.fig .f2{fill:var(--c2)}.fig .f3{fill:var(--c3)}\
.fig .f4{fill:var(--c4)}.fig .f5{fill:var(--c5)}.fig .f6{fill:var(--c6)}.fig .band{fill-opacity:.18}";

/// Dash patterns in turn: series differ without colour too.
pub(crate) const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// The number of the colour of series `index`.
pub(crate) fn colour(index: usize) -> usize {
    index % COLOURS
}

/// The dashes of series `index`.
pub(crate) fn dashes(index: usize) -> &'static str {
    DASHES[index % DASHES.len()]
}

/// A colour for `t` in `[0, 1]`, from dark blue to yellow: lightness rises evenly, so that it reads in grey
/// and to the colour-blind (after cividis, Nunez et al. 2018).
pub(crate) fn heat(t: f64) -> String {
    const STOPS: [[f64; 3]; 5] = [
        [0.0, 34.0, 78.0],
        [65.0, 77.0, 107.0],
        [124.0, 123.0, 120.0],
        [188.0, 175.0, 111.0],
        [254.0, 232.0, 56.0],
    ];
    let t = if t.is_finite() { t.clamp(0.0, 1.0) } else { 1.0 } * (STOPS.len() - 1) as f64;
    let below = (t.floor() as usize).min(STOPS.len() - 2);
    let share = t - below as f64;
    let [r, g, b] =
        [0, 1, 2].map(|i| (STOPS[below][i] * (1.0 - share) + STOPS[below + 1][i] * share).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(hex: &str) -> f64 {
        let hex = hex.trim_start_matches('#');
        let digits: String =
            if hex.len() == 3 { hex.chars().flat_map(|c| [c, c]).collect() } else { hex.to_owned() };
        let part = |i: usize| {
            let v = f64::from(u8::from_str_radix(&digits[i..i + 2], 16).unwrap()) / 255.0;
            if v <= 0.03928 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The value of a property in the light (0) or dark (1) scheme.
    fn value(name: &str, scheme: usize) -> &'static str {
        let rest = STYLE.split(&format!("--{name}:")).nth(scheme + 1).unwrap();
        rest.split([';', '\u{7d}']).next().unwrap()
    }

    /// WCAG 2.2: 4.5 for text, 3 for graphics.
    #[test]
    fn both_schemes_are_legible() {
        for scheme in [0, 1] {
            let ground = value("bg", scheme);
            for text in ["ink", "soft"] {
                assert!(contrast(value(text, scheme), ground) >= 4.5, "{text} in scheme {scheme}");
            }
            for series in 0..COLOURS {
                let colour = value(&format!("c{series}"), scheme);
                assert!(contrast(colour, ground) >= 3.0, "series {series} in scheme {scheme}: {colour}");
            }
        }
    }

    #[test]
    fn heat_grows_lighter() {
        let lights: Vec<f64> = (0..=20).map(|i| luminance(&heat(f64::from(i) / 20.0))).collect();
        assert!(lights.windows(2).all(|pair| pair[0] < pair[1]), "{lights:?}");
        assert_eq!(heat(f64::NAN), heat(1.0));
    }
}
