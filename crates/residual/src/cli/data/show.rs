//! `--show`: what the contact sheet shows, class by class and augmentation by augmentation.

use std::path::{Path, PathBuf};

use residual::arch::TaskKind;
use residual::data::{Error, Image, ImageSet, Source, Split};
use residual_files::escaped;
use residual_random::Key;

use super::Look;
use super::classes::Balance;
use super::eye::{Eye, TRIED};
use super::text::{contents, number, sizes_of};
use super::view;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::own_png::CONTACT_SHEET;
use crate::cli::sheet::{IN_A_ROW, Row, Sheet};

/// The most classes that have a row, and of more the largest and the smallest.
const ROWS: usize = 16;

/// Draws of all augmentations together.
const DRAWS: u64 = 4;

/// Place of a contact sheet.
pub(super) struct Place<'a>(&'a Path);

impl<'a> Place<'a> {
    /// Checks before any work that the sheet can be written to `path`, and that nothing is lost there.
    ///
    /// # Errors
    /// For another ending than `.png`, a folder that does not exist, a file that is no contact sheet, and a place
    /// among the images of `data`.
    pub(super) fn new(path: &'a Path, data: &Path) -> Outcome<Self> {
        CONTACT_SHEET.check_name(path)?;
        CONTACT_SHEET.check_free(path)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = escaped(path);
        if !folder.is_dir() {
            let folder = escaped(folder);
            return Err(Failure::new(format_args!("{name}: {folder} is no folder; help: make it first")));
        }
        let real = |path: &Path| path.canonicalize().ok();
        let inside = real(folder).zip(real(data)).and_then(|(folder, data)| {
            folder.strip_prefix(&data).ok().map(PathBuf::from).filter(|_| data.is_dir())
        });
        match inside {
            Some(inside) if !inside.as_os_str().is_empty() => Err(Failure::new(format_args!(
                "{name}: is inside the data, and would be read as one of the images; help: write it elsewhere"
            ))),
            _ => Ok(Self(path)),
        }
    }

    /// Draws the sheet and writes it.
    ///
    /// # Errors
    /// Where an image that could be decoded cannot be prepared, and where the system refuses.
    pub(super) fn write(&self, look: &Look, seed: u64) -> Outcome {
        self.write_sheet(&sheet(look, seed)?)
    }

    /// Writes a sheet.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(super) fn write_sheet(&self, sheet: &Sheet) -> Outcome {
        let canvas = sheet.drawn();
        let png = CONTACT_SHEET.encoded([canvas.height(), canvas.width()], canvas.pixels())?;
        CONTACT_SHEET.write(self.0, &png)
    }
}

fn sheet(look: &Look, seed: u64) -> Outcome<Sheet> {
    let mut sheet = Sheet::new();
    let Some(split) = look.survey.splits().next() else { return Ok(sheet) };
    let eye = Eye::new(&look.view)?;
    let set = look.data.split(split)?;
    sheet.title(&format!("{}: {}", look.name, contents(&look.survey)));
    Balance::of(&look.survey).summaries().iter().for_each(|line| sheet.text(line));
    look.survey.sizes().iter().for_each(|sizes| sheet.text(&sizes_of(sizes)));
    sheet.text(&format!("Below: {split} images as {} sees them, drawn with seed {seed}", look.view.network));
    sheet.space();
    let drawn = Drawn::of(look, &set, split, seed);
    for (row, chosen) in class_rows(look, &drawn) {
        let images = chosen.into_iter().map(|index| eye.seen(&set, index).map(|image| eye.thumbnail(&image)));
        let images = images.collect::<Result<Vec<_>, Error>>()?;
        sheet.row(Row { images, ..row });
    }
    sheet.space();
    sheet.title("Augmentation");
    let recipe = match look.view.augment.is_empty() {
        true => "This recipe has none.".to_owned(),
        false => format!(
            "Each alone, in the first of {TRIED} draws that changes the image, and all together in {DRAWS} draws."
        ),
    };
    sheet.text(&recipe);
    sheet.space();
    let samples = drawn.across_classes();
    augmentation_rows(&mut sheet, &eye, &set, &samples, seed)?;
    Ok(sheet)
}

/// Images of each class in a random order, without the broken ones.
struct Drawn(Vec<Vec<usize>>);

