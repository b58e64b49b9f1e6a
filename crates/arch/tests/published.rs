//! The table of published checkpoints against what torchvision's and timm's own transforms say
//! (`expected/transforms.tsv`, made by `bench/peers/catalogue.py`).

use std::collections::BTreeSet;

use residual_arch::families::{UnknownModel, family};
use residual_arch::published::{Library, View, all, find};
use residual_arch::{Fill, Interpolation, Naming, Resize};

/// Networks of the catalogue that no specification can say: EvoNorm, and filter response normalisation.
const NOT_FAMILIES: [&str; 2] = ["resnetv2_50d_evos", "resnetv2_50d_frn"];

#[test]
fn transforms_are_those_of_the_libraries() {
    let rows = include_str!("expected/transforms.tsv").lines().filter(|line| !line.starts_with('#')).skip(1);
    let mut seen = BTreeSet::new();
    for row in rows {
        let [name, view, resize, interpolation, crop, mean, std] =
            *row.split('\t').collect::<Vec<_>>().first_chunk().unwrap();
        let checkpoint = find(name).unwrap();
        assert_eq!(checkpoint.name(), name);
        let view = if view == "test" { View::Test } else { View::Usual };
        let found = checkpoint.preprocess(view);
        assert_eq!(found.resize, Some(Resize::ShorterSide(resize.parse().unwrap())), "{row}");
        let crop =
            crop.split_once('x').map(|(height, width)| [height.parse().unwrap(), width.parse().unwrap()]);
        assert_eq!(found.crop, crop, "{row}");
        assert_eq!(checkpoint.input(view)[1..], crop.unwrap(), "{row}");
        let bicubic = found.interpolation == Interpolation::Bicubic;
        assert_eq!(bicubic, interpolation == "bicubic", "{row}");
        assert_eq!(found.fill, Fill::Black);
        let channels = |text: &str| text.split(',').map(|value| value.parse().unwrap()).collect::<Vec<f32>>();
        assert_eq!((found.mean, found.std), (channels(mean), channels(std)), "{row}");
        seen.insert((name, view == View::Test));
    }
    for checkpoint in all() {
        let name = checkpoint.name();
        assert!(seen.contains(&(name.as_str(), false)), "{name}");
        assert_eq!(seen.contains(&(name.as_str(), true)), checkpoint.library == Library::Timm, "{name}");
    }
}

/// Every network has one default, every name one row, every address a file; a hash is eight digits in the file's name.
#[test]
fn rows_are_consistent() {
    let mut names = BTreeSet::new();
    for row in all() {
        assert!(names.insert(row.name()), "{} twice", row.name());
        let of_model =
            || all().iter().filter(|other| (other.library, other.model) == (row.library, row.model));
        assert_eq!(of_model().filter(|other| other.default).count(), 1, "{}", row.model);
        assert!(of_model().all(|other| other.parameters == row.parameters));
        if let Some(url) = row.url {
            let file = url.rsplit('/').next().unwrap();
            assert!(url.starts_with("https://") && file.contains('.'), "{url}");
            assert!(row.sha256.is_none_or(|hash| hash.len() == 8 && file.contains(hash)), "{url}");
            assert!(row.sha256.is_some() || url.starts_with("https://huggingface.co/timm/"), "{url}");
        }
        assert_eq!(row.url.is_none(), row.tag == "untrained", "{}", row.name());
    }
    assert_eq!(all().iter().filter(|row| row.url.is_some()).count(), 17 + 174);
}

#[test]
fn families_take_what_is_published() {
    let preprocess = |name: &str| {
        let spec = family(name).unwrap();
        assert_eq!(spec.preprocess.crop, Some([spec.input[1], spec.input[2]]));
        (spec.preprocess.resize, spec.preprocess.interpolation, spec.input[1])
    };
    let side = |side| Some(Resize::ShorterSide(side));
    let (bilinear, bicubic) = (Interpolation::Bilinear, Interpolation::Bicubic);
    for (name, expected) in [
        ("resnet18", (side(256), bilinear, 224)),
        ("resnet50", (side(232), bilinear, 224)),
        ("resnet50:IMAGENET1K_V1", (side(256), bilinear, 224)),
        ("resnext50_32x4d", (side(232), bilinear, 224)),
        ("timm_resnet50", (side(235), bicubic, 224)),
        ("resnet50.a3_in1k", (side(168), bicubic, 160)),
        ("resnet50d", (side(256), bicubic, 224)),
        ("seresnet50", (side(235), bicubic, 224)),
        ("resnet101d", (side(269), bicubic, 256)),
        ("resnet152d", (side(269), bicubic, 256)),
        ("resnet26t", (side(272), bicubic, 256)),
    ] {
        assert_eq!(preprocess(name), expected, "{name}");
    }
    let tagged = family("resnet50.b1k_in1k").unwrap();
    assert_eq!((tagged.name.as_str(), tagged.naming), ("resnet50.b1k_in1k", Naming::Timm));
    assert_eq!(family("resnet50").unwrap().naming, Naming::Torchvision);
    assert_eq!(family("resnetaa50d.d_in12k").unwrap().head.classes, 11_821);
    let error = family("resnet50.nope").unwrap_err();
    assert!(error.to_string().contains("no tag `nope`") && error.suggestions.len() == 3, "{error}");
    let error = family("cifar_resnet20.a1").unwrap_err();
    assert!(error.to_string().contains("no published checkpoints of `cifar_resnet20`"), "{error}");
    assert!(family("resnet19.a1_in1k").unwrap_err().reason.is_none());
}

/// A network that is a family has the published number of parameters, and the tag's classes change its head alone.
#[test]
fn parameters_are_the_published_ones() {
    for row in all().iter().filter(|row| row.default) {
        let spec = match family(&row.name()) {
            Ok(spec) => spec,
            Err(UnknownModel { .. }) => continue,
        };
        let network = spec.with_classes(1000).check([3, 224, 224]).unwrap();
        assert_eq!(network.parameters(), row.parameters, "{}", row.name());
    }
}

/// Every network of the catalogue is a family, but for those that are named.
#[test]
fn every_published_network_is_a_family() {
    let models: BTreeSet<&str> = all().iter().map(|row| row.model).collect();
    let missing: Vec<&str> = models.into_iter().filter(|model| family(model).is_err()).collect();
    assert_eq!(missing, NOT_FAMILIES);
}
