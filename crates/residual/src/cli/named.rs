//! Models as `--weights` names them.

use std::path::{Path, PathBuf};

use super::failure::{Failure, Outcome};
use super::network::AUTO;

/// A file of weights with the name and the version of its model.
#[derive(Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) version: Option<u32>,
    pub(crate) path: PathBuf,
}

/// Files that a training names alike in every run: the run's own name says more.
const OF_RUNS: [&str; 2] = ["best", "last"];

impl Named {
    /// `[NAME[:VERSION]=]FILE`; without a name it is that of the file or the run, or of the network `model`.
    pub(crate) fn parse(text: &str, model: Option<&str>) -> Outcome<Self> {
        let path = Path::new(text);
        if let Some((name, file)) =
            text.split_once('=').filter(|(name, _)| !path.exists() && !name.contains('/'))
        {
            let (name, version) = match name.split_once(':') {
                Some((name, version)) => (name, Some(self::version(version)?)),
                None => (name, None),
            };
            return Ok(Self { name: name.to_owned(), version, path: file.into() });
        }
        let name = if text == AUTO { model.map(str::to_owned) } else { own_name(path) };
        let name = name.unwrap_or_else(|| "model".to_owned());
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' }
        };
        Ok(Self { name: name.chars().map(plain).take(100).collect(), version: None, path: path.to_owned() })
    }
}

fn version(text: &str) -> Outcome<u32> {
    let number = text.parse().ok().filter(|&version| version > 0);
    number.ok_or_else(|| {
        Failure::new(format_args!("--weights: version `{text}`; expected a number, 1 or more"))
    })
}

fn own_name(path: &Path) -> Option<String> {
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let absolute = std::path::absolute(path).ok()?;
    let stem = if absolute.is_dir() { absolute.file_name() } else { absolute.file_stem() }.map(text)?;
    match OF_RUNS.contains(&stem.as_str()) {
        true => absolute.parent().and_then(Path::file_name).map(text).or(Some(stem)),
        false => Some(stem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_or_those_of_the_files() {
        let of = |text: &str, model| Named::parse(text, model).unwrap();
        let named = |name: &str, version, path: &str| Named { name: name.into(), version, path: path.into() };
        assert_eq!(of("cats=a/b.pth", None), named("cats", None, "a/b.pth"));
        assert_eq!(of("cats:7=auto", Some("resnet18")), named("cats", Some(7), "auto"));
        assert_eq!(
            of("runs/photos/best.safetensors", None),
            named("photos", None, "runs/photos/best.safetensors")
        );
        assert_eq!(of("a b/résumé.pth", None), named("r_sum_", None, "a b/résumé.pth"));
        assert_eq!(of("a/x=y.pth", None), named("x_y", None, "a/x=y.pth"));
        assert_eq!(of("auto", Some("resnet18.a1_in1k")), named("resnet18.a1_in1k", None, "auto"));
        assert!(Named::parse("cats:0=x", None).is_err() && Named::parse("cats:new=x", None).is_err());
    }
}
