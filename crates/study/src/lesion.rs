//! Blocks left out and exchanged: which ones a network leans on (Veit et al. 2016).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use residual_arch::{BlockPart, BlockPath, BlockSpec, LayerPath, NetSpec, TensorPath};
use residual_data::Split;
use residual_nn::Randomness;
use residual_report::{Axis, BarChart, Page, Table, number};
use residual_train::DataRecipe;
use residual_weights::Model;
use serde::{Deserialize, Serialize};

use crate::held::{Held, open};
use crate::subject::file_name;
use crate::{Error, Folder, Judgement, Outcome, Summary, Watch};

/// Leaves every block out in turn, by setting its branch to zero, and exchanges pairs of blocks of one shape; the
/// rest of the network, its running statistics included, stays.
///
/// In a plain network a block without its branch gives zero: nothing passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// A trained network.
    pub weights: PathBuf,
    /// The family member, for bare weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Number of test images that judge it.
    pub images: usize,
    /// Number of pairs that are exchanged; chosen at random where there are more.
    pub pairs: usize,
    /// Chooses images and pairs.
    pub seed: u64,
    /// The data.
    pub data: DataRecipe,
}

/// Change of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Nothing.
    Intact,
    /// This block's branch was set to zero.
    Drop(String),
    /// Exchange of two blocks.
    Swap(String, String),
}

/// A line of `results.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesioned {
    /// Change of the network.
    pub change: Change,
    /// Loss and error after the change.
    pub judgement: Judgement,
}

impl Lesion {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self.images {
            0 => Err(Error::OutOfRange { field: "images", found: "0".into(), expected: "1 or more" }),
            _ => Ok(()),
        }
    }

    pub(crate) fn run(
        &self,
        folder: &mut Folder,
        watch: &mut dyn Watch,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let model = open(&self.weights, self.model.as_deref())?;
        let done: Vec<Lesioned> = folder.results()?;
        let changes = self.changes(model.spec());
        let left: Vec<_> =
            changes.iter().filter(|change| !done.iter().any(|d| d.change == **change)).collect();
        if left.is_empty() {
            return Ok(Outcome::Finished);
        }
        let held = Held::of(&self.data, Split::Test, &model, self.images, self.seed)?;
        for (index, &change) in left.iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Interrupted);
            }
            watch.progress((index as f64 + 0.5) / left.len() as f64, &text(change));
            let judgement = held.judge(&changed(&model, change))?;
            folder.append(&Lesioned { change: change.clone(), judgement })?;
        }
        Ok(Outcome::Finished)
    }

    fn changes(&self, spec: &NetSpec) -> Vec<Change> {
        let mut changes = vec![Change::Intact];
        changes.extend(spec.blocks().map(|(path, _)| Change::Drop(path.to_string())));
        let mut pairs = pairs(spec);
        let draw = Randomness::new(self.seed, 0);
        let mut keyed: Vec<_> =
            pairs.drain(..).enumerate().map(|(i, pair)| (draw.uniform("pairs", i as u64), i, pair)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        keyed.truncate(self.pairs);
        keyed.sort_by_key(|&(_, i, _)| i);
        changes.extend(keyed.into_iter().map(|(_, _, (a, b))| Change::Swap(a.to_string(), b.to_string())));
        changes
    }

    pub(crate) fn summary(&self, rows: &[Lesioned]) -> Summary {
        Summary { tables: vec![(format!("{} test images", self.images), table(rows))], words: words(rows) }
    }

    pub(crate) fn page(&self, rows: &[Lesioned]) -> Page {
        let intro = format!(
            "{} on {} images of {}. A dropped block's branch is set to zero and its shortcut stays; exchanged blocks \
             take each other's place. Nothing is trained again, and running statistics stay as they are.",
            file_name(&self.weights),
            self.images,
            file_name(&self.data.path)
        );
        let mut page = Page::new("Lesions").text(&intro).list(&words(rows));
        let intact =
            rows.iter().find(|row| row.change == Change::Intact).map(|row| 100.0 * row.judgement.error);
        for (name, title, drop) in
            [("drop", "One block dropped", true), ("swap", "Two blocks exchanged", false)]
        {
            let mut chart = BarChart::new(title, "what was changed", Axis::linear("test error, %"));
            for row in rows {
                let (label, group) = match &row.change {
                    Change::Drop(block) if drop => (short(block), stage(block)),
                    Change::Swap(a, b) if !drop => (format!("{}/{}", short(a), short(b)), stage(a)),
                    _ => continue,
                };
                chart = chart.with(label, 100.0 * row.judgement.error, group);
            }
            if let Some(intact) = intact {
                chart = chart.with_reference("intact", intact);
            }
            page = page.figure(name, chart.figure(), "One colour a stage; the name is stage.block.");
        }
        page.heading("Numbers").table(&table(rows))
    }
}

