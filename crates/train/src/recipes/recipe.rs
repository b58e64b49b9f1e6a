//! Recipe: all that is needed to repeat a training.

use std::collections::BTreeMap;
use std::path::PathBuf;

use residual_arch::{NetSpec, Preprocess, TaskKind};
use residual_data::{Augment, CacheLimit, Columns, HELD_OUT, Mix};
use residual_kernels::Pool;
use serde::{Deserialize, Serialize};

use crate::recipes::batches::{BATCH, default_rate};
use crate::recipes::shards::BatchNormOver;
use crate::{
    ClassWeights, Clip, EarlyStop, Ema, Error, LossRecipe, OptimiserConfig, Origin, PlaceRates, Resizing,
    Sam, Sampling, Schedule, Teacher, Unfreeze, Warmup,
};

/// Recipe of a training as data, read from and written to TOML. Every field has a default; an unknown field is an
/// error.
///
/// ```toml
/// model = "small"
/// epochs = 20
/// batch_size = 64
/// lr = 0.05
/// schedule = { kind = "one_cycle", pct_start = 0.3 }
/// label_smoothing = 0.1
/// augment = [{ kind = "pad_crop", padding = 4 }, { kind = "horizontal_flip" }]
/// seed = 7
///
/// [data]
/// path = "flowers"
///
/// [optimiser]
/// momentum = 0.9
/// nesterov = true
/// weight_decay = 5e-4
/// ```
///
/// A recipe as a user writes it leaves open what depends on the network and the data (the fields that are
/// `None`). [`Recipe::settle`] decides it; the recipe in a run's folder is settled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// Name of a family member ([`residual_arch::families`]), whose number of classes becomes the data's.
    /// Default `small`, where `network` is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A network written out, in place of `model`. Its number of classes must be the data's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetSpec>,
    /// Task: what is said of an image. Default: the network's, and else single label.
    #[serde(skip_serializing_if = "TaskKind::is_single_label")]
    pub task: TaskKind,
    /// Images to train on and to evaluate on.
    pub data: DataRecipe,
    /// Weights to begin with, in place of random ones. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Patch whitening: a first convolution that begins with the eigenvectors of the patches of the training images, in
    /// place of random weights (Coates and Ng 2012, section 3.1). Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub whiten_stem: bool,
    /// Layers that stay as they are, running statistics included: `stem`, `stage1`, `stage2.block0`, `head`.
    /// Default none.
    pub freeze: Vec<String>,
    /// Layers of `freeze` that train from some epoch on. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unfreeze: Vec<Unfreeze>,
    /// True where batch norms normalise by the running statistics that they began with, in training too; all parameters
    /// are trained. For few images or small batches that begin with `init`. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub freeze_statistics: bool,
    /// True where the network is evaluated before the first step as well, as epoch 0: where no epoch is better, it is
    /// the best that it began with. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub evaluate_first: bool,
    /// Number of epochs: passes over the training images; 0 with `evaluate_first` alone. Default 20.
    pub epochs: usize,
    /// Batch size: images in a step, or in each of the batches that `accumulate` makes a step of. Default: the greatest
    /// power of two of which an epoch has twenty steps, from 8 to 64.
    /// Fewer steps an epoch leave a small data set undertrained; below 8 images batch statistics say little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Gradient accumulation: number of batches of `batch_size` whose mean gradient makes a step, so that the step is
    /// that of a batch so many times as large in the memory of one. Default 1.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Shards of a step's batch: parts whose gradients are computed apart and added in a fixed order, which several
    /// processes share ([`Training::ranks`](crate::Training::ranks)). Batch norms see a shard at a time, and its images
    /// are mixed with one another. The weights depend on this number, and never on that of the processes. Default 1.
    #[serde(skip_serializing_if = "is_one")]
    pub shards: usize,
    /// Images that a batch norm takes its statistics of, where there are several shards. Default `shard`.
    #[serde(skip_serializing_if = "BatchNormOver::is_shard")]
    pub batch_norm: BatchNormOver,
    /// Batch size of evaluations. Default `batch_size`, at most 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_batch_size: Option<usize>,
    /// True where the images that do not fill a last batch are left out of an epoch (others in each, since the
    /// order is drawn anew). Default: where they are fewer than four and than half a batch, and where it is a
    /// single one. Batch statistics of few images say little, of a single one on a 1x1 map nothing at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_last: Option<bool>,
    /// Learning rate: the greatest of the schedule. Default for 64 images in a step or more: 0.05 with SGD, in
    /// proportion for fewer (Goyal et al. 2017, section 2.1); 1e-3 with AdamW, 5e-3 with LAMB, 3e-3 with RMSProp, 1e-4
    /// with Lion, by the root of the share for fewer. A tenth of that with `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// Layer-wise rate decay: factor of the learning rate from each part of the network to the one before, from the
    /// head (1) over the blocks to the stem, as [`PlaceRates`] has it. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<f64>,
    /// Learning rate multipliers by part, named as in `freeze`, in place of what `layer_decay` gives them:
    /// `rates = { stem = 0.1, stage1 = 0.2 }`. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f64>,
    /// Schedule of the learning rate. Default `one_cycle`.
    pub schedule: Schedule,
    /// Linear rise in front of the schedule. Default none.
    pub warmup: Warmup,
    /// Optimiser. Default SGD.
    pub optimiser: OptimiserConfig,
    /// Gradient clipping. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// Sharpness-aware minimisation. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sam: Option<Sam>,
    /// Exponential moving average of the weights. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<Ema>,
    /// Early stopping: the end of the training once its metric has not improved for some epochs. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<EarlyStop>,
    /// Label smoothing: `s` in the target distribution `(1 - s) onehot + s / K` (Szegedy et al. 2015, section 7).
    /// Default 0.
    pub label_smoothing: f64,
    /// Stochastic depth: probability of dropping the last block's branch, in place of the network's own
    /// ([`NetSpec::stochastic_depth`]). Default: the network's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
    /// Dropout: probability of dropping a feature before the last layer, in place of the network's own. Default: the
    /// network's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// DropBlock ([`residual_nn::DropBlock`]): probability at the end of the training of dropping squares of the maps
    /// of the last two stages, rising linearly from 0. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_block: Option<f64>,
    /// Loss. Default: the task's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossRecipe>,
    /// Weights of the classes in the loss. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// Sampling of the training images. Default: each once an epoch.
    #[serde(skip_serializing_if = "Sampling::is_shuffled")]
    pub sampling: Sampling,
    /// Teacher whose probabilities are learnt as well. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// Augmentations of the training images. Default, by the network's input: up to 64 pixels wide, pad by
    /// an eighth (4 of 32) and crop, then flip (He et al. 2015, section 4.2); above, random resized crop to
    /// the input's size, then flip (Szegedy et al. 2014, section 6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<Vec<Augment>>,
    /// Repeated augmentation (Hoffer et al. 2020): each image comes so many times after one another, augmented anew; an
    /// epoch has as many steps as ever, and as many times fewer images. Default 1.
    #[serde(skip_serializing_if = "is_one")]
    pub augment_repeats: usize,
    /// Progressive resizing: smaller training images in the first epochs. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resizing>,
    /// Mixing of the images of a batch, and of their labels: mixup and CutMix. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// Preprocessing of all images. Default: the network's own; where that neither resizes nor crops, the
    /// shorter side is brought to the input's size and the centre cut out, which leaves images of the right
    /// size alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// Seed of everything random: weights, order, augmentation, stochastic depth, dropout. Default 0.
    pub seed: u64,
    /// Number of threads for computing and as many for decoding, at most [`Recipe::MOST_THREADS`]. Default: one a core.
    /// Does not change the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Low memory: keep the blocks' inputs alone between the forward and the backward pass, and compute what is inside
    /// them again: networks of any depth fit. Default false. Does not change the result.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub low_memory: bool,
    /// Interval of checkpoints: save `last.safetensors` every so many steps besides after every epoch, so that a killed
    /// process loses less. Default: after every epoch alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every_steps: Option<u64>,
    /// Origin of the recipe, where it is one with a name. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Data of a recipe: the path of the images, and the split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DataRecipe {
    /// Folder, archive, list, table or shards, as [`residual_data`] reads them. Default `sample`, the name by which the
    /// command line knows its embedded images.
    pub path: PathBuf,
    /// True where a program gave the images ([`Training::images`](crate::Training::images)): they are at no path, and
    /// who resumes the run gives them again. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_program: bool,
    /// Fraction of each class held out for validation, where the data are one folder without splits. Default
    /// [`HELD_OUT`].
    pub validation: f64,
    /// Seed of that split, apart from the training's so that runs with several seeds share one. Default 0.
    pub split_seed: u64,
    /// Leniency: count and leave out images that cannot be decoded, in place of stopping at the first. Default false.
    pub skip_bad: bool,
    /// Columns of a list or table of images. Default: by their usual names.
    #[serde(skip_serializing_if = "Columns::is_default")]
    pub columns: Columns,
    /// Folder that the paths of a list count from. Default: the list's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Memory for decoded images, kept from one epoch to the next: `auto`, `off` or a size (`2GB`). Default `auto`: all
    /// images, where they fit in a quarter of the free memory. Does not change the result.
    #[serde(skip_serializing_if = "CacheLimit::is_auto")]
    pub cache: CacheLimit,
}

