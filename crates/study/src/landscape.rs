//! The loss on a plane through a trained network (Li et al. 2018).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::TensorPath;
use residual_data::Split;
use residual_nn::Randomness;
use residual_report::{FieldChart, Figure, Page, Table, number};
use residual_train::DataRecipe;
use residual_weights::{Model, Tensor};
use serde::{Deserialize, Serialize};

use crate::held::{Held, open};
use crate::subject::file_name;
use crate::{Error, Folder, Outcome, Summary, Watch};

/// The training loss at `w + a d1 + b d2` for a grid of `a` and `b` between `-reach` and `reach`.
///
/// The directions are Gaussian and filter-normalised: every filter (the weights of one output of a convolution or
/// of the linear layer) of `d` has the norm of the same filter of `w`. Biases and batch norms do not move, and
/// batch norms keep the running statistics of the trained network (Li et al. 2018, section 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landscape {
    /// Trained networks, a picture each.
    pub weights: Vec<PathBuf>,
    /// Points along each side; odd, so that the network itself is the middle.
    pub side: usize,
    /// Half the side of the square.
    pub reach: f64,
    /// Number of training images that the loss is the mean of.
    pub images: usize,
    /// Seed of the directions and the images.
    pub seed: u64,
    /// The data.
    pub data: DataRecipe,
}

/// Losses from here on have one colour. Guessing evenly among 10 classes is 2.3 and among 20,000 is 9.9: what is beyond
/// is far from any answer, and would leave no colours for what is near.
const CEILING: f64 = 20.0;

/// A line of `results.jsonl`: a row of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Number of the weights, from 0.
    pub picture: usize,
    /// The network's name.
    pub network: String,
    /// Number of the row, from `-reach` along the second direction.
    pub row: usize,
    /// The losses along the first direction; `None` where not finite.
    pub losses: Vec<Option<f64>>,
}

impl Landscape {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let range = |field, found: String, expected| Err(Error::OutOfRange { field, found, expected });
        if self.weights.is_empty() {
            return Err(Error::Nothing { field: "weights", expected: "one or more trained networks" });
        }
        if self.side < 3 || self.side.is_multiple_of(2) || self.side > 501 {
            return range("side", self.side.to_string(), "an odd number from 3 to 501");
        }
        if !(self.reach.is_finite() && self.reach > 0.0) {
            return range("reach", self.reach.to_string(), "a finite number above 0");
        }
        if self.images == 0 {
            return range("images", "0".into(), "1 or more");
        }
        Ok(())
    }

    pub(crate) fn run(
        &self,
        folder: &mut Folder,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let done: Vec<Row> = folder.results()?;
        let all = (self.weights.len() * self.side) as f64;
        for (picture, path) in self.weights.iter().enumerate() {
            let model = open(path, None)?;
            let directions = [1, 2].map(|number| direction(&model, self.seed, number));
            let held = Held::of(&self.data, Split::Train, &model, self.images, self.seed)?;
            for row in 0..self.side {
                if done.iter().any(|known| (known.picture, known.row) == (picture, row)) {
                    continue;
                }
                let mut losses = Vec::with_capacity(self.side);
                for column in 0..self.side {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(Outcome::Interrupted);
                    }
                    let at = [column, row].map(|index| self.place(index));
                    losses.push(held.judge(&moved(&model, &directions, at))?.loss);
                }
                let network = model.spec().name.clone();
                let share = (picture * self.side + row + 1) as f64 / all;
                watch.progress(share, &format!("{network}: row {} of {}", row + 1, self.side));
                folder.append(&Row { picture, network, row, losses })?;
            }
        }
        Ok(Outcome::Finished)
    }

    /// `-reach` to `reach`, exactly 0 in the middle.
    fn place(&self, index: usize) -> f64 {
        let half = (self.side / 2) as f64;
        self.reach * (index as f64 - half) / half
    }

    /// The pictures that are whole: the network's name, and its field.
    fn pictures(&self, rows: &[Row]) -> Vec<(String, Vec<Vec<f64>>)> {
        let picture = |number: usize| {
            let mut own: Vec<_> = rows.iter().filter(|row| row.picture == number).collect();
            own.sort_by_key(|row| row.row);
            let field = |row: &&Row| row.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)).collect();
            let name = own.first()?.network.clone();
            (own.len() == self.side).then(|| (name, own.iter().map(field).collect()))
        };
        (0..self.weights.len()).filter_map(picture).collect()
    }

    fn table(&self, rows: &[Row]) -> Table {
        let mut table = Table::new(&["network", "loss in the middle", "median on the edge", "greatest"]);
        for (name, field) in self.pictures(rows) {
            let last = self.side - 1;
            let on_edge = |i: usize, j: usize| i == 0 || j == 0 || i == last || j == last;
            let places = (0..self.side).flat_map(|j| (0..self.side).map(move |i| (i, j)));
            let mut edge: Vec<f64> =
                places.filter(|&(i, j)| on_edge(i, j)).map(|(i, j)| field[j][i]).collect();
            edge.sort_by(f64::total_cmp);
            let greatest = field.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
            let middle = field[last / 2][last / 2];
            table.row([name, number(middle, 4), number(edge[edge.len() / 2], 4), number(greatest, 4)]);
        }
        table
    }

    pub(crate) fn summary(&self, rows: &[Row]) -> Summary {
        let title = format!("training loss of {} images, {} x {} points", self.images, self.side, self.side);
        Summary { tables: vec![(title, self.table(rows))], words: Vec::new() }
    }

    pub(crate) fn page(&self, rows: &[Row]) -> Page {
        let pictures = self.pictures(rows);
        let values = || pictures.iter().flat_map(|(_, field)| field.iter().flatten()).copied();
        let finite = || values().filter(|value| value.is_finite());
        let range = [finite().fold(f64::INFINITY, f64::min), finite().fold(0.0, f64::max).min(CEILING)];
        let figure = |(name, field): &(String, Vec<Vec<f64>>)| {
            FieldChart::new(name.clone(), "loss (log)", self.reach, field.clone(), range).figure()
        };
        let figures: Vec<_> = pictures.iter().map(figure).collect();
        let intro = format!(
            "Mean training loss of {} images of {} on a plane through each network (the dot), along two random \
             filter-normalised directions with seed {}. Biases and batch norms do not move, and batch norms keep \
             their running statistics. One colour scale for all pictures, up to a loss of {CEILING}; contours are even in \
             the logarithm.",
            self.images,
            file_name(&self.data.path),
            self.seed
        );
        let page = Page::new("Loss landscape").text(&intro);
        let page = if figures.is_empty() {
            page.text("No picture is whole yet.")
        } else {
            let caption = "Loss around trained networks, side by side.";
            page.figure("landscape", Figure::panels("Loss landscapes", 2, &figures), caption)
        };
        page.heading("Numbers").table(&self.table(rows))
    }
}

