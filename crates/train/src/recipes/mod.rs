//! Recipes: their fields, those with a name, and how they are settled.

pub(crate) mod batches;
pub(crate) mod dropping;
pub(crate) mod named;
mod read;
pub(crate) mod recipe;
pub(crate) mod settle;
pub(crate) mod shards;
pub(crate) mod task_recipe;