impl DataRecipe {
    /// Changes fields.
    ///
    /// ```
    /// use residual_train::DataRecipe;
    /// let data = DataRecipe::default().with(|data| data.path = "flowers".into());
    /// assert_eq!(data.split_seed, 0);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }
}

impl Default for DataRecipe {
    fn default() -> Self {
        Self {
            path: "sample".into(),
            from_program: false,
            validation: HELD_OUT,
            split_seed: 0,
            skip_bad: false,
            columns: Columns::default(),
            root: None,
            cache: CacheLimit::Auto,
        }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            model: None,
            network: None,
            task: TaskKind::SingleLabel,
            data: DataRecipe::default(),
            init: None,
            whiten_stem: false,
            freeze: Vec::new(),
            unfreeze: Vec::new(),
            freeze_statistics: false,
            evaluate_first: false,
            epochs: 20,
            batch_size: None,
            accumulate: 1,
            shards: 1,
            batch_norm: BatchNormOver::Shard,
            eval_batch_size: None,
            drop_last: None,
            lr: None,
            layer_decay: None,
            rates: BTreeMap::new(),
            schedule: Schedule::one_cycle(),
            warmup: Warmup::Steps(0),
            optimiser: OptimiserConfig::default(),
            clip: None,
            sam: None,
            ema: None,
            early_stop: None,
            label_smoothing: 0.0,
            drop_path: None,
            dropout: None,
            drop_block: None,
            loss: None,
            class_weights: None,
            sampling: Sampling::Shuffled,
            teacher: None,
            augment: None,
            augment_repeats: 1,
            resize: None,
            mix: None,
            preprocess: None,
            seed: 0,
            threads: None,
            low_memory: false,
            checkpoint_every_steps: None,
            origin: None,
        }
    }
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

