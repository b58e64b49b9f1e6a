//! Small images that colour tells apart, and a network small enough to train on them in a test.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use residual_arch::{BlockSpec, HeadSpec, NetSpec, Preprocess, StageSpec, StemSpec, families};
use residual_data::Augment;
use residual_train::{Metrics, Outcome, Recipe, Trainer, Training, Warmup};
use residual_weights::Checkpoint;

/// Colours of the classes.
const COLOURS: [(&str, [u8; 3]); 3] =
    [("azure", [60, 120, 220]), ("brick", [190, 80, 60]), ("clay", [150, 150, 90])];

/// `train` and `val` with this many images a class, `side` pixels wide: the class's colour, a square of
/// another colour somewhere on it, and noise.
pub(crate) fn images(root: &Path, classes: usize, train: usize, val: usize, side: u32) {
    for (split, count) in [("train", train), ("val", val)] {
        for (class, (name, colour)) in COLOURS.iter().enumerate().take(classes) {
            let folder = root.join(split).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for index in 0..count {
                let number = (class * 1000 + index) as u32 + if split == "val" { 500 } else { 0 };
                picture(*colour, number, side).save(folder.join(format!("{index:02}.png"))).unwrap();
            }
        }
    }
}

fn picture(colour: [u8; 3], number: u32, side: u32) -> image::RgbImage {
    let mut state = number.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut draw = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let (left, top) = (draw(side.max(4) - 2), draw(side.max(4) - 2));
    image::RgbImage::from_fn(side, side, |x, y| {
        let inside = (left..left + 3).contains(&x) && (top..top + 3).contains(&y);
        image::Rgb(colour.map(|value| {
            let noisy = u32::from(value) / 2 + draw(60) + if inside { 60 } else { 0 };
            noisy.min(255) as u8
        }))
    })
}

/// Two stages of one block on 8x8 images, with dropout and stochastic depth, so that all that is random is
/// there.
pub(crate) fn network(classes: usize) -> NetSpec {
    let stage = |block| StageSpec::new(vec![block]);
    families::family("small").unwrap().with(|net| {
        net.name = "toy".to_owned();
        net.input = [3, 8, 8];
        net.stem = StemSpec::cifar(4);
        net.stages = vec![stage(BlockSpec::basic(4)), stage(BlockSpec::projection(8, 2))];
        net.head = HeadSpec::new(classes).with(|head| head.dropout = 0.1);
        net.stochastic_depth = 0.2;
        net.preprocess = Preprocess::normalise_only();
    })
}

/// Three epochs of four steps on 33 images, the last batch not full.
pub(crate) fn recipe(data: &Path) -> Recipe {
    let mut recipe = Recipe::default().with(|recipe| {
        recipe.network = Some(network(3));
        recipe.epochs = 3;
        recipe.batch_size = Some(10);
        recipe.lr = Some(0.05);
        recipe.drop_last = Some(false);
        recipe.warmup = Warmup::Steps(2);
        recipe.label_smoothing = 0.1;
        recipe.augment =
            Some(vec![Augment::PadCrop { padding: 1 }, Augment::HorizontalFlip { probability: 0.5 }]);
        recipe.seed = 11;
        recipe.threads = Some(2);
    });
    recipe.data.path = data.to_owned();
    recipe
}

/// The images that [`recipe`] is made for.
pub(crate) fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), 3, 11, 4, 8);
    folder
}

/// Trains in `out` from the beginning to the end.
pub(crate) fn train(recipe: &Recipe, out: &Path) {
    finish(Training::new(recipe).begin(out).unwrap());
}

/// Trains to the end.
pub(crate) fn finish(mut trainer: Trainer) -> f64 {
    match trainer.run().unwrap() {
        Outcome::Finished { best, .. } => best.top1,
        other => panic!("{other:?}"),
    }
}

/// Trains until `stop_at` steps are done, which are fewer than all, and saves.
pub(crate) fn interrupt(mut trainer: Trainer, stop_at: u64) {
    while trainer.step().unwrap().unwrap().step < stop_at {}
    trainer.save().unwrap();
}

/// All that a finished training left behind, times excepted.
#[derive(Debug, PartialEq)]
pub(crate) struct Result {
    /// Hash of the bits of every tensor, optimiser's included.
    pub(crate) last: BTreeMap<String, u64>,
    /// The same of the best network.
    pub(crate) best: BTreeMap<String, u64>,
    /// The lines of `metrics.jsonl`.
    pub(crate) metrics: Vec<Metrics>,
}

impl Result {
    pub(crate) fn of(run: &Path) -> Self {
        let timeless =
            |line: Metrics| line.with(|metrics| (metrics.images_per_s, metrics.seconds) = (0.0, 0.0));
        let metrics = residual_train::read_metrics(run.join("metrics.jsonl")).unwrap();
        Self {
            last: hashes(&run.join("last.safetensors")),
            best: hashes(&run.join("best.safetensors")),
            metrics: metrics.into_iter().map(timeless).collect(),
        }
    }
}

/// Hash of the bits of every tensor of a checkpoint.
pub(crate) fn hashes(path: &Path) -> BTreeMap<String, u64> {
    let checkpoint = Checkpoint::read(path).unwrap();
    let named = |prefix: &'static str, state: residual_weights::StateDict| {
        state.into_tensors().map(move |(name, tensor)| {
            let mut hash = DefaultHasher::new();
            tensor.data().iter().for_each(|value| value.to_bits().hash(&mut hash));
            (format!("{prefix}{name}"), hash.finish())
        })
    };
    named("", checkpoint.tensors).chain(named("optimiser.", checkpoint.optimiser)).collect()
}
