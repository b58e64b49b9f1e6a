//! Everything that can be wrong with data.

mod sorting;
mod texts;

use std::io;
use std::path::PathBuf;

use residual_files::escaped;

use self::texts::{help_for, list, unknown_classes};
use crate::Split;
use crate::note::listed;

/// Error of this crate: what is wrong, where, and the help where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The path leads nowhere.
    #[error("{}: no such file or folder", escaped(path))]
    NotFound {
        /// Path as it was given.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", escaped(path))]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Cause, from the operating system.
        source: io::Error,
    },
    /// A FIFO, a socket or a device in the place of a file.
    #[error(
        "{}: {kind}, not a regular file; help: remove it, or copy what it gives into a file",
        escaped(path)
    )]
    NotRegular {
        /// The file.
        path: PathBuf,
        /// Kind of the file, such as `a FIFO`.
        kind: &'static str,
    },
    /// A link that leads to no file or folder of the data.
    #[error(
        "{link}: a link to `{target}`, which cannot be followed: {reason}; help: put the file in its place"
    )]
    DeadLink {
        /// The link.
        link: String,
        /// Target, as the link has it.
        target: String,
        /// Reason for which it cannot be followed.
        reason: String,
    },
    /// Links that point at each other so often that there is no end of paths.
    #[error("{path}: its links make more paths than can be right; help: leave out links between its folders")]
    TooManyLinks {
        /// The folder or archive.
        path: String,
    },
    /// A member of an archive that is no file as others are.
    #[error("{file}: {kind}, which is not read here; help: unpack the archive, and pack plain files")]
    UnreadMember {
        /// The archive and the member.
        file: String,
        /// Kind of the member.
        kind: String,
    },
    /// An archive with a password.
    #[error("{file}: encrypted; help: unpack the archive with its password, and give the folder")]
    Encrypted {
        /// The archive and the member.
        file: String,
    },
    /// Neither a folder nor an archive of a kind that is read here.
    #[error(
        "{}: {found}; expected a folder, .tar, .tar.gz or .zip of images, a list (.csv, .tsv, .jsonl, .txt), .parquet tables, shards, CIFAR's archives, IDX files or arrays of NumPy (.npz)",
        escaped(path)
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Description of the content.
        found: String,
    },
    /// An archive that stops too early.
    #[error("{path}: the archive is truncated ({detail}); help: download or copy it again")]
    TruncatedArchive {
        /// The archive.
        path: String,
        /// Place at which it stops.
        detail: String,
    },
    /// An archive whose structure is broken.
    #[error("{path}: the archive is corrupt: {detail}")]
    CorruptArchive {
        /// The archive.
        path: String,
        /// Description of the damage.
        detail: String,
    },
    /// A compressed archive that unpacks to more than may be held in memory.
    #[error(
        "{path}: holds more than {limit} bytes of images; help: unpack it, or use .tar or .zip, which are read in place"
    )]
    ArchiveTooLarge {
        /// The archive.
        path: String,
        /// [`OpenOptions::memory_limit`](crate::OpenOptions::memory_limit).
        limit: u64,
    },
    /// Data whose names alone take more memory than they may.
    #[error("{path}: listing it takes more than {limit} bytes of memory")]
    OverMemory {
        /// The folder or archive.
        path: String,
        /// [`OpenOptions::memory_limit`](crate::OpenOptions::memory_limit).
        limit: u64,
    },
    /// Splits without class folders in them.
    #[error(
        "{path}: images lie directly in {}, which are called like splits; help: put the images of each class into a \
         folder, as in {}/CLASS/IMAGE; if these are classes, call them otherwise", listed(folders), folders[0]
    )]
    FlatSplits {
        /// The folder or archive.
        path: String,
        /// The folders.
        folders: Vec<String>,
    },
    /// Boxes of objects in images, and no classes of images.
    #[error(
        "{path}: boxes of objects as {format} has them ({evidence}), and no classes of images; help: put the images of \
         each class (or the boxes, cut out) into a folder, or list them: path,label in a .csv"
    )]
    Boxes {
        /// The folder or archive.
        path: String,
        /// Name of the format: COCO, Pascal VOC or YOLO.
        format: &'static str,
        /// A file that says boxes.
        evidence: String,
    },
    /// Images in no classes, and a list that may say their labels.
    #[error("{error}; or give the list in it, {list}, as the data, if it says the labels")]
    ListBeside {
        /// Fault of the folders.
        error: Box<Error>,
        /// The list, by its path in the data.
        list: String,
    },
    /// Folders that may or may not be splits.
    #[error(
        "{path}: it is not clear which of {} are splits; help: call the splits train, val and test, and keep other \
         folders elsewhere",
        listed(folders)
    )]
    UnclearSplits {
        /// The folder or archive.
        path: String,
        /// The folders.
        folders: Vec<String>,
    },
    /// Splits inside the classes.
    #[error(
        "{path}: the splits are inside the classes, as in {class}/{split}; help: arrange them as {split}/{class}/IMAGE"
    )]
    SplitsInClasses {
        /// The folder or archive.
        path: String,
        /// A class.
        class: String,
        /// A split in it.
        split: String,
    },
    /// A folder of classes beside folders with a picture or two.
    #[error(
        "{path}: `{folder}` holds {inside} folders of images, and beside it there is a single image in each of: {}; \
         help: give {path}/{folder} as the data, or take it away",
        listed(stray)
    )]
    StrayFolders {
        /// The folder or archive.
        path: String,
        /// The folder that holds others.
        folder: String,
        /// Number of folders in it.
        inside: usize,
        /// The folders with an image each.
        stray: Vec<String>,
    },
    /// No folder that could be a class.
    #[error(
        "{path}: no classes found ({found}); expected train/CLASS/IMAGE and test/CLASS/IMAGE, or CLASS/IMAGE, \
         with images in them (JPEG, PNG, WebP, BMP, GIF, TIFF, NPY)"
    )]
    NoClasses {
        /// The folder or archive.
        path: String,
        /// Content that is there instead.
        found: String,
    },
    /// Data that cannot teach a classifier anything.
    #[error(
        "{path}: only one class, `{class}`; help: add a folder for each other class, as training needs two at least"
    )]
    OneClass {
        /// The folder or archive.
        path: String,
        /// The only class.
        class: String,
    },
    /// A class without images.
    #[error("{path}: class folder `{class}` has no images{found}; help: add some or remove the folder")]
    EmptyClass {
        /// The folder or archive.
        path: String,
        /// The class folder, with its split.
        class: String,
        /// Other content of it: empty, or `, but 3 .webp`.
        found: String,
    },
    /// Classes of the evaluation images that the training images, or the network, do not have.
    #[error(
        "{path}: {} not among the known classes ({}); help: name them as those, or leave them out",
        unknown_classes(unknown),
        listed(known)
    )]
    UnknownClass {
        /// The folder or archive; of lists and arrays, the place of the first.
        path: String,
        /// The classes.
        unknown: Vec<String>,
        /// The classes of the training images, or of the network.
        known: Vec<String>,
    },
    /// A line of a list that does not say an image and its label.
    #[error("{}, line {line}: {reason}", escaped(file))]
    List {
        /// The list.
        file: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Reason.
        reason: String,
    },
    /// An image of a list that is not there or cannot be read.
    #[error("{file}: {found}")]
    ListedImage {
        /// The list, the line, and the image's file.
        file: String,
        /// Reason.
        found: String,
    },
    /// A list whose columns cannot be told.
    #[error("{}: no columns of paths and labels among {}; help: {help}", escaped(file), listed(found))]
    ListColumns {
        /// The list.
        file: PathBuf,
        /// Names of its columns, or its first line.
        found: Vec<String>,
        /// Advice.
        help: String,
    },
    /// A list without images.
    #[error("{}: the list has no images", escaped(path))]
    EmptyList {
        /// The list.
        path: PathBuf,
    },
    /// The embedded sample, of a build without it.
    #[error(
        "sample: this build has no embedded images; help: build it with the feature `sample`, or name a folder"
    )]
    NoSample,
    /// A sample of a shard, or a row of a table, that does not say an image and its label.
    #[error("{file}: {reason}")]
    Sample {
        /// The shard and the sample, or the table and the row, counted from 0.
        file: String,
        /// Reason.
        reason: String,
    },
    /// A row of a table, or the like, that has a label and no image.
    #[error("{file}: there is no image; help: leave it out")]
    MissingImage {
        /// The table and the row.
        file: String,
    },
    /// Labels that are none of the task's.
    #[error("{path}: {reason}")]
    Answer {
        /// The data.
        path: String,
        /// Reason, as a sentence.
        reason: String,
    },
    /// A table whose columns cannot be told.
    #[error(
        "{file}: no column of {role} among {}; help: name them, as in --columns path=image,label=breed",
        listed(found)
    )]
    TableColumns {
        /// The table.
        file: String,
        /// Role of the missing column: images or labels.
        role: &'static str,
        /// Columns of the table, with their types.
        found: Vec<String>,
    },
    /// A table that is none of vectors: see [`VectorTable`](crate::VectorTable).
    #[error("{file}: {reason}")]
    Vectors {
        /// The table.
        file: String,
        /// Reason.
        reason: String,
    },
    /// Shards without a sample that has a label.
    #[error("{path}: no samples with an image and a label")]
    NoSamples {
        /// The shards.
        path: String,
    },
    /// Shards that are compressed as a whole, so that no image can be read without those before it.
    #[error(
        "{path}: shards compressed as a whole, which cannot be read in place; help: unpack them (gunzip, zstd -d): \
         images are compressed already"
    )]
    CompressedShards {
        /// The shards.
        path: String,
    },
    /// Tables, shards or arrays of several data sets side by side.
    #[error("{path}: several data sets side by side: {}; help: give one of them", listed(sets))]
    SeveralSets {
        /// The folder.
        path: String,
        /// Folder of each set, or a file of it.
        sets: Vec<String>,
    },
    /// A split that the data do not have.
    #[error("{path}: no {wanted} images; the data have: {}; help: {}", list(present), help_for(*wanted, *held_out))]
    MissingSplit {
        /// The folder or archive.
        path: String,
        /// Split that was asked for.
        wanted: Split,
        /// Splits that there are.
        present: Vec<Split>,
        /// True for a folder of classes, of which a part could be held out.
        held_out: bool,
    },
    /// Something of CIFAR's archives is not as published.
    #[error("{path}: not as in {set}: {detail}")]
    Cifar {
        /// The file.
        path: String,
        /// `CIFAR-10` or `CIFAR-100`.
        set: &'static str,
        /// Difference.
        detail: String,
    },
    /// An array of images or labels, of NumPy or in an IDX file, that cannot be read as such.
    #[error("{file}: {detail}")]
    Array {
        /// The array, with its file, and the row where it is one.
        file: String,
        /// Fault, and the help where there is one.
        detail: String,
    },
    /// Arrays among which there are no images with their labels.
    #[error(
        "{path}: no images with their labels among the arrays {}; help: call them x_train and y_train, or images and \
         labels, or name them: --columns path=IMAGES,label=LABELS",
        listed(found)
    )]
    NoArrays {
        /// The file or folder.
        path: String,
        /// Names of the arrays.
        found: Vec<String>,
    },
    /// An image file without a single byte.
    #[error("{file}: the image file is empty")]
    EmptyImage {
        /// The file.
        file: String,
    },
    /// A file of no kind that is read, whatever its name says.
    #[error("{file}: {found}")]
    UnknownImage {
        /// The file.
        file: String,
        /// Kind of the content, as far as it tells, and what can be done.
        found: String,
    },
    /// An image of a kind that few programs write, and that is not decoded here.
    #[error(
        "{file}: {kind}, which is not read; help: save it as an ordinary JPEG (baseline, 8 bits) or a PNG"
    )]
    UnsupportedImage {
        /// The file.
        file: String,
        /// Kind of the image, with an article.
        kind: &'static str,
    },
    /// An image that stops too early.
    #[error("{file}: the image is truncated")]
    TruncatedImage {
        /// The file.
        file: String,
    },
    /// An image that cannot be decoded.
    #[error("{file}: the image is corrupt: {detail}")]
    CorruptImage {
        /// The file.
        file: String,
        /// Finding of the decoder.
        detail: String,
    },
    /// An image, or what preprocessing would make of it, is larger than can be right.
    #[error("{file}: {width}x{height} pixels are more than the {limit} that an image may have")]
    ImageTooLarge {
        /// The file.
        file: String,
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
        /// [`MAX_PIXELS`](crate::MAX_PIXELS).
        limit: u64,
    },
    /// Sizes of an image of which one is 0.
    #[error("{width}x{height} pixels of {channels} channels make no image; help: give 1 or more of each")]
    NoPixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Channels of a pixel.
        channels: usize,
    },
    /// Bytes that do not fill the image that they are for.
    #[error(
        "{width}x{height} pixels of {channels} channels are not {found} bytes; help: give height * width * channels of them, \
         interleaved"
    )]
    PixelBytes {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Channels of a pixel.
        channels: usize,
        /// Number of bytes given.
        found: usize,
    },
    /// A value of a deep image that is infinite or NaN.
    #[error("the image has a value that is no finite number; help: replace infinities and NaN")]
    NotFinite,
    /// An image with other channels than the preprocessing is for.
    #[error(
        "{file}: {found} channels, where {expected} are expected; help: only grey and RGB are made of each other; give \
         the preprocessing one `mean` and `std` for each channel of the images"
    )]
    ChannelsDiffer {
        /// The file.
        file: String,
        /// Channels of the image.
        found: usize,
        /// Channels of the preprocessing.
        expected: usize,
    },
    /// An augmentation of an image of more than 8 bits that is defined on 8 bits alone.
    #[error(
        "{file}: {operation} works on 8 bits, and the image has more; help: leave it out of `augment`, or save the images \
         with 8 bits"
    )]
    MoreThan8Bits {
        /// The file.
        file: String,
        /// Name of the operation or the augmentation.
        operation: &'static str,
    },
    /// A text that names no augmentation, or not its parameters.
    #[error("{text}: {reason}; help: write NAME or NAME:field=value, of {names}")]
    AugmentText {
        /// The text.
        text: String,
        /// Reason.
        reason: String,
        /// Names that there are.
        names: &'static str,
    },
    /// An augmentation that images of so many channels cannot have.
    #[error(
        "{augmentation}: {reason}, and the network takes {channels} channels; help: leave it out of `augment`"
    )]
    AugmentChannels {
        /// Augmentation, as in a recipe.
        augmentation: &'static str,
        /// Condition on the channels.
        reason: &'static str,
        /// Channels of the images.
        channels: usize,
    },
    /// An image that a program's own [`Source`](crate::Source) cannot give.
    #[error("{file}: {source}")]
    Source {
        /// Name of the image.
        file: String,
        /// The program's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A label that is beyond the names of the classes.
    #[error("{file}: the label {label} is beyond the {classes} classes; help: count labels from 0")]
    LabelBeyond {
        /// Name of the image.
        file: String,
        /// Label of the image.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// An image with longer rows than can be right.
    #[error("{file}: rows of {width} pixels are longer than the {limit} that an image may have")]
    ImageTooWide {
        /// The file.
        file: String,
        /// Width in pixels.
        width: u64,
        /// The most that is read.
        limit: u64,
    },
    /// An image file larger than can be right.
    #[error("{file}: {size} bytes are more than the {limit} that an image file may have")]
    FileTooLarge {
        /// The file.
        file: String,
        /// Size in bytes.
        size: u64,
        /// [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES).
        limit: u64,
    },
    /// Images of one batch that do not have one size.
    #[error(
        "{file}: {}x{} pixels, but {first} has {}x{}; \
         give the preprocessing a `resize` or `crop` so that all images have one size",
        found[1], found[0], expected[1], expected[0]
    )]
    MixedSizes {
        /// The file that differs.
        file: String,
        /// `[height, width]` of the file that differs.
        found: [usize; 2],
        /// The first file of the batch.
        first: String,
        /// The first file's `[height, width]`.
        expected: [usize; 2],
    },
    /// An option with a value that makes no sense.
    #[error("{option}: {found} is not possible; expected {expected}")]
    InvalidOption {
        /// Name of the option, as in a recipe.
        option: &'static str,
        /// The value.
        found: String,
        /// Values that are possible.
        expected: &'static str,
    },
    /// An image number beyond the end of the set.
    #[error("{path}: no image number {index}; there are {len}")]
    NoSuchImage {
        /// The folder or archive.
        path: String,
        /// The number.
        index: usize,
        /// Number of images.
        len: usize,
    },
    /// A worker thread could not be started.
    #[error("cannot start a thread for decoding: {source}")]
    Thread {
        /// Cause, from the operating system.
        source: io::Error,
    },
    /// A defect of this program: a worker thread panicked.
    #[error("a decoding thread failed at item {item}: {detail}")]
    WorkerPanicked {
        /// Number of the batch, or of the file, counted from 0.
        item: usize,
        /// The panic's message.
        detail: String,
    },
}
