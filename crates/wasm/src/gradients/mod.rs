//! Gradient norms by block, of networks at initialisation.
//!
//! Forward and backward passes in plain loops, for networks of a size that a page waits for. Values are initialised as
//! `residual train` does, from the layers' paths.

mod conv;
mod error;
mod init;
mod norm;
mod pass;
mod pool;

use residual_arch::{LayerPath, NetSpec, Place, Shortcut};

pub use error::Error;

/// The most multiply-accumulates of one image: four networks with four images take a page some seconds.
pub const MOST_MACS: u64 = 150_000_000;

/// Images, `[batch][channels][height][width]`, normalised, and their classes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Values.
    pub values: Vec<f32>,
    /// Class of each image.
    pub classes: Vec<usize>,
}

/// Gradient norms of a network.
#[derive(Clone, Debug)]
pub struct Norms {
    /// Blocks, first to last, and `|dL/dy|` at the output of each: the Euclidean norm over the batch.
    pub blocks: Vec<(String, f64)>,
}

/// Gradient norms of the mean cross-entropy of `batch` at the output of every block of `spec`, whose weights are those of
/// `seed`; without norms, normalisations are left out.
///
/// # Errors
/// [`Error::Network`] where it cannot be built, [`Error::Large`] for more than [`MOST_MACS`], [`Error::Layer`] for layers
/// that have no backward pass here, [`Error::Batch`] for a batch that does not fit.
pub fn gradient_norms(spec: &NetSpec, batch: &Batch, seed: u64, with_norms: bool) -> Result<Norms, Error> {
    let network = spec.check(spec.input)?;
    let macs: u64 = network.layers().iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.macs()));
    if macs > MOST_MACS {
        return Err(Error::Large { macs });
    }
    let [channels, height, width] = spec.input;
    let images = batch.classes.len();
    let fits = images > 0
        && batch.values.len() == images * channels * height * width
        && batch.classes.iter().all(|&class| class < spec.head.classes);
    if !fits {
        return Err(Error::Batch);
    }
    let layers = network.layers();
    let gradients = pass::gradients(layers, batch, seed, with_norms)?;
    let mut blocks: Vec<(String, f64)> = Vec::new();
    for (layer, gradient) in layers.iter().zip(&gradients) {
        let Some(Place::Block(path)) = layer.path().place() else { continue };
        let norm = gradient.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let name = Place::Block(path).to_string();
        // Layers are in order: the last of a block gives its output.
        match blocks.last_mut().filter(|(last, _)| *last == name) {
            Some(last) => last.1 = norm,
            None => blocks.push((name, norm)),
        }
    }
    Ok(Norms { blocks })
}

/// The network without shortcuts.
pub fn plain_twin(spec: &NetSpec) -> NetSpec {
    spec.clone().with(|net| {
        let blocks = net.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        blocks.for_each(|block| block.shortcut = Shortcut::None);
    })
}

/// Path of a layer that has no backward pass here.
pub(crate) fn unsupported(path: LayerPath) -> Error {
    Error::Layer { path: path.to_string() }
}
