//! Patch whitening of the first convolution.

use residual_arch::{BlockSpec, ConvKind, NormKind, Preprocess, StageSpec, StemSpec};
use residual_data::{Dataset, Split};
use residual_train::{Training, to_model};
use residual_weights::Tensor;

use crate::toy;

/// Numbers of a patch: 3 channels of 3x3 pixels.
const SIDE: usize = 27;

#[test]
fn the_first_convolution_gives_uncorrelated_numbers_and_their_negatives() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let wide = |whiten| {
        let mut network = toy::network(3);
        network.stem = StemSpec::cifar(2 * SIDE + 3);
        network.stages[0] = StageSpec::new(vec![BlockSpec::projection(4, 1)]);
        network.preprocess = Preprocess::normalise_only()
            .with(|preprocess| (preprocess.mean, preprocess.std) = (vec![0.0; 3], vec![1.0; 3]));
        toy::recipe(data.path()).with(|recipe| (recipe.network, recipe.whiten_stem) = (Some(network), whiten))
    };
    let stem = |whiten: bool, folder: &str| -> Tensor {
        let trainer = Training::new(wide(whiten)).begin(runs.path().join(folder)).unwrap();
        let model = to_model(trainer.network()).unwrap();
        model.tensor("stem.conv0.weight".parse().unwrap()).unwrap().clone()
    };
    let (random, white) = (stem(false, "random"), stem(true, "white"));
    let filters: Vec<&[f32]> = white.data().chunks_exact(SIDE).collect();
    for pair in filters[..2 * SIDE].chunks_exact(2) {
        assert!(pair[0].iter().zip(pair[1]).all(|(a, b)| *a == -*b));
    }
    assert_eq!(white.data()[2 * SIDE * SIDE..], random.data()[2 * SIDE * SIDE..]);

    let outputs = |patch: &[f64]| -> Vec<f64> {
        let dot = |filter: &&[f32]| filter.iter().zip(patch).map(|(&w, p)| f64::from(w) * p).sum();
        filters[..2 * SIDE].iter().step_by(2).map(dot).collect()
    };
    let all: Vec<Vec<f64>> = patches(data.path()).iter().map(|patch| outputs(patch)).collect();
    for (p, q) in (0..SIDE).flat_map(|p| (0..=p).map(move |q| (p, q))) {
        let moment = all.iter().map(|out| out[p] * out[q]).sum::<f64>() / all.len() as f64;
        let wanted = if p == q { 1.0 } else { 0.0 };
        assert!((moment - wanted).abs() < 0.25, "{p} {q}: {moment}");
    }
}

/// Every patch of the training images, as the network sees them.
fn patches(data: &std::path::Path) -> Vec<Vec<f64>> {
    let set =
        Dataset::open(&data.to_owned().into(), &Default::default()).unwrap().split(Split::Train).unwrap();
    let mut patches = Vec::new();
    for index in 0..set.len() {
        let image = set.read(index).unwrap();
        let value = |c: usize, y: usize, x: usize| f64::from(image.pixels()[(8 * y + x) * 3 + c]) / 255.0;
        for (y, x) in (0..6).flat_map(|y| (0..6).map(move |x| (y, x))) {
            let places = (0..SIDE).map(|k| [k / 9, y + k / 3 % 3, x + k % 3]);
            patches.push(places.map(|[c, y, x]| value(c, y, x)).collect());
        }
    }
    patches
}

#[test]
fn a_whitened_run_goes_on_to_the_same_bits() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let recipe = toy::recipe(data.path()).with(|recipe| recipe.whiten_stem = true);
    let [whole, parts] = ["whole", "parts"].map(|name| runs.path().join(name));
    toy::train(&recipe, &whole);
    toy::interrupt(Training::new(&recipe).begin(&parts).unwrap(), 5);
    toy::finish(Training::default().resume(&parts).unwrap());
    assert_eq!(toy::Result::of(&parts), toy::Result::of(&whole));
}

#[test]
fn stems_that_cannot_be_whitened_are_refused() {
    let (data, runs) = (toy::data(), tempfile::tempdir().unwrap());
    let refused = |change: &dyn Fn(&mut residual_train::Recipe)| {
        let recipe = toy::recipe(data.path()).with(|recipe| recipe.whiten_stem = true).with(|r| change(r));
        Training::new(recipe).begin(runs.path().join("run")).unwrap_err().to_string()
    };
    let error = refused(&|recipe| recipe.init = Some("weights.safetensors".into()));
    assert!(error.starts_with("whiten_stem: `init` gives"), "{error}");
    let error = refused(&|recipe| {
        let network = recipe.network.as_mut().unwrap();
        (network.stem.conv, network.stem.norm) = (ConvKind::Standardised, NormKind::Group { groups: 2 });
    });
    assert!(error.starts_with("whiten_stem: the stem's convolutions are standardised"), "{error}");
}
