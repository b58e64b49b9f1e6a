//! Recipes with a name.

use serde::{Deserialize, Serialize};

use crate::{Error, Recipe};

/// Origin of a recipe: where its constants come from, and what they gave. A run's `recipe.toml` keeps it; what flags or a
/// program have changed since is in the other fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Origin {
    /// Name of the recipe that it began as.
    pub name: String,
    /// Images that it is made for.
    pub images: String,
    /// Source of its constants: a paper and its section, or a repository's command.
    pub source: String,
    /// Results that the source gives for it: top-1 accuracies.
    pub published: String,
    /// Results of this program, or `not run here`.
    pub measured: String,
}

/// Published or tried recipe, embedded as a TOML file.
///
/// ```
/// use residual_train::Recipe;
///
/// let recipe = Recipe::named("imagenet-torchvision-v1")?;
/// assert_eq!((recipe.epochs, recipe.batch_size, recipe.lr), (90, Some(256), Some(0.1)));
/// # Ok::<(), residual_train::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedRecipe {
    /// Name, by which [`Recipe::named`] and `residual train --recipe` know it.
    pub name: &'static str,
    /// The file.
    pub toml: &'static str,
}

macro_rules! embedded {
    ($($name:literal),*) => {
        [$(NamedRecipe { name: $name, toml: include_str!(concat!("../../recipes/", $name, ".toml")) }),*]
    };
}

/// The recipes, small images first.
const NAMED: [NamedRecipe; 11] = embedded![
    "first",
    "cifar-he2015",
    "cifar-onecycle",
    "cifar-fast",
    "finetune-small",
    "finetune",
    "imagenet-torchvision-v1",
    "imagenet-torchvision-v2",
    "imagenet-rsb-a1",
    "imagenet-rsb-a2",
    "imagenet-rsb-a3"
];

impl NamedRecipe {
    /// All recipes with a name: those for CIFAR, for fine-tuning, and for ImageNet.
    pub fn all() -> &'static [Self] {
        &NAMED
    }

    /// The recipe.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a file that is none, which a test excludes.
    pub fn recipe(&self) -> Result<Recipe, Error> {
        Recipe::from_toml(self.toml, format!("{}.toml", self.name).as_ref())
    }
}

impl Recipe {
    /// Recipe of this name: one of [`NamedRecipe::all`].
    ///
    /// # Errors
    /// [`Error::UnknownRecipe`].
    pub fn named(name: &str) -> Result<Self, Error> {
        let known = NAMED.iter().find(|known| known.name == name);
        known.ok_or_else(|| Error::UnknownRecipe { name: name.to_owned() })?.recipe()
    }
}

/// Names of the recipes, for a message.
pub(crate) fn names() -> String {
    NAMED.map(|known| known.name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_says_where_it_comes_from_and_survives_its_own_text() {
        for named in NamedRecipe::all() {
            let recipe = named.recipe().unwrap();
            recipe.validate().unwrap();
            let origin = recipe.origin.clone().unwrap();
            assert_eq!(origin.name, named.name);
            for text in [&origin.images, &origin.source, &origin.published, &origin.measured] {
                assert!(!text.is_empty(), "{origin:?}");
            }
            let path = "again.toml".as_ref();
            assert_eq!(
                Recipe::from_toml(&recipe.to_toml().unwrap(), path).unwrap(),
                recipe,
                "{}",
                named.name
            );
        }
    }

    #[test]
    fn a_name_that_is_none_lists_those_that_are() {
        let error = Recipe::named("imagenet").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`imagenet`") && text.contains("imagenet-torchvision-v2"), "{text}");
    }
}
