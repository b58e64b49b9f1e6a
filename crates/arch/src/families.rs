//! Networks by name.
//!
//! | names | networks |
//! | --- | --- |
//! | `small` | 3x3 stem, stages of 32, 64 and 128 channels with two basic blocks each, for 32x32 images |
//! | `resnet18`, `34`, `50`, `101`, `152` | He et al. 2015, table 1; stride on the 3x3 convolution, as torchvision has them |
//! | `wide_resnet50_2`, `101_2`, `resnext50_32x4d`, `101_32x8d`, `101_64x4d` | torchvision's (Zagoruyko and Komodakis 2016; Xie et al. 2017) |
//! | `resnet26`, `200`; `resnet{50,101,152}{c,s}`; `resnet{18,26,34,50,101,152,200}d`; `resnet{10,14,26,50}t` | timm's: other depths, and the stems of He et al. 2019: deep (`c`), deep and wide (`s`), deep with average-pool shortcuts (`d`), tiered (`t`) |
//! | `resnext50d_32x4d`, `resnext101_{32x4d,32x16d,32x32d}` | timm's: other ResNeXt |
//! | `seresnet{18,34,50,50t,101,152,152d,200d,269d}`, `seresnext{26d,26t,50,101}_32x4d`, `seresnext{101,101d}_32x8d`, `seresnext101_64x4d` | timm's: squeeze-and-excitation (Hu et al. 2018) |
//! | `senet154` | Hu et al. 2018: half the width first, 3x3 projections |
//! | `ecaresnet{26t,50t,50d,101d,200d,269d,light}`, `ecaresnext{26t,50t}_32x4d`, `ecaresnet{50d,101d}_pruned` | timm's: efficient channel attention (Wang et al. 2020), and pruned (Aflalo et al. 2020) |
//! | `resnetblur{18,50,50d,101d}` | timm's: blur pools where the stride is (Zhang 2019) |
//! | `resnetaa{34d,50,50d,101d}`, `seresnetaa50d`, `seresnextaa{101d,201d}_32x8d` | timm's: average pools where the stride is |
//! | `resnetrs{50,101,152,200,270,350,420}` | ResNet-RS (Bello et al. 2021) |
//! | `resnet50_gn`, `resnetv2_50d_gn` | timm's: group normalisation (Wu and He 2018) |
//! | `resnetv2_{18,34,50,101,152}`, `resnetv2_{18,34,50,101,152}d`, `resnetv2_50t` | timm's: pre-activation (He et al. 2016) |
//! | `resnetv2_{50x1,50x3,101x1,101x3,152x2,152x4}_bit` | Big Transfer (Kolesnikov et al. 2020): pre-activation, group normalisation, weight standardisation |
//! | `test_resnet` | timm's smallest, one block a stage |
//! | `cifar_stem_resnet{18,34,50,101,152}` | the depths of ImageNet behind a 3x3 stem without a pool, for 32x32 images, with the tensor names of kuangliu's `pytorch-cifar` |
//! | `cifar_stem_preact{18,34,50,101,152}`, `cifar_stem_senet18` | its `PreActResNet` and `SENet` |
//! | `cifar_resnet{6n+2}` | He et al. 2015, section 4.2, with its parameter-free shortcuts (option A); `cifar_resnet{6n+2}_b` with projections (option B) |
//! | `cifar_seresnet{6n+2}` | with squeeze-and-excitation of a sixteenth of the channels (Hu et al. 2018, section 5.3) |
//! | `cifar_plain{6n+2}` | the same without shortcuts |
//! | `cifar_preact{6n+2 or 9n+2}` | pre-activation (He et al. 2016), see below |
//! | `wrn_{6n+4}_{k}` | wide residual networks (Zagoruyko and Komodakis 2016), pre-activation |
//! | `cifar_fast{width}` | three blocks of `width`, `2 width` and `4 width` channels, each of half the resolution: for trainings of minutes |
//!
//! The aliases `small_resnet` and `timm_X` (X with timm's tensor names) are those of the golden files; `X_cifar` is
//! `cifar_stem_X`, as `resnet18_cifar`. timm's `resnetv2_50d_evos` and `resnetv2_50d_frn` are refused by name: EvoNorm
//! and filter response normalisation are not supported.
//!
//! **Basic or bottleneck.** Many depths fit both `6n + 2` and `9n + 2`. `cifar_preact{d}` has basic
//! blocks where `d = 6n + 2` up to depth 110, the deepest basic network of He et al. 2016, and
//! bottlenecks where `d = 9n + 2` above it (their 164 and 1001); a depth that fits only one form gets
//! that one. `cifar_preact{d}_basic` and `cifar_preact{d}_bottleneck` say it outright.

