//! Specifications as TOML and JSON.

use residual_arch::families::{all, family};
use residual_arch::shape::flow;
use residual_arch::{Error, NetSpec};

/// A network that uses most fields of the format.
const MIXED: &str = include_str!("mixed.toml");

#[test]
fn one_attention_a_block() {
    let text = |fields: &str| {
        format!(
            "name = 'n'\ninput = [3, 8, 8]\nstem = {{ convs = [{{ channels = 8, kernel = 3 }}] }}\n\
             head = {{ classes = 2 }}\n[[stages]]\nblocks = [{{ kind = 'basic', channels = 8, {fields} }}]\n"
        )
    };
    let spec = NetSpec::from_toml(&text("efficient_attention = 3")).unwrap();
    assert_eq!(spec.stages[0].blocks[0].attention, Some(residual_arch::Attention::Efficient { kernel: 3 }));
    assert_eq!(NetSpec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
    let error = NetSpec::from_toml(&text("efficient_attention = 3, squeeze_excite = 2")).unwrap_err();
    assert!(error.to_string().contains("leave one out"), "{error}");
}

#[test]
fn every_family_member_survives_a_round_trip() {
    for name in all() {
        let spec = family(name).unwrap();
        let toml = spec.to_toml().unwrap();
        assert_eq!(NetSpec::from_toml(&toml).unwrap(), spec, "{name}:\n{toml}");
        let json = spec.to_json().unwrap();
        assert!(!json.contains('\n'));
        assert_eq!(NetSpec::from_json(&json).unwrap(), spec, "{name}");
    }
}

#[test]
fn equal_neighbours_are_written_once() {
    let json = family("cifar_resnet1202").unwrap().to_json().unwrap();
    assert!(json.len() < 1000, "{} bytes", json.len());
}

/// [`MIXED`] with one piece of text replaced.
fn broken(from: &str, to: &str) -> Error {
    let text = MIXED;
    assert!(text.contains(from), "{from}");
    NetSpec::from_toml(&text.replacen(from, to, 1)).unwrap_err()
}

#[test]
fn wrong_files_are_errors_that_say_where() {
    let cases = [
        ("classes = 10", "classes = -1", "classes"),
        ("classes = 10", "classes = 10.5", "classes"),
        ("classes = 10", "", "classes"),
        ("classes = 10", "clases = 10", "clases"),
        ("kind = \"basic\"", "kind = \"wide\"", "wide"),
        ("kind = \"basic\"", "kinds = \"basic\"", "kinds"),
        ("naming = \"sequential\"", "naming = \"keras\"", "keras"),
        ("kind = \"none\"", "kind = \"none\", stride = 2", "stride"),
        ("input = [3, 64, 64]", "input = [3, 64]", "input"),
        ("repeat = 2", "repeat = 0", "stage1: `repeat = 0`"),
        ("repeat = 3", "repeat = 99995", "stage4: more than 100000 blocks"),
        ("repeat = 3", "repeat = 9223372036854775807", "stage4: more than 100000 blocks"),
        ("[head]", "[head", "line"),
    ];
    for (from, to, part) in cases {
        let message = broken(from, to).to_string();
        assert!(message.contains(part), "{to}: {message}");
    }
    assert!(matches!(NetSpec::from_toml(""), Err(Error::ReadToml(_))));
    assert!(matches!(NetSpec::from_json("{\"name\": "), Err(Error::Json(_))));
    assert!(matches!(NetSpec::from_json("[]"), Err(Error::Json(_))));
}

#[test]
fn as_many_blocks_as_a_file_may_hold() {
    let text = MIXED.replacen("repeat = 3", "repeat = 99994", 1);
    assert_eq!(NetSpec::from_toml(&text).unwrap().depth_in_blocks(), 100_000);
}

#[test]
fn the_largest_numbers_are_kept() {
    let spec = family("small").unwrap().with_classes(usize::MAX);
    assert_eq!(NetSpec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
    assert_eq!(NetSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
}

#[test]
fn every_error_of_the_crate_fits_one_type() {
    fn summary(name: &str) -> Result<u64, Error> {
        let spec = family(name)?.with_classes(0);
        Ok(flow(&spec, spec.input)?.parameters)
    }
    assert!(matches!(summary("resnet"), Err(Error::UnknownModel(_))));
    assert!(matches!(summary("resnet18"), Err(Error::Shape(_))));
}

#[test]
fn an_orientation_policy_is_told_from_one_that_is_left_open() {
    use residual_arch::OrientationPolicy;
    let folder = tempfile::tempdir().unwrap();
    let plain = residual_arch::families::family("cifar_resnet8").unwrap();
    for ending in ["toml", "json"] {
        let path = folder.path().join(format!("net.{ending}"));
        plain.write(&path).unwrap();
        assert_eq!(NetSpec::orientation_in(&path).unwrap(), None);
        let applied = OrientationPolicy::Apply;
        let turned = plain.clone().with(|net| net.preprocess.orientation = applied);
        turned.write(&path).unwrap();
        assert_eq!(NetSpec::orientation_in(&path).unwrap(), Some(applied));
        let text = std::fs::read_to_string(&path).unwrap().replace("apply", "ignore");
        std::fs::write(&path, text).unwrap();
        assert_eq!(NetSpec::orientation_in(&path).unwrap(), Some(OrientationPolicy::Ignore));
        std::fs::write(&path, "[").unwrap();
        assert!(NetSpec::orientation_in(&path).unwrap_err().to_string().contains("net."));
    }
    assert!(NetSpec::orientation_in("net.yaml").is_err());
}
