//! Lines of a specification's TOML that errors are about.

use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use crate::shape::{ShapeError, ShapePlace};
use crate::{BlockPath, Error, Place};

/// Parts of a specification's text. What they hold is of no interest here.
#[derive(Deserialize)]
struct Written {
    input: Option<Spanned<IgnoredAny>>,
    stochastic_depth: Option<Spanned<IgnoredAny>>,
    stem: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    stages: Vec<Spanned<WrittenStage>>,
    head: Option<Spanned<IgnoredAny>>,
    preprocess: Option<Spanned<IgnoredAny>>,
}

#[derive(Deserialize)]
struct WrittenStage {
    #[serde(default)]
    blocks: Vec<Spanned<WrittenBlock>>,
}

#[derive(Deserialize)]
struct WrittenBlock {
    repeat: Option<usize>,
}

impl Error {
    /// Line of `toml`, counted from 1, that the error is about, where it is about one: the text is that which
    /// [`NetSpec::from_toml`](crate::NetSpec::from_toml) did not take, or whose network cannot be built.
    ///
    /// ```
    /// use residual_arch::{Error, NetSpec};
    ///
    /// let text = "
    /// name = \"mine\"
    /// input = [3, 32, 32]
    /// stem = { convs = [{ channels = 16, kernel = 3 }] }
    /// head = { classes = 10 }
    /// [[stages]]
    /// blocks = [
    ///     { kind = \"basic\", channels = 16, repeat = 2 },
    ///     { kind = \"basic\", channels = 32, shortcut = { kind = \"identity\" } },
    /// ]";
    /// let spec = NetSpec::from_toml(text)?;
    /// let error = Error::from(spec.check(spec.input).unwrap_err());
    /// assert_eq!(error.line_in(text), Some(9));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn line_in(&self, toml: &str) -> Option<usize> {
        match self {
            Self::Shape(error) => error.line_in(toml),
            Self::ReadToml(error) => error.span().map(|span| line(toml, &span)),
            Self::InFile { cause, .. } => cause.line_in(toml),
            _ => None,
        }
    }
}

impl ShapeError {
    /// Line of a specification's TOML, counted from 1, that writes what the error is about: see [`Error::line_in`].
    pub fn line_in(&self, toml: &str) -> Option<usize> {
        let written: Written = toml::from_str(toml).ok()?;
        let part = |place| written.part(place);
        let span = match self.place() {
            ShapePlace::Input => span(&written.input),
            ShapePlace::Preprocess => span(&written.preprocess),
            ShapePlace::Network => span(&written.stochastic_depth),
            ShapePlace::Part(place) => part(place),
            ShapePlace::Layer(layer) => layer.place().and_then(part),
            ShapePlace::Block => None,
        };
        span.map(|span| line(toml, &span))
    }
}

impl Written {
    fn part(&self, place: Place) -> Option<Range<usize>> {
        match place {
            Place::Stem => span(&self.stem),
            Place::Head => span(&self.head),
            Place::Stage(stage) => Some(self.stage(stage)?.span()),
            Place::Block(BlockPath { stage, block }) => {
                let mut left = block;
                let holds = |written: &&Spanned<WrittenBlock>| {
                    let times = written.get_ref().repeat.unwrap_or(1);
                    let is_here = left < times;
                    left = left.saturating_sub(times);
                    is_here
                };
                let mut blocks = self.stage(stage)?.get_ref().blocks.iter();
                Some(blocks.find(holds)?.span())
            }
        }
    }

    fn stage(&self, stage: usize) -> Option<&Spanned<WrittenStage>> {
        self.stages.get(stage.checked_sub(1)?)
    }
}

fn span(part: &Option<Spanned<IgnoredAny>>) -> Option<Range<usize>> {
    part.as_ref().map(Spanned::span)
}

/// Line of the first byte of a range.
fn line(text: &str, span: &Range<usize>) -> usize {
    text.bytes().take(span.start).filter(|&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use crate::NetSpec;
    use crate::families::family;

    /// A text of a specification, a line a field.
    const TEXT: &str = r#"name = "mine"
input = [3, 32, 32]
stochastic_depth = 0.1

[stem]
convs = [{ channels = 16, kernel = 3 }]

[[stages]]
blocks = [
    { kind = "basic", channels = 16, repeat = 2 },
    { kind = "basic", channels = 32, stride = 2 },
]

[[stages]]
blocks = [{ kind = "basic", channels = 64, stride = 2, repeat = 3 }]

[head]
classes = 10
"#;

    fn line_of(from: &str, to: &str) -> Option<usize> {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT);
        let checked = NetSpec::from_toml(&text).and_then(|spec| Ok(spec.check(spec.input)?));
        checked.unwrap_err().line_in(&text)
    }

    #[test]
    fn an_error_is_at_the_line_that_writes_it() {
        assert!(NetSpec::from_toml(TEXT).unwrap().check([3, 32, 32]).is_ok());
        let identity = r#"stride = 2, shortcut = { kind = "identity" }"#;
        assert_eq!(line_of("channels = 32, stride = 2", &format!("channels = 32, {identity}")), Some(11));
        assert_eq!(line_of("stride = 2, repeat", &format!("{identity}, repeat")), Some(15));
        assert_eq!(line_of("classes = 10", "classes = 0").map(|line| line.clamp(17, 18)), Some(17));
        assert_eq!(line_of("stochastic_depth = 0.1", "stochastic_depth = 1.5"), Some(3));
        assert_eq!(line_of("[3, 32, 32]", "[3, 0, 32]"), Some(2));
        assert_eq!(line_of("kernel = 3", "kernel = 99, padding = 0").map(|line| line.clamp(5, 6)), Some(5));
        // Texts that are no specification.
        assert_eq!(line_of("classes = 10", "classes = ten"), Some(18));
        assert_eq!(line_of("kernel = 3", "kernels = 3"), Some(6));
    }

    #[test]
    fn what_is_written_by_nobody_has_no_line() {
        let mut spec = family("small").unwrap();
        spec.head.classes = 0;
        let error = spec.check(spec.input).unwrap_err();
        assert_eq!(error.line_in("no = 'specification'"), None);
        assert_eq!(error.line_in("not = toml = at all"), None);
    }
}
