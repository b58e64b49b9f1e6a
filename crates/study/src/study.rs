//! Any study.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use residual_files::{MAX_TEXT, read_text};
use residual_report::{Page, Table};
use serde::{Deserialize, Serialize};

use crate::{Bottleneck, Depth, Error, Folder, GradientFlow, Landscape, Lesion, Watch};

/// A study as data: `study.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "study", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Study {
    /// Error against depth.
    Depth(Depth),
    /// The gradient at every block.
    Gradflow(GradientFlow),
    /// Blocks left out and exchanged.
    Lesion(Lesion),
    /// The loss around trained networks.
    Landscape(Landscape),
    /// Basic against bottleneck blocks.
    Bottleneck(Bottleneck),
}

/// End of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// End with everything done.
    Finished,
    /// The stop flag was raised. What is done is kept.
    Interrupted,
}

/// The results of a study in short.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Tables with their titles.
    pub tables: Vec<(String, Table)>,
    /// Statements that the results support.
    pub words: Vec<String>,
}

impl Study {
    /// Reads a `study.toml`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Config`].
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path, MAX_TEXT).map_err(|cause| Error::io("read", path)(cause.into()))?;
        toml::from_str(&text).map_err(|cause| Error::Config { path: path.to_owned(), cause: Box::new(cause) })
    }

    /// The name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Depth(_) => "depth",
            Self::Gradflow(_) => "gradflow",
            Self::Lesion(_) => "lesion",
            Self::Landscape(_) => "landscape",
            Self::Bottleneck(_) => "bottleneck",
        }
    }

    /// Does what is not done yet in the folder of this study, and writes the report: of what there is, where
    /// `stop` was raised.
    ///
    /// # Errors
    /// [`Error::OtherStudy`] and [`Error::Locked`] for a folder that is not free; those of the study.
    pub fn run(&self, out: &Path, watch: &mut dyn Watch, stop: &AtomicBool) -> Result<Outcome, Error> {
        self.validate()?;
        let mut folder = Folder::open(out, self)?;
        let outcome = match self {
            Self::Depth(depth) => depth.run(&mut folder, watch, stop)?,
            Self::Gradflow(flow) => flow.run(&mut folder, watch, stop)?,
            Self::Lesion(lesion) => lesion.run(&mut folder, watch, stop)?,
            Self::Landscape(landscape) => landscape.run(&mut folder, watch, stop)?,
            Self::Bottleneck(bottleneck) => bottleneck.run(&mut folder, watch, stop)?,
        };
        folder.write(&self.page(&folder)?)?;
        Ok(outcome)
    }

    /// Summary of the folder, for a terminal: statements, and tables with their titles.
    ///
    /// # Errors
    /// Those of [`Folder::open`] and [`Folder::results`].
    pub fn summary(&self, out: &Path) -> Result<Summary, Error> {
        let folder = Folder::open(out, self)?;
        Ok(match self {
            Self::Depth(depth) => depth.summary(&folder.results()?),
            Self::Gradflow(flow) => flow.summary(&folder.results()?),
            Self::Lesion(lesion) => lesion.summary(&folder.results()?),
            Self::Landscape(landscape) => landscape.summary(&folder.results()?),
            Self::Bottleneck(bottleneck) => bottleneck.summary(&folder.results()?),
        })
    }

    /// The lines of the folder's `results.jsonl`.
    ///
    /// # Errors
    /// Those of [`Folder::open`] and [`Folder::results`].
    pub fn rows(&self, out: &Path) -> Result<Vec<serde_json::Value>, Error> {
        Folder::open(out, self)?.results()
    }

    fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Depth(depth) => depth.validate(),
            Self::Gradflow(flow) => flow.validate(),
            Self::Lesion(lesion) => lesion.validate(),
            Self::Landscape(landscape) => landscape.validate(),
            Self::Bottleneck(bottleneck) => bottleneck.validate(),
        }
    }

    /// The report on what the folder holds.
    fn page(&self, folder: &Folder) -> Result<Page, Error> {
        let page = match self {
            Self::Depth(depth) => depth.page(&folder.results()?),
            Self::Gradflow(flow) => flow.page(&folder.results()?),
            Self::Lesion(lesion) => lesion.page(&folder.results()?),
            Self::Landscape(landscape) => landscape.page(&folder.results()?),
            Self::Bottleneck(bottleneck) => bottleneck.page(&folder.results()?),
        };
        let repeat = format!("residual study {} --repeat FOLDER --out NEW", self.name());
        Ok(page.heading("To repeat it").verbatim(&repeat).verbatim(&toml::to_string(self)?))
    }
}
