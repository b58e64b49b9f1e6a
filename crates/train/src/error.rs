//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use residual_report::number;

use crate::OptimiserConfig;

/// Error of a training or an evaluation: a variant per cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Number of epochs that is zero.
    #[error("epochs: 0 trains nothing; help: give 1 or more")]
    ZeroEpochs,

    /// Number of steps that is beyond counting.
    #[error("epochs: {epochs} of {steps} steps are more than can be counted; help: give fewer")]
    TooManySteps {
        /// Epochs.
        epochs: usize,
        /// Steps of an epoch.
        steps: u64,
    },

    /// A learning rate that is zero, negative, infinite or not a number.
    #[error("lr: {found} is not a learning rate; help: give a finite number above zero, such as 0.05")]
    LearningRate {
        /// Value that was given.
        found: f64,
    },

    /// Whitening of a stem that cannot begin so.
    #[error("whiten_stem: {reason}; help: leave it out")]
    Whiten {
        /// Obstacle, in words.
        reason: &'static str,
    },

    /// A batch without images.
    #[error("{field}: 0 images make no batch; help: give 1 or more")]
    ZeroBatch {
        /// `batch_size` or `eval_batch_size`.
        field: &'static str,
    },

    /// Shards that a recipe cannot have.
    #[error("{field}: {reason}; help: {help}")]
    Shards {
        /// Field of the recipe.
        field: &'static str,
        /// Obstacle, in words.
        reason: String,
        /// Remedy.
        help: String,
    },

    /// Ranks that do not agree on what they train.
    #[error(
        "rank {rank} has another {what} than rank 0; help: give all ranks the same program, arguments and files"
    )]
    RanksDiffer {
        /// Rank that differs.
        rank: usize,
        /// Thing in which it differs.
        what: &'static str,
    },

    /// An error of another rank.
    #[error("rank {rank}: {message}")]
    OtherRank {
        /// Rank that had it.
        rank: usize,
        /// Its message.
        message: String,
        /// True where an image was the cause, and the weights are as they were before the step.
        is_data: bool,
    },

    /// Ranks that do not answer, or have ended.
    #[error(transparent)]
    Ranks(#[from] residual_ranks::Error),

    /// A momentum with which SGD does not settle.
    #[error("optimiser.momentum: {found} is outside [0, 1)")]
    Momentum {
        /// Value that was given.
        found: f64,
    },

    /// Nesterov's rule has nothing to look ahead along.
    #[error(
        "optimiser.nesterov: needs a momentum above 0; help: raise optimiser.momentum or set nesterov = false"
    )]
    NesterovWithoutMomentum,

    /// A label smoothing that leaves nothing of the label, or more than it.
    #[error("label_smoothing: {found} is outside [0, 1)")]
    LabelSmoothing {
        /// Value that was given.
        found: f64,
    },

    /// Another number out of its range.
    #[error("{field}: {found} is out of range; expected {expected}")]
    OutOfRange {
        /// The field of the recipe.
        field: &'static str,
        /// Value that was given.
        found: f64,
        /// The range, in words.
        expected: &'static str,
    },

    /// Field of a recipe that does not fit the task, or its data.
    #[error("{field}: {reason}")]
    Task {
        /// The field of the recipe.
        field: &'static str,
        /// Reason, as a sentence.
        reason: String,
    },

    /// A seed that a recipe file cannot hold.
    #[error("seed: {found} does not fit a recipe file; help: give at most {}", i64::MAX)]
    Seed {
        /// Value that was given.
        found: u64,
    },

    /// An optimiser that does not exist.
    #[error("optimiser: none is called `{found}`; help: use {}", OptimiserConfig::NAMES.join(", "))]
    UnknownOptimiser {
        /// Value that was given.
        found: String,
    },

    /// A constant of another optimiser.
    #[error(
        "optimiser.{field}: {optimiser} has none; help: leave it out, or choose an optimiser that has it"
    )]
    OptimiserField {
        /// The field.
        field: &'static str,
        /// Name of the optimiser.
        optimiser: &'static str,
    },

    /// A schedule that does not exist.
    #[error(
        "no schedule is called `{found}`; help: use constant, cosine, polynomial, step, plateau or one-cycle"
    )]
    UnknownSchedule {
        /// Value that was given.
        found: String,
    },

    /// The warm-up covers the whole training.
    #[error(
        "warmup: {warmup} steps leave nothing of a training of {total}; help: shorten it or train longer"
    )]
    WarmupTooLong {
        /// Steps of the warm-up.
        warmup: u64,
        /// Steps of the training.
        total: u64,
    },

    /// Both `model` and `network`.
    #[error("the recipe has both `model` and `network`; help: remove one of the two")]
    TwoNetworks,

    /// A name that is no recipe's.
    #[error(
        "recipe: `{name}` is no file, and no recipe has this name (known: {})",
        crate::recipes::named::names()
    )]
    UnknownRecipe {
        /// The name.
        name: String,
    },

    /// A family that does not exist.
    #[error("model: {0}")]
    UnknownModel(#[from] residual_arch::families::UnknownModel),

    /// A network whose shapes do not agree.
    #[error("network: {0}")]
    Network(#[from] residual_arch::shape::ShapeError),

    /// A written-out network for another number of classes than the data have.
    #[error(
        "the network gives {network} classes, the data have {data} ({}); help: set head.classes = {data} in it",
        preview(.names)
    )]
    ClassesDiffer {
        /// Outputs of the network.
        network: usize,
        /// Classes of the data.
        data: usize,
        /// Their names.
        names: Vec<String>,
    },

    /// The preprocessing gives another number of channels than the network takes.
    #[error(
        "preprocess: gives {found} channels, the network takes {expected}; help: give one mean and std a channel"
    )]
    Channels {
        /// Channels of the preprocessing.
        found: usize,
        /// Channels of the network.
        expected: usize,
    },

    /// Data of one class: there is nothing to tell apart.
    #[error("the data have one class, `{class}`; help: a classifier needs two or more")]
    OneClass {
        /// Name of the class.
        class: String,
    },

    /// No images to train on.
    #[error("the data have no training images; help: add a folder for each class to the folder `train`")]
    NothingToTrainOn,

    /// Full batches only, and not one of them.
    #[error(
        "{images} training images do not fill one batch of {batch_size}; help: lower batch_size or set drop_last = false"
    )]
    NoFullBatch {
        /// Images in the training split.
        images: usize,
        /// Images in a batch.
        batch_size: usize,
    },

    /// A layer to be frozen that the network does not have.
    #[error("freeze: {0}")]
    UnknownLayer(#[from] residual_arch::UnknownPlace),

    /// A learning rate of a part that the network does not have.
    #[error("rates: {0}")]
    UnknownRate(#[source] residual_arch::UnknownPlace),

    /// Frozen layers that leave nothing to train.
    #[error("freeze: every layer is frozen; help: leave out what is to be trained, such as head")]
    AllFrozen,

    /// Layers that are to train from some epoch on, and are not frozen before.
    #[error("unfreeze: {layer} is not frozen; help: name it, or what it is part of, in `freeze`")]
    NotFrozen {
        /// The layer.
        layer: String,
    },

    /// An epoch from which layers train that is none of the training's, or its first.
    #[error(
        "unfreeze.epoch: {found} is none of 2 to {epochs}; help: layers that train from the first epoch on are not in `freeze`"
    )]
    UnfreezeEpoch {
        /// Value that was given.
        found: usize,
        /// Epochs of the training.
        epochs: usize,
    },

    /// A recipe that is not TOML, or has a field that recipes do not have.
    #[error("{}: {reason}", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// Place and cause.
        reason: Box<toml::de::Error>,
    },

    /// A recipe that cannot be written as TOML.
    #[error("the recipe cannot be written as TOML: {0}")]
    RecipeText(#[from] toml::ser::Error),

    /// The folder holds a run already.
    #[error("{}: holds a run already; help: continue it with --resume {}, or choose another folder", .0.display(), .0.display())]
    RunExists(PathBuf),

    /// The folder holds no run.
    #[error("{}: holds no run to resume ({missing} is missing)", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
        /// The file that is not there.
        missing: &'static str,
    },

    /// A run that has got on, and whose `last.safetensors` is gone.
    #[error("{}: cannot be resumed: last.safetensors is missing; help: {help}", path.display())]
    NoLast {
        /// The folder.
        path: PathBuf,
        /// Help.
        help: String,
    },

    /// A recipe that says something else than the one that the run began with, of what cannot change.
    #[error(
        "{}: `{field}` is {found}, and was {expected} when this run began; only {allowed} may change; help: put it back, \
         or begin a new run with --recipe", path.display()
    )]
    RecipeChanged {
        /// The recipe.
        path: PathBuf,
        /// The field.
        field: String,
        /// Value of the field now.
        found: String,
        /// Value of the field when the run began.
        expected: String,
        /// Fields that may change.
        allowed: &'static str,
    },

    /// The best network of a finished run, which cannot be made again.
    #[error(
        "{}: is missing, and the run is finished: the network after epoch {epoch} cannot be made again; {} has the one \
         after the last epoch", path.display(), last.display()
    )]
    BestGone {
        /// The file.
        path: PathBuf,
        /// The epoch after which the network was the best.
        epoch: usize,
        /// Checkpoint that there is.
        last: PathBuf,
    },

    /// The images of a run are not where they were.
    #[error("{}: the images of this run are not there any more; help: say where they are with --data", .0.display())]
    DataGone(PathBuf),

    /// Images that a program gave when the run began, and has not given again.
    #[error(
        "the recipe is for images that a program gave (data.from_program); help: give them again with \
         Training::images, or set data.path and remove data.from_program to begin a run on other images"
    )]
    ImagesNotGiven,

    /// Images to train on and images to evaluate on that do not have the same classes.
    #[error(
        "the images to train on have the classes {}, those to evaluate on {}; help: give both the same list, in the \
         same order", preview(.train), preview(.evaluation)
    )]
    SplitsDiffer {
        /// Classes of the images to train on.
        train: Vec<String>,
        /// Classes of the images to evaluate on.
        evaluation: Vec<String>,
    },

    /// Another process trains in this folder.
    #[error("{}: another process is training in this folder", .0.display())]
    Locked(PathBuf),

    /// The run's checkpoint is damaged or of another training.
    #[error("{}: cannot be resumed: {reason}; help: {help}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Reason.
        reason: String,
        /// Help.
        help: String,
    },

    /// The data are not those that the run began with.
    #[error(
        "the data have {found} when this run began; help: restore them, or begin a new run with --init RUN/best.safetensors"
    )]
    DataChanged {
        /// Difference.
        found: String,
    },

    /// An image is not the one that the run began with.
    #[error("{file}: {how}; help: restore it, or begin a new run with --init RUN/best.safetensors")]
    ImageChanged {
        /// The image.
        file: String,
        /// Difference.
        how: String,
    },

    /// No images to evaluate on.
    #[error(
        "{}: there is nothing to evaluate on: the data have images of `train` alone; help: add a folder `val` or `test`, or \
         give the folder `train` itself, of which a part of each class is held out", .0.display()
    )]
    NothingHeldOut(PathBuf),

    /// A training that does not fit into memory.
    #[error("{what}: {cause}; help: {help}")]
    Memory {
        /// Part of the training that needs it.
        what: String,
        /// Memory that is needed, and memory that there is.
        cause: residual_files::Error,
        /// Help.
        help: &'static str,
    },

    /// The last batch of an epoch is one for which a batch norm is not defined.
    #[error(
        "{cause}, or set drop_last = true, or choose a batch size that does not leave {images} of the images"
    )]
    LastBatch {
        /// Images in it.
        images: usize,
        /// The batch norm.
        cause: Box<residual_nn::Error>,
    },

    /// The loss is infinite or not a number.
    #[error(
        "the training diverged: loss {loss} at step {step} (epoch {epoch}, learning rate {}){}, the checkpoints from before \
         it are kept; help: lower the learning rate (--lr) or add a warm-up",
        number(*.lr, 3), first_at(.layer.as_deref())
    )]
    Diverged {
        /// Step, counted from 0.
        step: u64,
        /// Epoch, counted from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
        /// The learning rate that led there.
        lr: f64,
        /// Path of the first layer whose output was not finite; `None` where the outputs of all were, or where an
        /// evaluation diverged.
        layer: Option<String>,
    },

    /// A gradient is infinite or not a number, and the loss is finite.
    #[error(
        "the training diverged: the gradient of `{parameter}` is not finite at step {step} (epoch {epoch}, learning rate \
         {}), the checkpoints from before it are kept; help: lower the learning rate (--lr) or add a warm-up",
        number(*.lr, 3)
    )]
    GradientNotFinite {
        /// Step, counted from 0.
        step: u64,
        /// Epoch, counted from 1.
        epoch: usize,
        /// The parameter: the first that the backward pass came to, from the head down to the stem.
        parameter: String,
        /// The learning rate that led there.
        lr: f64,
    },

    /// A weight is infinite or not a number.
    #[error(
        "the training diverged: `{tensor}` is not finite after {step} steps, the checkpoints from before it are kept; help: \
         lower the learning rate (--lr) or add a warm-up"
    )]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Steps done.
        step: u64,
    },

    /// A line of `metrics.jsonl` that is none.
    #[error("{}, line {line}: {reason}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Reason.
        reason: serde_json::Error,
    },

    /// Images that the network cannot take.
    #[error(
        "images of {input:?} do not fit the network: {}: {}; help: give the preprocessing a resize or a crop",
        cause.place(), cause.found()
    )]
    ImageSize {
        /// `[channels, height, width]` of the images.
        input: [usize; 3],
        /// Layer at which they do not fit.
        cause: Box<residual_arch::shape::ShapeError>,
    },

    /// A size of progressive resizing that the network cannot take.
    #[error("resize: images of {}x{} do not fit the network: {cause}; help: give a larger size", .size[0], .size[1])]
    Resized {
        /// `[height, width]` of the images.
        size: [usize; 2],
        /// Layer at which they do not fit.
        cause: Box<residual_arch::shape::ShapeError>,
    },

    /// Seeds of several runs that cannot be, or a folder that is not theirs.
    #[error("{}: {reason}", folder.display())]
    Seeds {
        /// The folder.
        folder: PathBuf,
        /// Reason, and help.
        reason: String,
    },

    /// A run with one of several seeds was stopped.
    #[error("stopped in the run with seed {seed}, everything is saved; help: run it again to go on")]
    Stopped {
        /// Seed of the run.
        seed: u64,
    },

    /// A label that the network has no output for.
    #[error(
        "label {label} is beyond the network's {classes} classes; help: give the data that it was trained on"
    )]
    LabelBeyond {
        /// The label, counted from 0.
        label: usize,
        /// Outputs of the network.
        classes: usize,
    },

    /// Weights to begin with that are not the network's.
    #[error("{}: cannot begin `{model}`: {cause}", path.display())]
    Init {
        /// The file.
        path: PathBuf,
        /// The network.
        model: String,
        /// Cause.
        cause: Box<Error>,
    },

    /// A teacher that is another one than at the beginning of a run.
    #[error(
        "{}: another network than the one that taught this run so far; help: put that file back, or begin a new run",
        path.display()
    )]
    TeacherChanged {
        /// File of the teacher.
        path: PathBuf,
    },

    /// Features of a network's trunk that are infinite or not a number.
    #[error(
        "the network's features of these images are not finite: no head can be fitted on them; help: `residual inspect` shows \
         the weights"
    )]
    Features,

    /// Images for an evaluation are missing.
    #[error("no images to evaluate on")]
    NothingToEvaluate,

    /// The operating system refused.
    #[error("{}: cannot {doing}: {reason}", path.display())]
    Io {
        /// Operation that failed.
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        reason: io::Error,
    },

    /// Images.
    #[error(transparent)]
    Data(#[from] residual_data::Error),

    /// Weights and checkpoints.
    #[error(transparent)]
    Weights(#[from] residual_weights::Error),

    /// The engine that evaluates.
    #[error(transparent)]
    Engine(#[from] residual_engine::Error),

    /// From a kernel, or from the threads that run them.
    #[error(transparent)]
    Kernels(#[from] residual_kernels::Error),

    /// The network's modules.
    #[error(transparent)]
    Nn(#[from] residual_nn::Error),
}

impl Error {
    /// Error of the operating system for `map_err`, met while `doing` something with `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |reason| Error::Io { doing, path: path.to_owned(), reason }
    }
}

/// Place where a forward pass left the finite numbers, in words.
fn first_at(layer: Option<&str>) -> String {
    layer.map(|layer| format!(", first in the output of `{layer}`")).unwrap_or_default()
}

fn preview(names: &[String]) -> String {
    let shown = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 4 { shown + ", ..." } else { shown }
}