mod cifar;
mod cifar_stem;
mod imagenet;
mod imagenet_rows;
mod pruned;

use thiserror::Error;

use crate::published::{self, View};
use crate::{BlockSpec, HeadSpec, Naming, NetSpec, Preprocess, StageSpec, StemSpec, Task};

/// The most blocks that a name or a file may stand for.
pub(crate) const MAX_BLOCKS: usize = 100_000;

/// A name that is no network's, or that of a published network that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{}{}", opening(.name, *.published), reason_text(.reason), suggestion_text(.suggestions))]
pub struct UnknownModel {
    /// The name as given.
    pub name: String,
    /// True where a published network is called so.
    pub published: bool,
    /// Reason, where it is published and not supported, or follows a pattern but its numbers do not fit.
    pub reason: Option<String>,
    /// Names close to it, nearest first.
    pub suggestions: Vec<String>,
}

fn opening(name: &str, published: bool) -> String {
    if published { format!("`{name}` is not supported") } else { format!("no network is called `{name}`") }
}

fn reason_text(reason: &Option<String>) -> String {
    reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"))
}

fn suggestion_text(suggestions: &[String]) -> String {
    let quoted: Vec<_> = suggestions.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => format!("; there are {}, {} and others of timm's", EXAMPLES.join(", "), PATTERNS.join(", ")),
        Some((last, [])) => format!("; did you mean {last}?"),
        Some((last, rest)) => format!("; did you mean {} or {last}?", rest.join(", ")),
    }
}

/// Names without a free number, one of each kind, for whoever has none.
const EXAMPLES: [&str; 12] = [
    "small",
    "resnet18",
    "resnet50d",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "seresnet50",
    "ecaresnet50t",
    "resnetrs50",
    "resnet50_gn",
    "resnetv2_50",
    "resnetv2_50x1_bit",
    "cifar_stem_resnet18",
];

/// Published networks that are not supported, and the normalisation that they would need.
const UNSUPPORTED: [(&str, &str); 2] =
    [("resnetv2_50d_evos", "EvoNorm"), ("resnetv2_50d_frn", "filter response normalisation")];

/// The patterns of the parametric names.
pub const PATTERNS: [&str; 8] = [
    "cifar_resnet{6n+2}",
    "cifar_resnet{6n+2}_b",
    "cifar_seresnet{6n+2}",
    "cifar_plain{6n+2}",
    "cifar_preact{6n+2}",
    "cifar_preact{9n+2}",
    "wrn_{6n+4}_{k}",
    "cifar_fast{width}",
];

/// Members of the parametric families that the papers report, and of those that recipes here take.
const MEMBERS: [&str; 30] = [
    "cifar_resnet20",
    "cifar_resnet32",
    "cifar_resnet44",
    "cifar_resnet56",
    "cifar_resnet110",
    "cifar_resnet1202",
    "cifar_resnet20_b",
    "cifar_resnet32_b",
    "cifar_resnet56_b",
    "cifar_resnet110_b",
    "cifar_seresnet20",
    "cifar_seresnet56",
    "cifar_seresnet110",
    "cifar_plain20",
    "cifar_plain32",
    "cifar_plain44",
    "cifar_plain56",
    "cifar_plain110",
    "cifar_preact20",
    "cifar_preact56",
    "cifar_preact110",
    "cifar_preact164",
    "cifar_preact1001",
    "wrn_16_4",
    "wrn_16_8",
    "wrn_22_8",
    "wrn_28_10",
    "wrn_40_4",
    "cifar_fast48",
    "cifar_fast96",
];

/// The names of all networks: every fixed name, and the members of the parametric families that the
/// papers report.
pub fn all() -> Vec<&'static str> {
    let fixed = ["small"].into_iter().chain(imagenet::names()).chain(cifar_stem::names());
    fixed.chain(MEMBERS).collect()
}

