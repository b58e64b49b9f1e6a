//! The written form of a [`NetSpec`]: what may be left out, and how it is filled in.
//!
//! A block that leaves out its shortcut gets the fitting one; equal neighbours are written once with
//! `repeat`. Reading then writing gives the shortest form.

use std::path::Path;

use residual_files::{MAX_TEXT, read_text};
use serde::{Deserialize, Serialize};

use crate::families::MAX_BLOCKS;
use crate::{
    AntiAlias, Attention, BlockKind, BlockSpec, ConvKind, Error, HeadSpec, MaxPool, Naming, NetSpec,
    NormKind, Order, OrientationPolicy, Preprocess, Shortcut, StageSpec, StemConv, StemSpec, Task,
};

impl NetSpec {
    /// Reads a specification's file, TOML or JSON by the ending of its name.
    ///
    /// ```
    /// use residual_arch::{NetSpec, families::family};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("mine.toml");
    /// family("resnet18")?.write(&path)?;
    /// assert_eq!(NetSpec::read(&path)?, family("resnet18")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// All name the file: [`Error::Read`], [`Error::Format`] for another ending, [`Error::InFile`] for a text that is
    /// no specification. Whether the network can be built is for [`NetSpec::check`] to say.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let (format, text) = text(path)?;
        let spec = match format {
            Format::Toml => Self::from_toml(&text),
            Format::Json => Self::from_json(&text),
        };
        spec.map_err(|cause| Error::InFile { path: path.into(), cause: Box::new(cause) })
    }

    /// The orientation policy that a specification's file writes out; `None` where it leaves the policy open, which
    /// [`NetSpec::read`] takes for the default one and a new training may choose.
    ///
    /// # Errors
    /// Those of [`NetSpec::read`] for a file that cannot be read, or is neither TOML nor JSON.
    pub fn orientation_in(path: impl AsRef<Path>) -> Result<Option<OrientationPolicy>, Error> {
        #[derive(Deserialize)]
        struct Written {
            preprocess: Option<Policy>,
        }
        #[derive(Deserialize)]
        struct Policy {
            orientation: Option<OrientationPolicy>,
        }
        let path = path.as_ref();
        let (format, text) = text(path)?;
        let written: Result<Written, Error> = match format {
            Format::Toml => toml::from_str(&text).map_err(Error::from),
            Format::Json => serde_json::from_str(&text).map_err(Error::from),
        };
        let written = written.map_err(|cause| Error::InFile { path: path.into(), cause: Box::new(cause) })?;
        Ok(written.preprocess.and_then(|preprocess| preprocess.orientation))
    }

    /// Writes the specification's file, TOML or JSON by the ending of its name.
    ///
    /// # Errors
    /// [`Error::Format`] for another ending, [`Error::Write`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let text = match Format::of(path)? {
            Format::Toml => self.to_toml()?,
            Format::Json => self.to_json()?,
        };
        std::fs::write(path, text).map_err(|reason| Error::Write { path: path.into(), reason })
    }

    /// True for the name of a specification's file, which ends in `.toml` or `.json`.
    pub fn is_file_name(name: impl AsRef<Path>) -> bool {
        Format::of(name.as_ref()).is_ok()
    }

    /// Reads a specification from TOML.
    ///
    /// # Errors
    /// [`Error::ReadToml`], with line and column. Whether the network can be built is for
    /// [`crate::shape::flow`] to say.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Ok(toml::from_str(text)?)
    }

    /// Writes the specification as TOML, in its shortest form.
    ///
    /// # Errors
    /// [`Error::WriteToml`]; no specification is known to cause it.
    pub fn to_toml(&self) -> Result<String, Error> {
        Ok(toml::to_string(self)?)
    }

    /// Reads a specification from JSON.
    ///
    /// # Errors
    /// [`Error::Json`], with line and column.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        Ok(serde_json::from_str(text)?)
    }

    /// Writes the specification as JSON on one line, in its shortest form.
    ///
    /// # Errors
    /// [`Error::Json`]; no specification is known to cause it.
    pub fn to_json(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self)?)
    }
}

/// Format and text of a specification's file.
fn text(path: &Path) -> Result<(Format, String), Error> {
    let format = Format::of(path)?;
    let text = read_text(path, MAX_TEXT).map_err(|reason| Error::Read { path: path.into(), reason })?;
    Ok((format, text))
}

/// The formats of a specification's file.
enum Format {
    Toml,
    Json,
}

