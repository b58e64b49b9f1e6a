//! Recipes: any text is a recipe or an error, and one that is settled is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use residual_train::Recipe;

fuzz_target!(|text: &str| {
    residual_fuzz::in_folder(|folder| {
        let path = folder.join("recipe.toml");
        std::fs::write(&path, text).expect("a file");
        let Ok(recipe) = Recipe::read(&path) else { return };
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let Ok((settled, _)) = recipe.settle(&classes, 100) else { return };
        let written = settled.to_toml().expect("a settled recipe");
        std::fs::write(&path, &written).expect("a file");
        let again = Recipe::read(&path).expect("a recipe that was written");
        assert_eq!(again.to_toml().expect("written once"), written);
    });
});