impl Recipe {
    /// Limit on the number of threads: more are a slip of the finger.
    pub const MOST_THREADS: usize = 1024;

    /// Limit on the number of batches in a step.
    pub const MOST_ACCUMULATED: usize = 1 << 16;

    /// Changes fields.
    ///
    /// ```
    /// use residual_train::Recipe;
    /// let recipe = Recipe::from("resnet18").with(|recipe| recipe.epochs = 90);
    /// assert_eq!(recipe.epochs, 90);
    /// ```
    pub fn with<R>(mut self, change: impl FnOnce(&mut Self) -> R) -> Self {
        change(&mut self);
        self
    }

    /// Number of threads that compute, and as many that decode: more than there are cores are no faster, and each
    /// that decodes holds batches.
    pub fn workers(&self) -> usize {
        Pool::helpful_threads(self.threads.unwrap_or(usize::MAX))
    }

    /// Number of images in a step: of the batches that are accumulated, as given or settled, and 64 each where neither.
    pub fn images_per_step(&self) -> usize {
        self.batch_size.unwrap_or(BATCH).saturating_mul(self.accumulate)
    }

    /// Number of images that go through the network at a time: the batch size, or the images of a shard.
    pub fn images_at_a_time(&self) -> usize {
        self.batch_size.unwrap_or(BATCH).div_ceil(self.shards.max(1))
    }

    /// Greatest learning rate: as given or settled, and else the default for the images in a step.
    pub fn rate(&self) -> f64 {
        self.lr.unwrap_or_else(|| default_rate(&self.optimiser, self.images_per_step(), self.init.is_some()))
    }