/// A Gaussian direction, each filter as long as the network's; missing where nothing moves.
fn direction(model: &Model, seed: u64, number: u64) -> Vec<Option<Vec<f32>>> {
    let draw = Randomness::new(seed, number);
    let roles = model.network().tensors().map(|(_, tensor)| tensor.role);
    let tensors = model.tensors().zip(roles);
    tensors.map(|((path, tensor), role)| role.decays().then(|| normalised(path, tensor, draw))).collect()
}

/// Filter by filter: `d |w| / |d|`.
fn normalised(path: TensorPath, tensor: &Tensor, draw: Randomness) -> Vec<f32> {
    let (path, values) = (path.to_string(), tensor.data());
    let filters = tensor.shape().first().copied().unwrap_or(1).max(1);
    let size = (values.len() / filters).max(1);
    let mut direction = Vec::with_capacity(values.len());
    for (index, filter) in values.chunks(size).enumerate() {
        let drawn: Vec<f64> =
            (0..filter.len()).map(|i| draw.normal(&path, (index * size + i) as u64)).collect();
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let wanted = norm(&mut filter.iter().map(|&w| f64::from(w)));
        let found = norm(&mut drawn.iter().copied());
        let scale = if found > 0.0 { wanted / found } else { 0.0 };
        direction.extend(drawn.iter().map(|d| (d * scale) as f32));
    }
    direction
}

fn moved(model: &Model, directions: &[Vec<Option<Vec<f32>>>; 2], at: [f64; 2]) -> Model {
    let mut moved = model.clone();
    for (index, (path, _)) in model.tensors().enumerate() {
        let [Some(d1), Some(d2)] = [&directions[0][index], &directions[1][index]] else { continue };
        for ((w, d1), d2) in moved.tensor_mut(path).unwrap_or_default().iter_mut().zip(d1).zip(d2) {
            *w = (f64::from(*w) + at[0] * f64::from(*d1) + at[1] * f64::from(*d2)) as f32;
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_a_direction_are_as_long_as_the_networks() {
        let values: Vec<f32> = (0..24).map(|i| i as f32 - 6.0).collect();
        let tensor = Tensor::new(vec![3, 2, 2, 2], values).unwrap();
        let normalised =
            |step| normalised("stem.conv0.weight".parse().unwrap(), &tensor, Randomness::new(3, step));
        let direction = normalised(1);
        let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        for (d, w) in direction.chunks(8).zip(tensor.data().chunks(8)) {
            assert!((norm(d) / norm(w) - 1.0).abs() < 1e-6);
        }
        assert_ne!(direction, normalised(2));
        assert_eq!(direction, normalised(1));
    }
}