impl Drawn {
    fn of(look: &Look, set: &ImageSet, split: Split, seed: u64) -> Self {
        let mut classes = vec![Vec::new(); look.survey.classes().len()];
        let broken = look.survey.broken().iter().filter(|broken| broken.place.split == split);
        let broken: std::collections::HashSet<usize> = broken.map(|broken| broken.place.index).collect();
        let whole: Vec<usize> = (0..set.len()).filter(|index| !broken.contains(index)).collect();
        match look.survey.task() {
            TaskKind::SingleLabel => whole.iter().for_each(|&index| classes[set.label(index)].push(index)),
            TaskKind::MultiLabel => {
                for &index in &whole {
                    let has =
                        set.targets(index).into_iter().zip(&mut classes).filter(|(target, _)| *target > 0.0);
                    has.for_each(|(_, images)| images.push(index));
                }
            }
            // Numbers: from the least to the greatest.
            _ => {
                return Self((0..classes.len()).map(|target| spread(set, &whole, target)).collect());
            }
        }
        let key = Key::named("contact sheet").child(seed);
        for (class, images) in classes.iter_mut().enumerate() {
            key.child(class as u64).stream().shuffle(images);
        }
        Self(classes)
    }

    /// One image of each class, then another one, until there is a row of them.
    fn across_classes(&self) -> Vec<usize> {
        let longest = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..longest).flat_map(|turn| self.0.iter().filter_map(move |images| images.get(turn)));
        // One of several classes comes once.
        let mut seen = std::collections::HashSet::new();
        turns.copied().filter(|&index| seen.insert(index)).take(IN_A_ROW).collect()
    }
}

/// Images by a target of a regression, evenly from the least to the greatest.
fn spread(set: &ImageSet, images: &[usize], target: usize) -> Vec<usize> {
    let mut sorted: Vec<(f64, usize)> =
        images.iter().map(|&index| (set.targets(index)[target], index)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let shown = IN_A_ROW.min(sorted.len());
    (0..shown).map(|place| sorted[place * (sorted.len() - 1) / (shown - 1).max(1)].1).collect()
}

/// Rows of the classes without their images, and those images.
fn class_rows(look: &Look, drawn: &Drawn) -> Vec<(Row, Vec<usize>)> {
    let balance = Balance::of(&look.survey);
    let splits: Vec<Split> = look.survey.splits().collect();
    let counts: Vec<Vec<usize>> = splits.iter().map(|&split| look.survey.counts(split)).collect();
    let most = counts[0].iter().copied().max().unwrap_or(0).max(1);
    let row = |class: Option<usize>| match class {
        Some(class) => {
            let texts = splits
                .iter()
                .zip(&counts)
                .map(|(split, counts)| format!("{split} {}", number(counts[class])));
            let name = look.survey.classes()[class].clone();
            let bar = Some(counts[0][class] as f64 / most as f64);
            let chosen = drawn.0[class].iter().copied().take(IN_A_ROW).collect();
            (Row { name, lines: texts.collect(), bar, images: Vec::new() }, chosen)
        }
        None => {
            let name = format!("{} classes between", number(look.survey.classes().len() - ROWS));
            (Row { name, lines: Vec::new(), bar: None, images: Vec::new() }, Vec::new())
        }
    };
    balance.shown(ROWS, ROWS / 2).into_iter().map(row).collect()
}

/// Rows of the same images: as they are stored, preprocessed, augmented in one way, and in all.
fn augmentation_rows(
    sheet: &mut Sheet,
    eye: &Eye<'_>,
    set: &ImageSet,
    samples: &[usize],
    seed: u64,
) -> Outcome {
    let each = |seen: &dyn Fn(usize) -> Result<Image, Error>| {
        samples.iter().map(|&index| seen(index)).collect::<Result<Vec<_>, Error>>()
    };
    let mut add = |name: &str, lines: Vec<String>, images: &[Image]| {
        let images = images.iter().map(|image| eye.thumbnail(image)).collect();
        sheet.row(Row { name: name.to_owned(), lines, bar: None, images });
    };
    add("as stored", Vec::new(), &each(&|index| set.read(index))?);
    add("preprocessed", Vec::new(), &each(&|index| eye.seen(set, index))?);
    for one in eye.augment() {
        let list = std::slice::from_ref(one);
        let images = each(&|index| eye.changed(set, index, list, seed))?;
        add(&view::name(one), view::parameters(one), &images);
    }
    for draw in 0..DRAWS {
        if !eye.augment().is_empty() {
            let images = each(&|index| eye.augmented(set, index, eye.augment(), [seed, draw]))?;
            add("all together", vec![format!("draw {}", draw + 1)], &images);
        }
    }
    if let Some(mix) = eye.mix() {
        for draw in 0..DRAWS {
            let images = each(&|index| eye.augmented(set, index, eye.augment(), [seed, draw]))?;
            let lines =
                if draw == 0 { view::mix_parameters(mix) } else { vec![format!("draw {}", draw + 1)] };
            add("mixed", lines, &eye.mixed(images, mix, [seed, draw])?);
        }
    }
    Ok(())
}
