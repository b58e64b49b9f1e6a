//! Networks whose parts have numbers for names: `nn.Sequential(*model.children())`, as fastai and others cut a network.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::shapes::Shapes;

/// First tensor of a stage behind its number.
const FIRST: &str = ".0.conv1.weight";

/// Names that the parts of a network have at torchvision, for those of a file where they have numbers.
pub(super) struct Numbered {
    /// Names in the file by those that they stand for.
    in_file: BTreeMap<String, String>,
}

impl Numbered {
    /// The names of a file; `None` where it has no such parts, or has them under several prefixes.
    pub(super) fn of(shapes: &Shapes<'_>) -> Option<Self> {
        let mut stages = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for name in shapes.names() {
            let Some(part) = name.strip_suffix(FIRST) else { continue };
            let at = part.rfind('.').map_or(0, |dot| dot + 1);
            if let Ok(number) = part[at..].parse::<usize>() {
                prefixes.insert(&part[..at]);
                stages.insert(number);
            }
        }
        let prefix = prefixes.pop_first().filter(|_| prefixes.is_empty())?;
        let parts = parts(prefix, &stages, shapes)?;
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

/// Names of the numbered parts: the first convolution and its norm, the stages, and the one matrix behind them.
fn parts(prefix: &str, stages: &BTreeSet<usize>, shapes: &Shapes<'_>) -> Option<HashMap<usize, String>> {
    let (&first, &last) = (stages.first()?, stages.last()?);
    if first < 2 || shapes.get(&format!("{prefix}1.weight")).is_none_or(|norm| norm.len() != 1) {
        return None;
    }
    let mut parts: HashMap<usize, String> = HashMap::from([(0, "conv1".to_owned()), (1, "bn1".to_owned())]);
    parts.extend(stages.iter().zip(1..).map(|(&number, stage)| (number, format!("layer{stage}"))));
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
