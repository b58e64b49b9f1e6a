//! Recipes: a base, and fields over it.

use std::path::PathBuf;

use residual::train::Recipe;
use serde_json::Value;

use crate::error::Error;
use crate::json::merged;

/// Images in a step and learning rate of He et al. 2015, section 4.2: the defaults of studies.
const STUDY: (usize, f64) = (128, 0.1);

/// Fields of which a part may be given.
pub(crate) const NESTED: [&str; 1] = ["data"];

/// Recipe of a name or a file, or the default one, with fields of a dict over it.
pub(crate) fn recipe(base: Option<PathBuf>, fields: Value) -> Result<Recipe, Error> {
    let base = match base {
        None => Recipe::default(),
        Some(given) => match given.to_str().filter(|name| !name.contains(['/', '\\', '.'])) {
            Some(name) if !given.exists() => Recipe::named(name)?,
            _ => Recipe::read(given)?,
        },
    };
    let recipe = over(&base, fields)?;
    recipe.validate()?;
    Ok(recipe)
}

/// Recipe with fields of a dict over it. A network that is given takes the place of the recipe's own.
pub(crate) fn over(base: &Recipe, fields: Value) -> Result<Recipe, Error> {
    let given = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let mut base = base.clone();
    if given("model") || given("network") {
        (base.model, base.network) = (None, None);
    }
    merged("recipe", &base, fields, &NESTED)
}

/// Recipe of studies.
pub(crate) fn for_studies() -> Recipe {
    let (images, rate) = STUDY;
    Recipe::default().with(|recipe| (recipe.batch_size, recipe.lr) = (Some(images), Some(rate)))
}
