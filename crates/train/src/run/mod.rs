//! Folders of runs: what is in them, how a run is resumed, and runs beside one another.

pub(crate) mod changes;
pub(crate) mod ended;
pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod run_folder;
pub(crate) mod runs;
pub(crate) mod seed_runs;
