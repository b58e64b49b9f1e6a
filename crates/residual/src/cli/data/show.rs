//! `--show`: what the contact sheet shows, class by class and augmentation by augmentation.

use std::path::{Path, PathBuf};

use residual::arch::{Preprocess, Resize};
use residual::data::{Augment, Error, Image, ImageSet, Preprocessor, Split, augment};
use residual_files::escaped;
use residual_random::Key;

use super::Look;
use super::classes::Balance;
use super::sheet::{IN_A_ROW, Row, Sheet, THUMBNAIL, Thumbnail};
use super::text::{contents, number, sizes_of};
use super::view::{self, View};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::own_png::CONTACT_SHEET;

/// The most classes that have a row, and of more the largest and the smallest.
const ROWS: usize = 16;

/// Draws of all augmentations together.
const DRAWS: u64 = 4;

/// Draws among which one is looked for that changes an image.
const TRIED: u64 = 64;

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
        let canvas = sheet(look, seed)?.drawn();
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
        for index in (0..set.len()).filter(|index| !broken.contains(index)) {
            classes[set.label(index)].push(index);
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
        turns.copied().take(IN_A_ROW).collect()
    }
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
    let mut add =
        |name: String, lines: Vec<String>, seen: &dyn Fn(usize) -> Result<Image, Error>| -> Outcome {
            let images = samples.iter().map(|&index| seen(index).map(|image| eye.thumbnail(&image)));
            let images = images.collect::<Result<Vec<_>, Error>>()?;
            sheet.row(Row { name, lines, bar: None, images });
            Ok(())
        };
    add("as stored".into(), Vec::new(), &|index| set.read(index))?;
    add("preprocessed".into(), Vec::new(), &|index| eye.seen(set, index))?;
    for one in &eye.view.augment {
        let list = std::slice::from_ref(one);
        add(view::name(one), view::parameters(one), &|index| eye.changed(set, index, list, seed))?;
    }
    if !eye.view.augment.is_empty() {
        for draw in 0..DRAWS {
            let lines = vec![format!("draw {}", draw + 1)];
            add("all together".into(), lines, &|index| {
                eye.augmented(set, index, &eye.view.augment, [seed, draw])
            })?;
        }
    }
    Ok(())
}

/// Eye of the network: preprocessing and augmentation, and what is shown of it.
struct Eye<'a> {
    view: &'a View,
    preprocessor: Preprocessor,
    /// Shrinks what is larger than a thumbnail.
    shrink: Preprocessor,
}

impl<'a> Eye<'a> {
    fn new(view: &'a View) -> Result<Self, Error> {
        let shrink =
            Preprocess::normalise_only().with(|shrink| shrink.resize = Some(Resize::Within([THUMBNAIL; 2])));
        Ok(Self {
            view,
            preprocessor: Preprocessor::new(&view.preprocess)?,
            shrink: Preprocessor::new(&shrink)?,
        })
    }

    /// The image before augmentation and normalisation.
    fn seen(&self, set: &ImageSet, index: usize) -> Result<Image, Error> {
        self.preprocessor.fit(set.read(index)?, &set.file(index))
    }

    fn augmented(
        &self,
        set: &ImageSet,
        index: usize,
        list: &[Augment],
        [seed, epoch]: [u64; 2],
    ) -> Result<Image, Error> {
        let file = set.file(index);
        let image = match list.iter().any(view::sets_size) {
            true => self.preprocessor.admit(set.read(index)?, &file)?,
            false => self.seen(set, index)?,
        };
        augment(image, list, [seed, epoch, index as u64], &file)
    }

    /// The image in the first draw that changes it; unchanged where none does.
    fn changed(&self, set: &ImageSet, index: usize, list: &[Augment], seed: u64) -> Result<Image, Error> {
        let plain = self.seen(set, index)?;
        for epoch in 0..TRIED {
            let image = self.augmented(set, index, list, [seed, epoch])?;
            if image != plain {
                return Ok(image);
            }
        }
        Ok(plain)
    }

    /// The image as it is shown: grey and RGB as they are, of other channels the first three or the first.
    fn thumbnail(&self, image: &Image) -> Option<Thumbnail> {
        let (channels, pixels) = (image.channels(), image.pixels());
        let rgb = |pixel: &[u8]| if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] };
        let pixels: Vec<u8> = pixels.chunks_exact(channels).flat_map(rgb).collect();
        let image = Image::new(image.width(), image.height(), 3, pixels).ok()?;
        let large = image.width().max(image.height()) > THUMBNAIL;
        let image = if large { self.shrink.fit(image, "").ok()? } else { image };
        Some(Thumbnail { size: [image.height(), image.width()], pixels: image.into_pixels() })
    }
}
