//! The tables: a row a checkpoint, read when one is first asked for.

use std::sync::LazyLock;

use super::checkpoint::{Accuracy, CropMode, Library, Published, Scale};
use crate::Interpolation;

const TORCHVISION: &str = include_str!("torchvision.tsv");
const TIMM: &str = include_str!("timm.tsv");

/// Columns of a row; torchvision's have one more, the file's size.
const COLUMNS: usize = 19;

/// Stands for a cell without a value.
const NONE: &str = "-";

static ROWS: LazyLock<Vec<Published>> = LazyLock::new(|| {
    let of = |library, table| rows(table).filter_map(move |line| row(library, line));
    of(Library::Torchvision, TORCHVISION).chain(of(Library::Timm, TIMM)).collect()
});

/// Every checkpoint: torchvision's, then timm's, network by network. Networks of which timm publishes no weights have a
/// row too, for the preprocessing that timm gives them.
pub fn all() -> &'static [Published] {
    &ROWS
}

/// Lines of a table that are neither comments nor the heading.
fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#')).skip(1)
}

fn row(library: Library, line: &'static str) -> Option<Published> {
    let cells: Vec<&'static str> = line.split('\t').collect();
    let &[
        model,
        tag,
        default,
        parameters,
        url,
        sha256,
        licence,
        top1,
        top5,
        measured_at,
        classes,
        input,
        resize,
        test_input,
        test_resize,
        crop_mode,
        interpolation,
        mean,
        std,
    ] = cells.first_chunk::<COLUMNS>()?;
    let (side, scale) = (input.parse().ok()?, scale(resize)?);
    let test = match (value(test_input), value(test_resize)) {
        (None, None) => None,
        (input, resize) => Some((
            input.map_or(Some(side), |input| input.parse().ok())?,
            resize.map_or(Some(scale), self::scale)?,
        )),
    };
    Some(Published {
        library,
        model,
        tag,
        default: default == "default",
        parameters: parameters.parse().ok()?,
        url: value(url),
        sha256: value(sha256),
        licence: value(licence),
        accuracy: accuracy(top1, top5, measured_at),
        classes: classes.parse().ok()?,
        side,
        scale,
        test,
        crop_mode: match crop_mode {
            "center" => CropMode::Center,
            "squash" => CropMode::Squash,
            "border" => CropMode::Border,
            _ => return None,
        },
        interpolation: match interpolation {
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => return None,
        },
        mean: channels(mean)?,
        std: channels(std)?,
        megabytes: cells.get(COLUMNS).and_then(|cell| cell.parse().ok()),
    })
}

fn value(cell: &'static str) -> Option<&'static str> {
    (cell != NONE).then_some(cell)
}

/// `256` is a side, `0.875` a share.
fn scale(cell: &str) -> Option<Scale> {
    match cell.contains('.') {
        true => cell.parse().ok().map(Scale::Share),
        false => cell.parse().ok().map(Scale::Side),
    }
}

fn accuracy(top1: &str, top5: &str, side: &str) -> Option<Accuracy> {
    Some(Accuracy { top1: top1.parse().ok()?, top5: top5.parse().ok()?, side: side.parse().ok()? })
}

fn channels(cell: &str) -> Option<[f32; 3]> {
    let values: Option<Vec<f32>> = cell.split(',').map(|value| value.parse().ok()).collect();
    values?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_row() {
        let lines = rows(TORCHVISION).count() + rows(TIMM).count();
        assert_eq!((all().len(), lines), (17 + 199, 17 + 199));
        // Of values of four bytes, or of two, and of batch norms' statistics beside them.
        for row in all() {
            assert_eq!(row.megabytes.is_some(), row.library == Library::Torchvision);
            let share = row.megabytes.unwrap_or(row.weights_megabytes()) / row.weights_megabytes();
            assert!((0.5..1.02).contains(&share), "{} {share}", row.name());
        }
    }
}