/// The network called `name`; with a tag, as that published checkpoint has it: `resnet50.a1_in1k`,
/// `resnet50:IMAGENET1K_V2`.
///
/// CIFAR networks and `small` have 10 classes, 32x32 inputs and no resizing. The others have the input, the classes and
/// the preprocessing of their published checkpoint ([`published`]): without a tag of torchvision's default weights, or of
/// timm's where torchvision has no such network. A name that begins with `timm_` is timm's in any case.
///
/// # Errors
/// [`UnknownModel`], with the nearest names or tags.
///
/// ```
/// use residual_arch::families::family;
/// assert_eq!(family("cifar_resnet20")?.depth_in_blocks(), 9);
/// assert_eq!(family("resnet101d.ra2_in1k")?.input, [3, 256, 256]);
/// let error = family("resnet19").unwrap_err();
/// assert!(error.suggestions.contains(&"resnet18".to_string()));
/// # Ok::<(), residual_arch::families::UnknownModel>(())
/// ```
pub fn family(name: &str) -> Result<NetSpec, UnknownModel> {
    let (model, tag) = published::split(name);
    let spec = architecture(model)?;
    match (published::lookup(name)?, tag) {
        (Some(checkpoint), None) => Ok(checkpoint.apply(spec, View::Usual)),
        (Some(checkpoint), Some(_)) => {
            Ok(checkpoint.apply(spec, View::Usual).with(|spec| spec.name = checkpoint.name()))
        }
        (None, None) => Ok(spec),
        (None, Some(_)) => Err(UnknownModel {
            name: name.into(),
            published: false,
            reason: Some(format!("there are no published checkpoints of `{model}`")),
            suggestions: vec![model.into()],
        }),
    }
}

/// The network called `name`, without what is published about it.
fn architecture(name: &str) -> Result<NetSpec, UnknownModel> {
    if let Some(spec) = name.strip_prefix("timm_").and_then(imagenet::network) {
        return Ok(NetSpec { naming: Naming::Timm, ..spec });
    }
    if name == "small" || name == "small_resnet" {
        return Ok(small());
    }
    if let Some(spec) = imagenet::network(name).or_else(|| cifar_stem::network(name)) {
        return Ok(spec);
    }
    let unknown =
        |reason, suggestions| UnknownModel { name: name.into(), published: false, reason, suggestions };
    let plain = name.strip_prefix("timm_").unwrap_or(name);
    if let Some((_, norm)) = UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == plain) {
        let reason = Some(format!("its normalisation is {norm}, expected batch or group normalisation"));
        let suggestions = vec!["resnetv2_50d_gn".into(), "resnetv2_50d".into()];
        return Err(UnknownModel { published: true, ..unknown(reason, suggestions) });
    }
    match cifar::network(name) {
        Some(Ok(spec)) => Ok(spec),
        Some(Err(misfit)) => Err(unknown(Some(misfit.reason), misfit.suggestions)),
        None => Err(unknown(None, nearest(name))),
    }
}

/// Up to three names that differ from `name` by a few edits.
fn nearest(name: &str) -> Vec<String> {
    let wanted: String = name.chars().take(64).collect::<String>().to_lowercase().replace(['-', ' '], "_");
    let wanted = wanted.strip_prefix("timm_").unwrap_or(&wanted);
    let joined = |text: &str| text.replace('_', "");
    // Parts in another order, as `resnet50v2`, count as one edit.
    let sorted = |text: &str| {
        let mut letters: Vec<_> = joined(text).chars().collect();
        letters.sort_unstable();
        String::from_iter(letters)
    };
    let distance = |known: &str| {
        let as_is = edits(wanted, known);
        let joined = edits(&joined(wanted), &joined(known));
        let reordered = edits(&sorted(wanted), &sorted(known)) + 1;
        let beginning = if wanted.len() >= 3 && known.starts_with(wanted) { 1 } else { usize::MAX };
        as_is.min(joined).min(reordered).min(beginning)
    };
    let mut known: Vec<_> = all().into_iter().map(|known| (distance(known), known)).collect();
    known.sort_by_key(|&(distance, _)| distance);
    let best = known[0].0;
    let close = |distance: usize| distance <= 3 && distance * 2 < wanted.len() && distance <= best + 1;
    known.into_iter().filter(|&(d, _)| close(d)).take(3).map(|(_, name)| name.to_string()).collect()
}

/// Edit distance of two texts: insertions, deletions, replacements and exchanges of neighbours (Damerau 1964).
pub(crate) fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Distances of the beginnings of `a`, the last two of them, to every beginning of `b`.
    let (mut before, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<usize>>());
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The 32-64-128 network for 32x32 images.
fn small() -> NetSpec {
    let stage = |first: BlockSpec, channels| StageSpec { blocks: vec![first, BlockSpec::basic(channels)] };
    NetSpec {
        name: "small".into(),
        naming: Naming::Sequential,
        input: [3, 32, 32],
        stem: StemSpec::cifar(32),
        stages: vec![
            stage(BlockSpec::basic(32), 32),
            stage(BlockSpec::projection(64, 2), 64),
            stage(BlockSpec::projection(128, 2), 128),
        ],
        head: HeadSpec::new(10),
        stochastic_depth: 0.0,
        preprocess: Preprocess::normalise_only(),
        task: Task::SingleLabel,
    }
}