    /// TOML text of the recipe.
    ///
    /// # Errors
    /// [`Error::RecipeText`] for what TOML cannot hold, such as a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, Error> {
        Ok(toml::to_string(self)?)
    }

    /// Checks all that can be checked without data.
    ///
    /// # Errors
    /// One variant a cause: [`Error::ZeroEpochs`], [`Error::ZeroBatch`], [`Error::LearningRate`],
    /// [`Error::Momentum`], [`Error::NesterovWithoutMomentum`], [`Error::LabelSmoothing`],
    /// [`Error::OutOfRange`], [`Error::Task`], [`Error::Seed`], [`Error::TwoNetworks`]; [`Error::Data`] for an augmentation.
    pub fn validate(&self) -> Result<(), Error> {
        if self.epochs == 0 && !self.evaluate_first {
            return Err(Error::ZeroEpochs);
        }
        if self.batch_size == Some(0) {
            return Err(Error::ZeroBatch { field: "batch_size" });
        }
        if self.eval_batch_size == Some(0) {
            return Err(Error::ZeroBatch { field: "eval_batch_size" });
        }
        if let Some(found) = self.lr.filter(|lr| !(lr.is_finite() && *lr > 0.0)) {
            return Err(Error::LearningRate { found });
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(Error::LabelSmoothing { found: self.label_smoothing });
        }
        if let Some(found) =
            [self.seed, self.data.split_seed].into_iter().find(|&seed| seed > i64::MAX as u64)
        {
            return Err(Error::Seed { found });
        }
        self.validate_task()?;
        self.validate_counts()?;
        self.schedule.validate()?;
        self.optimiser.validate()?;
        PlaceRates::validate(self)?;
        self.validate_dropping()?;
        self.clip.iter().try_for_each(Clip::validate)?;
        self.sam.iter().try_for_each(Sam::validate)?;
        self.ema.iter().try_for_each(Ema::validate)?;
        self.early_stop.iter().try_for_each(EarlyStop::validate)?;
        if self.model.is_some() && self.network.is_some() {
            return Err(Error::TwoNetworks);
        }
        self.augment.iter().flatten().try_for_each(Augment::check)?;
        self.mix.iter().try_for_each(Mix::check)?;
        Ok(())
    }

    fn validate_counts(&self) -> Result<(), Error> {
        let out = |field, found: f64, expected| Err(Error::OutOfRange { field, found, expected });
        let validation = self.data.validation;
        if !(validation > 0.0 && validation < 1.0) {
            return out("data.validation", validation, "between 0 and 1");
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=Self::MOST_THREADS).contains(threads)) {
            return out("threads", threads as f64, "1 to 1024");
        }
        if !(1..=Self::MOST_ACCUMULATED).contains(&self.accumulate) {
            return out("accumulate", self.accumulate as f64, "1 to 65536");
        }
        self.validate_shards()?;
        if self.augment_repeats == 0 {
            return out("augment_repeats", 0.0, "1 or more");
        }
        if self.checkpoint_every_steps == Some(0) {
            return out("checkpoint_every_steps", 0.0, "1 or more");
        }
        match self.warmup {
            Warmup::Epochs(found) if !(found.is_finite() && found >= 0.0) => {
                out("warmup.epochs", found, "zero or more")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rule;

    fn read(text: &str) -> Result<Recipe, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(read("").unwrap(), Recipe::default());
        assert!(Recipe::default().validate().is_ok());
    }

    #[test]
    fn a_recipe_comes_back_as_it_was_written() {
        let recipe = Recipe {
            network: Some(residual_arch::families::family("small").unwrap()),
            init: Some("weights.safetensors".into()),
            freeze: vec!["stem".into(), "stage1.block0".into()],
            unfreeze: vec![Unfreeze::new(2, ["stem"])],
            freeze_statistics: true,
            evaluate_first: true,
            eval_batch_size: Some(100),
            lr: Some(0.1 + 0.2),
            layer_decay: Some(0.75),
            rates: [("stage1.block0".to_owned(), 0.5)].into(),
            schedule: Schedule::Step { milestones: vec![3, 5], gamma: 0.3 },
            warmup: Warmup::Epochs(0.5),
            optimiser: OptimiserConfig::lion(),
            clip: Some(Clip::Adaptive(0.01)),
            accumulate: 3,
            drop_path: Some(0.1),
            dropout: Some(0.2),
            drop_block: Some(0.3),
            sam: Some(Sam::new(0.1).with(|sam| sam.adaptive = true)),
            ema: Some(Ema::new(0.99)),
            early_stop: Some(EarlyStop::new(4)),
            augment: Some(vec![Augment::PadCrop { padding: 2 }]),
            augment_repeats: 3,
            resize: Some(Resizing::Steps(vec![crate::SizedEpochs::new(2, 24)])),
            mix: Some(Mix::default().with(|mix| (mix.mixup, mix.cutmix) = (0.2, 1.0))),
            preprocess: Some(Preprocess::imagenet(40, 32)),
            threads: Some(3),
            checkpoint_every_steps: Some(7),
            ..Recipe::default()
        };
        assert_eq!(read(&recipe.to_toml().unwrap()).unwrap(), recipe);
    }

    #[test]
    fn the_documented_recipe_reads() {
        let recipe = read(
            "model = \"small\"\nschedule = { kind = \"one_cycle\", pct_start = 0.3 }\nwarmup = { epochs = 2 }\n\
             augment = [{ kind = \"pad_crop\", padding = 4 }, { kind = \"horizontal_flip\" }]\n\
             [data]\npath = \"flowers\"\n[optimiser]\nweight_decay = 5e-4\n[mix]\nmixup = 0.2\ncutmix = 1.0",
        )
        .unwrap();
        assert_eq!(recipe.schedule, Schedule::one_cycle());
        assert_eq!(recipe.warmup, Warmup::Epochs(2.0));
        assert_eq!(recipe.data.path, std::path::Path::new("flowers"));
        assert_eq!(recipe.mix.map(|mix| (mix.mixup, mix.cutmix, mix.switch)), Some((0.2, 1.0, 0.5)));
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["epoch = 3", "[data]\nfolder = \"x\"", "schedule = { kind = \"cosine\", flor = 0.1 }"] {
            let path = folder.path().join("mine.toml");
            std::fs::write(&path, text).unwrap();
            let error = Recipe::read(&path).unwrap_err();
            assert!(matches!(error, Error::Recipe { .. }), "{error}");
            assert!(error.to_string().contains("mine.toml"), "{error}");
        }
        let error = Recipe::read(folder.path().join("none.toml")).unwrap_err();
        assert!(matches!(error, Error::Io { doing: "read", .. }), "{error}");
    }

    /// The error of the default recipe after `change`.
    fn refused(change: impl FnOnce(&mut Recipe)) -> Error {
        let mut recipe = Recipe::default();
        change(&mut recipe);
        recipe.validate().unwrap_err()
    }

    #[test]
    fn wrong_values_are_refused() {
        assert!(matches!(refused(|r| r.epochs = 0), Error::ZeroEpochs));
        assert!(matches!(refused(|r| r.batch_size = Some(0)), Error::ZeroBatch { field: "batch_size" }));
        let error = refused(|r| r.eval_batch_size = Some(0));
        assert!(matches!(error, Error::ZeroBatch { field: "eval_batch_size" }));
        for lr in [0.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(refused(|r| r.lr = Some(lr)), Error::LearningRate { .. }));
        }
        for smoothing in [-0.1, 1.0, f64::NAN] {
            assert!(matches!(refused(|r| r.label_smoothing = smoothing), Error::LabelSmoothing { .. }));
        }
        for momentum in [-0.1, 1.0, 1.5, f64::NAN] {
            assert!(matches!(
                refused(|r| r.optimiser.rule = Rule::Sgd { momentum, nesterov: true }),
                Error::Momentum { .. }
            ));
        }
        assert!(matches!(refused(|r| r.seed = u64::MAX), Error::Seed { .. }));
        for (change, name) in [
            ((|r| r.optimiser.weight_decay = -1.0) as fn(&mut Recipe), "optimiser.weight_decay"),
            (|r| r.data.validation = 0.0, "data.validation"),
            (|r| r.data.validation = 1.0, "data.validation"),
            (|r| r.threads = Some(0), "threads"),
            (|r| r.drop_path = Some(1.0), "drop_path"),
            (|r| r.dropout = Some(-0.1), "dropout"),
            (|r| r.drop_block = Some(f64::NAN), "drop_block"),
            (|r| r.accumulate = 0, "accumulate"),
            (|r| r.accumulate = 1 << 17, "accumulate"),
            (|r| r.threads = Some(1025), "threads"),
            (|r| r.threads = Some(usize::MAX >> 1), "threads"),
            (|r| r.checkpoint_every_steps = Some(0), "checkpoint_every_steps"),
            (|r| r.warmup = Warmup::Epochs(-1.0), "warmup.epochs"),
            (|r| r.schedule = Schedule::Cosine { floor: -1.0 }, "schedule.floor"),
        ] {
            let error = refused(change);
            assert!(matches!(error, Error::OutOfRange { field, .. } if field == name), "{error}");
        }
        let error = refused(|r| r.augment = Some(vec![Augment::HorizontalFlip { probability: 2.0 }]));
        assert!(matches!(error, Error::Data(_)), "{error}");
        let error = refused(|r| {
            r.model = Some("small".into());
            r.network = Some(residual_arch::families::family("small").unwrap());
        });
        assert!(matches!(error, Error::TwoNetworks), "{error}");
    }
}
