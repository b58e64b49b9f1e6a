//! `--show`: a sheet with a query a row, and the images that were found for it.

use std::collections::HashMap;
use std::path::Path;

use residual::data::{Image, MAX_FILE_BYTES, Preprocessor, decode};
use residual::search::{Hit, Index, Row as IndexRow};
use residual_files::escaped;

use super::queries::Query;
use crate::cli::embed::images::Images;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::lists::ListArguments;
use crate::cli::own_png::SEARCH_SHEET;
use crate::cli::sheet::{IN_A_ROW, Row, Sheet, Thumbnail};
use crate::cli::thumbnail::{shrinking, thumbnail};

/// The most queries on a sheet.
const ROWS: usize = 100;

/// Sheet of what was found, on its way to a file.
pub(super) struct Shown<'a> {
    path: &'a Path,
    images: Images,
    /// Numbers of the images, by their paths.
    numbers: HashMap<String, usize>,
    shrink: Preprocessor,
    sheet: Sheet,
    rows: usize,
}

impl<'a> Shown<'a> {
    /// Opens the images of the index, and checks that the sheet can be written.
    pub(super) fn new(path: &'a Path, index: &Index) -> Outcome<Self> {
        SEARCH_SHEET.check_name(path)?;
        SEARCH_SHEET.check_free(path)?;
        let data = &index.facts().data;
        let images = Images::open(data, &ListArguments::default(), (true, 0.0)).map_err(|failure| {
            failure.within(format_args!("{}: --show: its images are not where they were", escaped(path)))
        })?;
        let numbers = (0..images.len()).map(|number| (images.row(number).path, number)).collect();
        let mut sheet = Sheet::new();
        sheet.title(&format!("{}: the most similar images", index.name()));
        sheet.space();
        Ok(Self { path, images, numbers, shrink: shrinking()?, sheet, rows: 0 })
    }

    /// Adds a query and what was found for it.
    pub(super) fn add(&mut self, query: &Query, hits: &[Hit], rows: &[IndexRow]) {
        self.rows += 1;
        if self.rows > ROWS {
            return;
        }
        let own = match query.row {
            Some(_) => self.of_index(&query.name),
            None => read(Path::new(&query.name)).ok().and_then(|image| self.small(image)),
        };
        let mut images = vec![own];
        images.extend(rows.iter().take(IN_A_ROW - 1).map(|row| self.of_index(&row.path)));
        let scores: Vec<String> =
            hits.iter().take(IN_A_ROW - 1).map(|hit| format!("{:.3}", hit.score)).collect();
        let row = Row { name: query.name.clone(), lines: vec![scores.join(" ")], bar: None, images };
        self.sheet.row(row);
    }

    /// Writes the sheet.
    pub(super) fn write(mut self) -> Outcome {
        if self.rows > ROWS {
            self.sheet.text(&format!("and {} more", self.rows - ROWS));
        }
        let canvas = self.sheet.drawn();
        let png = SEARCH_SHEET.encoded([canvas.height(), canvas.width()], canvas.pixels())?;
        SEARCH_SHEET.write(self.path, &png)
    }

    /// Image of the index; a gap where it is no longer there.
    fn of_index(&self, path: &str) -> Option<Thumbnail> {
        let number = self.numbers.get(path)?;
        self.images.read(*number).ok().and_then(|image| self.small(image))
    }

    fn small(&self, image: Image) -> Option<Thumbnail> {
        thumbnail(&self.shrink, &image.upright())
    }
}

fn read(path: &Path) -> Result<Image, Failure> {
    let bytes = residual_files::read(path, MAX_FILE_BYTES)?;
    Ok(decode(&bytes, "")?)
}
