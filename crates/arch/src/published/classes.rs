//! Names of classes that everybody's checkpoints share.

use std::sync::LazyLock;

use super::find::{lookup, split};
use crate::NetSpec;
use crate::families::family;

/// CIFAR-10's classes in the order of its labels (`batches.meta`).
pub const CIFAR10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// CIFAR-100's fine classes in the order of its labels (`meta`).
pub const CIFAR100: [&str; 100] = [
    "apple",
    "aquarium_fish",
    "baby",
    "bear",
    "beaver",
    "bed",
    "bee",
    "beetle",
    "bicycle",
    "bottle",
    "bowl",
    "boy",
    "bridge",
    "bus",
    "butterfly",
    "camel",
    "can",
    "castle",
    "caterpillar",
    "cattle",
    "chair",
    "chimpanzee",
    "clock",
    "cloud",
    "cockroach",
    "couch",
    "crab",
    "crocodile",
    "cup",
    "dinosaur",
    "dolphin",
    "elephant",
    "flatfish",
    "forest",
    "fox",
    "girl",
    "hamster",
    "house",
    "kangaroo",
    "keyboard",
    "lamp",
    "lawn_mower",
    "leopard",
    "lion",
    "lizard",
    "lobster",
    "man",
    "maple_tree",
    "motorcycle",
    "mountain",
    "mouse",
    "mushroom",
    "oak_tree",
    "orange",
    "orchid",
    "otter",
    "palm_tree",
    "pear",
    "pickup_truck",
    "pine_tree",
    "plain",
    "plate",
    "poppy",
    "porcupine",
    "possum",
    "rabbit",
    "raccoon",
    "ray",
    "road",
    "rocket",
    "rose",
    "sea",
    "seal",
    "shark",
    "shrew",
    "skunk",
    "skyscraper",
    "snail",
    "snake",
    "spider",
    "squirrel",
    "streetcar",
    "sunflower",
    "sweet_pepper",
    "table",
    "tank",
    "telephone",
    "television",
    "tiger",
    "tractor",
    "train",
    "trout",
    "tulip",
    "turtle",
    "wardrobe",
    "whale",
    "willow_tree",
    "wolf",
    "woman",
    "worm",
];

static IMAGENET: LazyLock<Vec<&'static str>> = LazyLock::new(|| lines(include_str!("imagenet.txt")));

static SYNSETS: LazyLock<Vec<&'static str>> = LazyLock::new(|| lines(include_str!("imagenet_synsets.txt")));

fn lines(text: &'static str) -> Vec<&'static str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// ImageNet's 1,000 classes (ILSVRC 2012) in the order of the outputs, named as torchvision names them.
pub fn imagenet() -> &'static [&'static str] {
    &IMAGENET
}

/// WordNet's identifiers of ImageNet's 1,000 classes in the order of the outputs, as the folders of its images are called.
///
/// ```
/// use residual_arch::published::{imagenet, imagenet_synsets};
/// assert_eq!((imagenet()[0], imagenet_synsets()[0]), ("tench", "n01440764"));
/// ```
pub fn imagenet_synsets() -> &'static [&'static str] {
    &SYNSETS
}

/// Class names of a network whose file has none: ImageNet's for a published network of 1,000 classes, CIFAR's for a
/// CIFAR network of 10 or 100; `None` for any other.
///
/// ```
/// use residual_arch::{families::family, published::class_names};
/// assert_eq!(class_names(&family("resnet18")?).unwrap()[0], "tench");
/// assert_eq!(class_names(&family("resnet18")?.with_classes(999)), None);
/// assert_eq!(class_names(&family("wrn_16_4")?).unwrap()[3], "cat");
/// # Ok::<(), residual_arch::families::UnknownModel>(())
/// ```
pub fn class_names(spec: &NetSpec) -> Option<&'static [&'static str]> {
    let (model, _) = split(&spec.name);
    let of_cifar = || {
        let papers = ["cifar_", "wrn_"].iter().any(|prefix| model.starts_with(prefix));
        papers && family(model).is_ok()
    };
    match spec.head.classes {
        1000 => matches!(lookup(model), Ok(Some(_))).then(imagenet),
        10 => of_cifar().then_some(&CIFAR10),
        100 => of_cifar().then_some(&CIFAR100),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_whole() {
        assert_eq!((imagenet().len(), imagenet()[0], imagenet()[999]), (1000, "tench", "toilet tissue"));
        let synsets = imagenet_synsets();
        assert_eq!((synsets.len(), synsets[217], imagenet()[217]), (1000, "n02102040", "English springer"));
        assert!(CIFAR100.is_sorted() && CIFAR10.is_sorted());
    }

    #[test]
    fn names_are_for_networks_that_have_those_classes() {
        let names = |name: &str, classes| class_names(&family(name).unwrap().with_classes(classes));
        assert_eq!(names("timm_resnet50", 1000).map(<[_]>::len), Some(1000));
        assert_eq!(names("resnet50.a1_in1k", 1000).map(<[_]>::len), Some(1000));
        assert_eq!(names("cifar_resnet20", 100).map(|names| names[99]), Some("worm"));
        for (name, classes) in [("resnet50", 10), ("cifar_resnet20", 1000), ("small", 10), ("resnet18", 100)]
        {
            assert_eq!(names(name, classes), None, "{name} {classes}");
        }
        let own = family("resnet18").unwrap().with(|net| net.name = "mine".into());
        assert_eq!(class_names(&own), None);
    }
}