/// Pairs of blocks that can take each other's place.
fn pairs(spec: &NetSpec) -> Vec<(BlockPath, BlockPath)> {
    let mut channels = spec.stem.channels();
    let mut blocks: Vec<(BlockPath, BlockSpec, usize)> = Vec::new();
    for (path, block) in spec.blocks() {
        blocks.push((path, *block, channels));
        channels = block.channels;
    }
    let alike =
        |a: &(BlockPath, BlockSpec, usize), b: &(BlockPath, BlockSpec, usize)| (a.1, a.2) == (b.1, b.2);
    let mut pairs = Vec::new();
    for (i, a) in blocks.iter().enumerate() {
        pairs.extend(blocks[i + 1..].iter().filter(|b| alike(a, b)).map(|b| (a.0, b.0)));
    }
    pairs
}

fn changed(model: &Model, change: &Change) -> Model {
    let mut changed = model.clone();
    match change {
        Change::Intact => {}
        Change::Drop(block) => {
            let spec = model.spec().blocks().find(|(path, _)| path.to_string() == *block);
            for path in spec.iter().flat_map(|(path, spec)| last_layer(*path, spec)) {
                changed.tensor_mut(path).unwrap_or_default().fill(0.0);
            }
        }
        Change::Swap(a, b) => {
            let place = |path: TensorPath| match path.layer {
                LayerPath::Block(block, part) => Some((block.to_string(), part)),
                _ => None,
            };
            for (path, tensor) in model.tensors() {
                let Some((block, part)) = place(path) else { continue };
                let Some(other) = [(a, b), (b, a)].into_iter().find(|(from, _)| **from == block) else {
                    continue;
                };
                let Ok(other) = other.1.parse::<BlockPath>() else { continue };
                let target = LayerPath::Block(other, part).tensor(path.field);
                changed.tensor_mut(target).unwrap_or_default().copy_from_slice(tensor.data());
            }
        }
    }
    changed
}

/// The tensors that make a branch zero where they are: those of its last convolution or norm.
fn last_layer(block: BlockPath, spec: &BlockSpec) -> Vec<TensorPath> {
    let in_branch =
        |path: &TensorPath| matches!(path.layer, LayerPath::Alone(BlockPart::Conv(_) | BlockPart::Norm(_)));
    let in_network = |path: &TensorPath| {
        let part = path.layer.block_part()?;
        Some(LayerPath::Block(block, part).tensor(path.field))
    };
    // The number of input channels changes shapes alone.
    let parameters = spec.tensors(1).filter(|(_, tensor)| tensor.role.is_parameter()).map(|(path, _)| path);
    let parameters: Vec<_> = parameters.filter(in_branch).collect();
    let last = parameters.last().map(|path| path.layer);
    let of_last = parameters.iter().filter(|path| Some(path.layer) == last);
    of_last.filter_map(in_network).collect()
}

/// `stage2.block10` as `2.10`.
fn short(block: &str) -> String {
    block.replace("stage", "").replace("block", "")
}

/// The number of the stage, from 0.
fn stage(block: &str) -> usize {
    let digits: String = block.trim_start_matches("stage").chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<usize>().map_or(0, |stage| stage.saturating_sub(1))
}

fn text(change: &Change) -> String {
    match change {
        Change::Intact => "intact".into(),
        Change::Drop(block) => format!("without {block}"),
        Change::Swap(a, b) => format!("{a} and {b} exchanged"),
    }
}

fn table(rows: &[Lesioned]) -> Table {
    let mut table = Table::new(&["network", "test error", "loss"]);
    for row in rows {
        let loss = row.judgement.loss.map_or("-".to_owned(), |loss| number(loss, 4));
        table.row([text(&row.change), format!("{:.2}%", 100.0 * row.judgement.error), loss]);
    }
    table
}

fn words(rows: &[Lesioned]) -> Vec<String> {
    let Some(intact) = rows.iter().find(|row| row.change == Change::Intact) else { return Vec::new() };
    let rise = |row: &&Lesioned| row.judgement.error - intact.judgement.error;
    let say = |what: &str, chosen: Vec<&Lesioned>| {
        let (Some(most), Some(least)) = (
            chosen.iter().max_by(|a, b| rise(a).total_cmp(&rise(b))),
            chosen.iter().min_by(|a, b| rise(a).total_cmp(&rise(b))),
        ) else {
            return None;
        };
        let mean = chosen.iter().map(rise).sum::<f64>() / chosen.len() as f64;
        Some(format!(
            "{what} ({}): the error rises by {:.2} points on average; the most is {:+.2} ({}), the least {:+.2} ({}).",
            chosen.len(),
            100.0 * mean,
            100.0 * rise(most),
            text(&most.change),
            100.0 * rise(least),
            text(&least.change)
        ))
    };
    let drops = rows.iter().filter(|row| matches!(row.change, Change::Drop(_))).collect();
    let swaps = rows.iter().filter(|row| matches!(row.change, Change::Swap(..))).collect();
    let intact = format!("Intact: {:.2}% of the images are told wrong.", 100.0 * intact.judgement.error);
    [Some(intact), say("One block dropped", drops), say("Two blocks exchanged", swaps)]
        .into_iter()
        .flatten()
        .collect()
}
