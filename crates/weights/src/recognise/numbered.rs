//! Networks whose parts have numbers for names: `nn.Sequential(*model.children())`, as fastai and others cut a network.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::shapes::Shapes;

/// First convolution of a stage's first block behind the stage's number, as torchvision names it.
const FIRST: &str = ".0.conv1.weight";
/// First convolution of the first stage behind the number of all stages, in timm's pre-activation networks.
const FIRST_PRE: &str = ".0.blocks.0.conv1.weight";

/// Names that the parts of a network have at torchvision, for those of a file where they have numbers.
pub(super) struct Numbered {
    /// Names in the file by those that they stand for.
    in_file: BTreeMap<String, String>,
}

impl Numbered {
    /// The names of a file; `None` where it has no such parts, or has them under several prefixes.
    pub(super) fn of(shapes: &Shapes<'_>) -> Option<Self> {
        let (prefix, parts) = Stages::ending(FIRST, shapes)
            .and_then(|stages| Some((stages.prefix, parts(&stages, shapes)?)))
            .or_else(|| {
                let stages = Stages::ending(FIRST_PRE, shapes)?;
                Some((stages.prefix, pre_activation_parts(&stages)?))
            })?;
        let translated = |name: &str| {
            let (number, rest) = name.strip_prefix(prefix)?.split_once('.')?;
            let part = parts.get(&number.parse::<usize>().ok()?)?;
            Some(format!("{prefix}{part}.{rest}"))
        };
        let names = shapes.names();
        let in_file = names
            .map(|name| (translated(name).unwrap_or_else(|| name.to_owned()), name.to_owned()))
            .collect();
        Some(Self { in_file })
    }

    /// Shapes by the translated names.
    pub(super) fn shapes<'s>(&'s self, shapes: &Shapes<'s>) -> Shapes<'s> {
        let named = self.in_file.iter();
        Shapes::from_iter(named.filter_map(|(name, file)| Some((name.as_str(), shapes.get(file)?))))
    }

    /// Name in the file of a translated tensor.
    pub(super) fn tensor(&self, name: &str) -> String {
        self.in_file.get(name).map_or(name, String::as_str).to_owned()
    }

    /// Name in the file of a translated layer.
    pub(super) fn layer(&self, name: &str) -> String {
        let weight = self.tensor(&format!("{name}.weight"));
        weight.strip_suffix(".weight").unwrap_or(name).to_owned()
    }
}

/// Numbered parts that hold a network's stages.
struct Stages<'s> {
    /// Text before each number.
    prefix: &'s str,
    numbers: BTreeSet<usize>,
}

impl<'s> Stages<'s> {
    /// The parts that have a tensor of this ending; `None` where there are none, or they have several prefixes.
    fn ending(first: &str, shapes: &Shapes<'s>) -> Option<Self> {
        let mut numbers = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for name in shapes.names() {
            let Some(part) = name.strip_suffix(first) else { continue };
            let at = part.rfind('.').map_or(0, |dot| dot + 1);
            if let Ok(number) = part[at..].parse::<usize>() {
                prefixes.insert(&part[..at]);
                numbers.insert(number);
            }
        }
        let prefix = prefixes.pop_first().filter(|_| prefixes.is_empty())?;
        Some(Self { prefix, numbers })
    }
}

/// Names of the numbered parts: the first convolution and its norm, the pool, the stages, and the one matrix behind them.
fn parts(stages: &Stages<'_>, shapes: &Shapes<'_>) -> Option<HashMap<usize, String>> {
    let prefix = stages.prefix;
    let (&first, &last) = (stages.numbers.first()?, stages.numbers.last()?);
    if first < 2 || shapes.get(&format!("{prefix}1.weight")).is_none_or(|norm| norm.len() != 1) {
        return None;
    }
    let mut parts: HashMap<usize, String> = HashMap::from([(0, "conv1".to_owned()), (1, "bn1".to_owned())]);
    // A convolution in place of the pool, where there is one.
    let pool = (2..first).find(|number| shapes.get(&format!("{prefix}{number}.0.weight")).is_some());
    parts.extend(pool.map(|number| (number, "maxpool".to_owned())));
    parts.extend(stages.numbers.iter().zip(1..).map(|(&number, stage)| (number, format!("layer{stage}"))));
    let matrices: Vec<usize> = shapes
        .under(prefix)
        .filter(|(_, shape)| shape.len() == 2)
        .filter_map(|(name, _)| name[prefix.len()..].strip_suffix(".weight")?.parse().ok())
        .filter(|&number| number > last)
        .collect();
    if let [head] = matrices[..] {
        parts.insert(head, "fc".to_owned());
    }
    Some(parts)
}

/// Names of the numbered parts of a pre-activation network of timm: stem, stages, the last norm, head.
fn pre_activation_parts(stages: &Stages<'_>) -> Option<HashMap<usize, String>> {
    let number = stages.numbers.first().copied().filter(|_| stages.numbers.len() == 1)?;
    let (stem, head) = (number.checked_sub(1)?, number.checked_add(2)?);
    let named = [(stem, "stem"), (number, "stages"), (head - 1, "norm"), (head, "head")];
    Some(named.map(|(number, name)| (number, name.to_owned())).into())
}
