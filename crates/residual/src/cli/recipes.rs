//! `residual recipes`: every recipe there is a name for.

use std::path::Path;

use clap::Args;
use residual::train::{NamedRecipe, Origin, Recipe};
use serde::Serialize;

use super::failure::Outcome;
use super::output::Output;
use super::table::WIDTH;

const EXAMPLE: &str = "\
Examples:
  residual recipes
  residual recipes cifar-he2015 > mine.toml
  residual train --recipe imagenet-torchvision-v1 --data imagenet";

/// List the recipes that have a name, with their source and result; or print one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Recipe to print as TOML.
    #[arg(value_name = "NAME", conflicts_with = "json")]
    name: Option<String>,
    /// Print one JSON object a line: name, images, source, published, measured, epochs, batch_size.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    origin: Origin,
    epochs: usize,
    batch_size: Option<usize>,
}

impl Listed {
    fn new(named: &NamedRecipe) -> Outcome<Self> {
        let recipe = named.recipe()?;
        let (epochs, batch_size) = (recipe.epochs, recipe.batch_size);
        Ok(Self { origin: recipe.origin.unwrap_or_default(), epochs, batch_size })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut output = Output::new();
    if let Some(name) = &arguments.name {
        // The file, its comments included; of an unknown name, the error that lists them.
        let known = NamedRecipe::all().iter().find(|known| known.name == name);
        let text = match known {
            Some(known) => known.toml.to_owned(),
            None => Recipe::named(name)?.to_toml()?,
        };
        return text.lines().try_for_each(|line| output.line(line));
    }
    let listed = NamedRecipe::all().iter().map(Listed::new).collect::<Outcome<Vec<Listed>>>()?;
    if arguments.json {
        return listed.iter().try_for_each(|listed| output.json(listed));
    }
    for listed in &listed {
        let Listed { origin, epochs, .. } = listed;
        output.line(format_args!("{}: {epochs} epochs", origin.name))?;
        let rows = [
            ("images", &origin.images),
            ("source", &origin.source),
            ("published", &origin.published),
            ("measured", &origin.measured),
        ];
        for (title, text) in rows {
            wrapped(title, text).iter().try_for_each(|line| output.line(line))?;
        }
    }
    Ok(())
}

/// `  title      text`, the text in as many lines as it takes.
fn wrapped(title: &str, text: &str) -> Vec<String> {
    let mut lines = vec![format!("  {title:<9}")];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + 1 + word.chars().count() > WIDTH && lines[last].trim() != title {
            lines.push(format!("  {:<9} {word}", ""));
        } else {
            lines[last] += &format!(" {word}");
        }
    }
    lines
}

/// Recipe of a flag: a file, or one that has a name.
pub(crate) fn given(given: &Path) -> Outcome<Recipe> {
    let name = given.to_str().filter(|name| !name.contains(['/', '\\', '.']) && !given.exists());
    Ok(match name {
        Some(name) => Recipe::named(name)?,
        None => Recipe::read(given)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped() {
        let lines = wrapped("source", &"word ".repeat(40));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(
            lines[0].starts_with("  source    word") && lines[1].starts_with("            word"),
            "{lines:?}"
        );
        assert_eq!(lines.join(" ").matches("word").count(), 40);
    }

    #[test]
    fn a_file_goes_before_a_name() {
        assert_eq!(given(Path::new("cifar-fast")).unwrap().origin.unwrap().name, "cifar-fast");
        assert!(given(Path::new("cifar-fats")).is_err() && given(Path::new("cifar-fast.toml")).is_err());
    }
}
