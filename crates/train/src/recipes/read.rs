//! Recipes read from their text.

use std::path::Path;

use residual_data::Fit;

use crate::{Error, Recipe};

/// Limit on a recipe that is read, in bytes: a written-out network of a thousand blocks has a twentieth of it.
const LONGEST: u64 = 4 << 20;

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::Io`] for what is no readable file of text; [`Error::Recipe`] for text that is not a recipe, with
    /// line and field.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = residual_files::read_text(path, LONGEST);
        let text = read.map_err(|error| Error::io("read", path)(error.into()))?;
        Self::from_toml(&text, path)
    }

    /// Recipe in the text of a file.
    pub(crate) fn from_toml(text: &str, path: &Path) -> Result<Self, Error> {
        let bad = |reason| Error::Recipe { path: path.to_owned(), reason: Box::new(reason) };
        let mut recipe: Self = toml::from_str(text).map_err(bad)?;
        if let Some(spec) = &recipe.network
            && recipe.preprocess.is_none()
            && writes_orientation(text)
        {
            recipe.preprocess = Some(Fit::preprocess(spec));
        }
        Ok(recipe)
    }
}

/// True where a recipe's written-out network says what is done with the orientation of photographs: that is kept, where
/// a new training would choose its own policy.
fn writes_orientation(text: &str) -> bool {
    let written = text.parse::<toml::Table>().ok();
    let network = written.as_ref().and_then(|recipe| recipe.get("network"));
    network.and_then(|network| network.get("preprocess")?.get("orientation")).is_some()
}

#[cfg(test)]
mod tests {
    use residual_arch::{NetSpec, OrientationPolicy, families};

    use super::*;

    /// Network of a recipe that writes `small` out, with this policy of orientation or none.
    fn settled(policy: Option<&str>) -> NetSpec {
        let network = families::family("small").unwrap();
        let recipe = Recipe::default().with(|recipe| recipe.network = Some(network));
        let mut written = toml::Table::try_from(recipe).unwrap();
        let preprocess = written["network"]["preprocess"].as_table_mut().unwrap();
        preprocess.remove("orientation");
        preprocess.extend(policy.map(|policy| ("orientation".to_owned(), policy.into())));
        let recipe = Recipe::from_toml(&written.to_string(), Path::new("recipe.toml")).unwrap();
        let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
        recipe.settle(&classes, 1000).unwrap().1
    }

    #[test]
    fn an_orientation_that_a_network_writes_out_is_kept() {
        let (open, ignored) = (settled(None), settled(Some("ignore")));
        assert_eq!(open.preprocess.orientation, OrientationPolicy::Apply);
        assert_eq!(ignored.preprocess, open.preprocess.with_orientation(OrientationPolicy::Ignore));
    }
}
