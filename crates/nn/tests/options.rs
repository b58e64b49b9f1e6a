//! Options of blocks through stock operations, against formulas written out and finite differences.

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::{Attention, BlockSpec};
use residual_nn::{Block, BlockConfig, EfficientAttention, Init, Mode, NamedTensor};
use residual_testkit::formula;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    NamedTensor::read("", tensor).values
}

fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(formula::input(&shape), shape), device)
}

fn assert_close(found: &[f32], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (i, (&found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(found) - wanted).abs() < tolerance, "{i}: {found}, {wanted}");
    }
}

/// `x sigmoid(w * mean(x))`, in float64, of one image.
fn efficient_attention(x: &[f64], weight: &[f64], pixels: usize) -> Vec<f64> {
    let means: Vec<f64> = x.chunks(pixels).map(|map| map.iter().sum::<f64>() / pixels as f64).collect();
    let half = weight.len() / 2;
    let gate = |channel: usize| {
        let taps = weight
            .iter()
            .enumerate()
            .filter_map(|(tap, w)| means.get((channel + tap).checked_sub(half)?).map(|mean| w * mean));
        1.0 / (1.0 + (-taps.sum::<f64>()).exp())
    };
    x.iter().enumerate().map(|(i, x)| x * gate(i / pixels)).collect()
}

#[test]
fn efficient_attention_is_the_formula_and_so_is_its_gradient() {
    let device = Device::flex().autodiff();
    let attention = EfficientAttention::new(3, Init::new(4, &device));
    let x = input([1, 5, 2, 3], &device).require_grad();
    let factors = formula::loss_weights(30);
    let y = attention.forward(x.clone(), Mode::train(0, 0));
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<f64>>();
    let (xs, weight) = (wide(values(x.clone())), wide(values(attention.weight.val())));
    assert_close(&values(y.clone()), &efficient_attention(&xs, &weight, 6), 1e-6);

    let loss = |xs: &[f64], weight: &[f64]| -> f64 {
        efficient_attention(xs, weight, 6).iter().zip(&factors).map(|(y, &f)| y * f64::from(f)).sum()
    };
    let loss_weights = Tensor::from_data(TensorData::new(factors.clone(), [1, 5, 2, 3]), &device);
    let gradients = (y * loss_weights).sum().backward();
    let differences = |at: &[f64], loss: &dyn Fn(&[f64]) -> f64| -> Vec<f64> {
        let moved = |i: usize, by: f64| {
            let mut at = at.to_vec();
            at[i] += by;
            loss(&at)
        };
        (0..at.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect()
    };
    let by_x = differences(&xs, &|xs| loss(xs, &weight));
    assert_close(&values(x.grad(&gradients).unwrap()), &by_x, 1e-5);
    let by_weight = differences(&weight, &|weight| loss(&xs, weight));
    assert_close(&values(attention.weight.val().grad(&gradients).unwrap()), &by_weight, 1e-5);
}

/// A block with the option and one without, of the same seed.
fn blocks(spec: BlockSpec, plain: BlockSpec, channels: usize) -> [Block; 2] {
    let device = Device::flex().autodiff();
    [spec, plain].map(|spec| BlockConfig::new(spec, channels).init(Init::new(2, &device)).unwrap())
}

#[test]
fn a_block_with_efficient_attention_weighs_its_branch() {
    let spec = BlockSpec { attention: Some(Attention::Efficient { kernel: 3 }), ..BlockSpec::basic(6) };
    let [block, plain] = blocks(spec, BlockSpec::basic(6), 6);
    let names: Vec<String> = block.state().into_iter().map(|tensor| tensor.path).collect();
    assert!(names.contains(&"eca.weight".to_owned()), "{names:?}");
    assert_eq!(block.num_params(), plain.num_params() + 3);
    let x = input([2, 6, 5, 5], &Device::flex().autodiff());
    let [y, without] = [&block, &plain].map(|block| values(block.forward(x.clone(), Mode::Eval)));
    assert_ne!(y, without);
    // Every parameter is trained.
    let gradients = block.forward(x, Mode::train(0, 0)).sum().backward();
    assert_eq!(block.gradients(&gradients).len(), 7);
}
