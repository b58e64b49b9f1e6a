//! Gradient norms of the playground beside those of the modules, whose initial values are the same.

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::families::family;
use residual_arch::{NetSpec, Shortcut};
use residual_nn::{Init, Mode, ResNetConfig};
use residual_wasm::gradients::{Batch, Error, gradient_norms, plain_twin};

fn batch(spec: &NetSpec, images: usize) -> Batch {
    let count = images * spec.input.iter().product::<usize>();
    let values = (0..count).map(|i| (i as f32 * 0.37).sin() + 0.3 * (i as f32 * 0.011).cos()).collect();
    Batch { values, classes: (0..images).map(|image| image % spec.head.classes).collect() }
}

fn within(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() <= 2e-3 * wanted, "{what}: {found}, {wanted}");
}

#[test]
fn norms_of_families_are_those_of_the_modules() {
    for name in ["small", "cifar_resnet8", "cifar_preact20", "resnet18", "resnet26d"] {
        let input = if name.starts_with("resnet") { [3, 48, 48] } else { [3, 16, 16] };
        let spec = family(name).unwrap().with_classes(5).with_input(input);
        let batch = batch(&spec, 3);
        let found = gradient_norms(&spec, &batch, 7, true).unwrap();
        let device = Device::flex().autodiff();
        let network = ResNetConfig::new(spec.clone()).init(Init::new(7, &device)).unwrap();
        let [channels, height, width] = input;
        let values = TensorData::new(batch.values.clone(), [3, channels, height, width]);
        let x = Tensor::from_data(values, &device);
        let probed = network.probe(x, &batch.classes, Mode::train(1, 2)).unwrap();
        assert_eq!(found.blocks.len(), probed.blocks.len(), "{name}");
        for ((block, norm), (path, shares)) in found.blocks.iter().zip(&probed.blocks) {
            assert_eq!(*block, path.to_string());
            within(*norm, shares.output, &format!("{name} {block}"));
        }
    }
}

#[test]
fn gradients_vanish_without_norms_and_shortcuts() {
    let spec = family("cifar_resnet56").unwrap().with_input([3, 16, 16]);
    let batch = batch(&spec, 2);
    let first = |spec: &NetSpec, norms| gradient_norms(spec, &batch, 0, norms).unwrap().blocks[0].1;
    let twin = plain_twin(&spec);
    assert!(twin.blocks().all(|(_, block)| block.shortcut == Shortcut::None));
    // The plain network's gradient grows towards the input with norms, as He et al. found no vanishing there.
    assert!(first(&twin, true) > 10.0 * first(&spec, true));
    assert!(first(&spec, false) != first(&spec, true));
}

#[test]
fn what_has_no_gradient_here_is_said() {
    let spec = family("seresnet18").unwrap().with_input([3, 32, 32]);
    let error = gradient_norms(&spec, &batch(&spec, 1), 0, true).unwrap_err();
    assert!(matches!(error, Error::Layer { .. }) && error.to_string().contains("stage1.block0"), "{error}");
    let spec = family("resnet50").unwrap();
    let error = gradient_norms(&spec, &batch(&spec, 1), 0, true).unwrap_err();
    assert!(error.to_string().contains("help: give the network a smaller"), "{error}");
    let spec = family("small").unwrap();
    let empty = Batch { values: vec![], classes: vec![] };
    assert!(matches!(gradient_norms(&spec, &empty, 0, true), Err(Error::Batch)));
}