impl Format {
    fn of(path: &Path) -> Result<Self, Error> {
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => Err(Error::Format { path: path.into() }),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NetFile {
    name: String,
    #[serde(default = "torchvision")]
    naming: Naming,
    input: [usize; 3],
    #[serde(default, skip_serializing_if = "is_default")]
    stochastic_depth: f64,
    stem: StemFile,
    #[serde(default)]
    stages: Vec<StageFile>,
    head: HeadSpec,
    #[serde(default = "Preprocess::normalise_only")]
    preprocess: Preprocess,
    #[serde(default, skip_serializing_if = "Task::is_single_label")]
    task: Task,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StemFile {
    convs: Vec<StemConvFile>,
    #[serde(default, skip_serializing_if = "is_default")]
    bare: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anti_alias: Option<AntiAlias>,
    #[serde(rename = "convolution", default, skip_serializing_if = "ConvKind::is_plain")]
    conv: ConvKind,
    #[serde(rename = "group_norm", default, skip_serializing_if = "NormKind::is_batch")]
    norm: NormKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<MaxPool>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StemConvFile {
    channels: usize,
    kernel: usize,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    stride: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    padding: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFile {
    blocks: Vec<BlockFile>,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockFile {
    kind: KindFile,
    channels: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_width: Option<usize>,
    #[serde(rename = "convolution", default, skip_serializing_if = "ConvKind::is_plain")]
    conv: ConvKind,
    #[serde(rename = "group_norm", default, skip_serializing_if = "NormKind::is_batch")]
    norm: NormKind,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    stride: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    stride_first: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anti_alias: Option<AntiAlias>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    groups: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    preactivation: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    squeeze_excite: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    efficient_attention: Option<usize>,
    #[serde(default, skip_serializing_if = "is_default")]
    zero_init: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shortcut: Option<ShortcutFile>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    repeat: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindFile {
    Basic,
    Bottleneck,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ShortcutFile {
    None {},
    Identity {},
    Projection {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<usize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<usize>,
        #[serde(default, skip_serializing_if = "is_default")]
        average_pool: bool,
        #[serde(default = "one", skip_serializing_if = "is_one")]
        kernel: usize,
    },
    ZeroPad {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<usize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<usize>,
    },
}

fn torchvision() -> Naming {
    Naming::Torchvision
}

fn one() -> usize {
    1
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A basic block's width is its channels unless said otherwise; a bottleneck's a quarter of them.
fn usual_width(kind: BlockKind, channels: usize) -> usize {
    match kind {
        BlockKind::Basic => channels,
        BlockKind::Bottleneck => channels / 4,
    }
}

/// `value` if it is not the usual one.
fn unusual(value: usize, usual: usize) -> Option<usize> {
    (value != usual).then_some(value)
}

impl TryFrom<NetFile> for NetSpec {
    type Error = String;

    fn try_from(file: NetFile) -> Result<Self, String> {
        let stem = StemSpec::from(file.stem);
        let mut channels = stem.channels();
        let mut stages = Vec::with_capacity(file.stages.len());
        let mut room = MAX_BLOCKS;
        for (index, stage) in file.stages.into_iter().enumerate() {
            let mut blocks = Vec::new();
            for block in stage.blocks {
                if block.repeat == 0 {
                    return Err(format!("stage{}: `repeat = 0`; help: leave the block out", index + 1));
                }
                // A few bytes of file could ask for all the memory there is.
                room = room
                    .checked_sub(block.repeat)
                    .ok_or_else(|| format!("stage{}: more than {MAX_BLOCKS} blocks", index + 1))?;
                for _ in 0..block.repeat {
                    blocks.push(
                        block.read(channels).map_err(|reason| format!("stage{}: {reason}", index + 1))?,
                    );
                    channels = block.channels;
                }
            }
            stages.push(StageSpec { blocks });
        }
        Ok(Self {
            name: file.name,
            naming: file.naming,
            input: file.input,
            stem,
            stages,
            head: file.head,
            stochastic_depth: file.stochastic_depth,
            preprocess: file.preprocess,
            task: file.task,
        })
    }
}

impl From<NetSpec> for NetFile {
    fn from(spec: NetSpec) -> Self {
        let mut channels = spec.stem.channels();
        let mut stages = Vec::with_capacity(spec.stages.len());
        for stage in &spec.stages {
            let mut blocks: Vec<BlockFile> = Vec::new();
            for block in &stage.blocks {
                let written = BlockFile::write(block, channels);
                channels = block.channels;
                match blocks.last_mut() {
                    Some(last) if (BlockFile { repeat: last.repeat, ..written }) == *last => last.repeat += 1,
                    _ => blocks.push(written),
                }
            }
            stages.push(StageFile { blocks });
        }
        Self {
            name: spec.name,
            naming: spec.naming,
            input: spec.input,
            stochastic_depth: spec.stochastic_depth,
            stem: spec.stem.into(),
            stages,
            head: spec.head,
            preprocess: spec.preprocess,
            task: spec.task,
        }
    }
}

impl From<StemFile> for StemSpec {
    fn from(file: StemFile) -> Self {
        let conv = |conv: StemConvFile| StemConv {
            channels: conv.channels,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding.unwrap_or(conv.kernel / 2),
        };
        Self {
            convs: file.convs.into_iter().map(conv).collect(),
            bare: file.bare,
            pool: file.pool,
            anti_alias: file.anti_alias,
            conv: file.conv,
            norm: file.norm,
        }
    }
}

impl From<StemSpec> for StemFile {
    fn from(stem: StemSpec) -> Self {
        let conv = |conv: StemConv| StemConvFile {
            channels: conv.channels,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: unusual(conv.padding, conv.kernel / 2),
        };
        Self {
            convs: stem.convs.into_iter().map(conv).collect(),
            bare: stem.bare,
            anti_alias: stem.anti_alias,
            conv: stem.conv,
            norm: stem.norm,
            pool: stem.pool,
        }
    }
}

impl BlockFile {
    fn read(&self, in_channels: usize) -> Result<BlockSpec, &'static str> {
        let kind = match self.kind {
            KindFile::Basic => BlockKind::Basic,
            KindFile::Bottleneck => BlockKind::Bottleneck,
        };
        Ok(BlockSpec {
            kind,
            order: if self.preactivation { Order::PreActivation } else { Order::PostActivation },
            channels: self.channels,
            width: self.width.unwrap_or(usual_width(kind, self.channels)),
            first_width: self.first_width,
            conv: self.conv,
            norm: self.norm,
            stride: self.stride,
            stride_first: self.stride_first,
            anti_alias: self.anti_alias,
            groups: self.groups,
            attention: self.attention()?,
            zero_init: self.zero_init,
            shortcut: match self.shortcut {
                Some(shortcut) => shortcut.read(self.channels, self.stride),
                None => Shortcut::fitting(in_channels, self.channels, self.stride),
            },
        })
    }

    fn attention(&self) -> Result<Option<Attention>, &'static str> {
        match (self.squeeze_excite, self.efficient_attention) {
            (Some(_), Some(_)) => {
                Err("`squeeze_excite` and `efficient_attention` in one block; help: leave one out")
            }
            (Some(reduced), None) => Ok(Some(Attention::SqueezeExcite { reduced })),
            (None, Some(kernel)) => Ok(Some(Attention::Efficient { kernel })),
            (None, None) => Ok(None),
        }
    }

    fn write(block: &BlockSpec, in_channels: usize) -> Self {
        let fitting = Shortcut::fitting(in_channels, block.channels, block.stride);
        Self {
            kind: match block.kind {
                BlockKind::Basic => KindFile::Basic,
                BlockKind::Bottleneck => KindFile::Bottleneck,
            },
            channels: block.channels,
            width: unusual(block.width, usual_width(block.kind, block.channels)),
            first_width: block.first_width,
            conv: block.conv,
            norm: block.norm,
            stride: block.stride,
            stride_first: block.stride_first,
            anti_alias: block.anti_alias,
            groups: block.groups,
            preactivation: block.order == Order::PreActivation,
            squeeze_excite: match block.attention {
                Some(Attention::SqueezeExcite { reduced }) => Some(reduced),
                _ => None,
            },
            efficient_attention: match block.attention {
                Some(Attention::Efficient { kernel }) => Some(kernel),
                _ => None,
            },
            zero_init: block.zero_init,
            shortcut: (block.shortcut != fitting)
                .then(|| ShortcutFile::write(block.shortcut, block.channels, block.stride)),
            repeat: 1,
        }
    }
}

impl ShortcutFile {
    fn read(self, block_channels: usize, block_stride: usize) -> Shortcut {
        match self {
            Self::None {} => Shortcut::None,
            Self::Identity {} => Shortcut::Identity,
            Self::Projection { channels, stride, average_pool, kernel } => Shortcut::Projection {
                channels: channels.unwrap_or(block_channels),
                stride: stride.unwrap_or(block_stride),
                average_pool,
                kernel,
            },
            Self::ZeroPad { channels, stride } => Shortcut::ZeroPad {
                channels: channels.unwrap_or(block_channels),
                stride: stride.unwrap_or(block_stride),
            },
        }
    }

    fn write(shortcut: Shortcut, block_channels: usize, block_stride: usize) -> Self {
        match shortcut {
            Shortcut::None => Self::None {},
            Shortcut::Identity => Self::Identity {},
            Shortcut::Projection { channels, stride, average_pool, kernel } => Self::Projection {
                channels: unusual(channels, block_channels),
                stride: unusual(stride, block_stride),
                average_pool,
                kernel,
            },
            Shortcut::ZeroPad { channels, stride } => Self::ZeroPad {
                channels: unusual(channels, block_channels),
                stride: unusual(stride, block_stride),
            },
        }
    }
}
