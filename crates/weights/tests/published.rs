//! Checkpoints that others trained and published. Skipped where the files are not at hand.

use std::path::{Path, PathBuf};

use residual_arch::{Naming, families::family, names::names};
use residual_weights::{Error, StateDict, match_tensors, read, recognise};

/// The file in the data folder beside the repository.
fn published(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let path = root.join("../shared/data/weights").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not at hand", path.display());
        return None;
    }
    Some(path)
}

fn check(state: &StateDict, name: &str, shape: &[usize], first: &[f32], last: f32, sum: f64) {
    let tensor = state.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    assert_eq!(tensor.shape(), shape, "{name}");
    assert_eq!(&tensor.data()[..first.len()], first, "{name}");
    assert_eq!(tensor.data().last(), Some(&last), "{name}");
    let found: f64 = tensor.data().iter().map(|&value| f64::from(value)).sum();
    assert!((found - sum).abs() < 1e-9, "{name}: {found} {sum}");
}

/// The tensors of a file without the prefix that `DataParallel` gave them.
fn bare(path: PathBuf) -> StateDict {
    let state = read(path).unwrap();
    let found = recognise(&state).unwrap();
    assert_eq!(
        (found.prefix.as_str(), state.origin().wrapper.as_slice()),
        ("module.", &["state_dict".to_owned()][..])
    );
    found.rename(state).unwrap()
}

/// The family member that the tensors belong to.
fn model(state: &StateDict) -> String {
    recognise(state).unwrap().family.unwrap()
}

fn elements(state: &StateDict) -> usize {
    state.iter().map(|(_, tensor)| tensor.data().len()).sum()
}

// The expected values were taken with Python's own unpickler and `struct`.
#[test]
fn resnet20() {
    let Some(path) = published("resnet20-12fca82f.th") else { return };
    let state = bare(path);
    assert_eq!((state.len(), elements(&state)), (97, 271_098));
    let first = [-0.138_181_46, -0.162_417_68, 0.820_738_3];
    check(&state, "conv1.weight", &[16, 3, 3, 3], &first, 0.308_710_2, 1.3100982000032673);
    check(&state, "bn1.running_var", &[16], &[2.204_912_7, 3.624_004], 10.227_83, 76.47960840986343);
    check(&state, "linear.weight", &[10, 64], &[-1.059_812_5], 0.226_676_97, -0.04562738863751292);
    assert_eq!(model(&state), "cifar_resnet20");
    assert_eq!(state.get("layer2.0.conv1.weight").unwrap().shape(), [32, 16, 3, 3]);
}

#[test]
fn resnet32() {
    let Some(path) = published("resnet32-d509ac18.th") else { return };
    let state = bare(path);
    assert_eq!((elements(&state), model(&state)), (466_426, "cifar_resnet32".to_owned()));
    let resnet20 = names(&family("cifar_resnet20").unwrap(), Naming::Torchvision);
    let expected: Vec<_> = resnet20.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect();
    let error = match_tensors(&expected, &state).unwrap_err();
    let Error::Mismatch(mismatch) = error else { panic!("{error}") };
    assert_eq!(mismatch.missing, ["fc.weight", "fc.bias"]);
    assert_eq!(mismatch.unexpected.len(), 157 - 95);
    let first = [0.403_553_96, -0.546_076_54, -0.684_985_6];
    check(&state, "conv1.weight", &[16, 3, 3, 3], &first, 0.386_005_3, 1.961148000027606);
    check(&state, "linear.bias", &[10], &[0.176_278_96, -0.396_677], -0.086_272_8, 0.0062164366245269775);
}
