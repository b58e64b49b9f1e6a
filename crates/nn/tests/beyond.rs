//! The residuals beyond convolutional networks.

use burn::tensor::{Device, Tensor, TensorData};
use residual_nn::beyond::{
    EncoderBlockConfig, GroupNorm, LayerNorm, SelfAttention, TimeEmbedding, UNetBlockConfig,
};
use residual_nn::{Init, Mode, NamedTensor, tensors};
use residual_testkit::formula;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    NamedTensor::read("", tensor).values
}

fn named<const D: usize>(name: &str, shape: [usize; D], device: &Device) -> Tensor<D> {
    let n = shape.iter().product();
    let values: Vec<f32> = formula::uniform(name, n).map(|u| u as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn assert_close(found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (i, (&found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((f64::from(found) - wanted).abs() < 1e-5, "{i}: {found}, {wanted}");
    }
}

/// With a branch that is zero, the gradient of the input is the gradient of the output, bit for bit.
#[test]
fn identity_path_carries_the_gradient_of_an_encoder_block() {
    let device = Device::flex().autodiff();
    let block = EncoderBlockConfig::new(16, 4).with_zero_init().init(&device).unwrap();
    let x = named("input", [3, 5, 16], &device).require_grad();
    let upstream = named("upstream", [3, 5, 16], &device);
    let y = block.forward(x.clone(), Mode::train(0, 0));
    assert_eq!(values(y.clone()), values(x.clone()));
    let gradients = (y * upstream.clone()).sum().backward();
    assert_eq!(values(x.grad(&gradients).unwrap()), values(upstream));
    // The branch is there and learns: its last layers have gradients.
    let learnt = tensors::gradients(&block, &gradients);
    let output = learnt.iter().find(|t| t.path == "feed_forward.branch.down.weight").unwrap();
    assert!(output.values.iter().any(|&v| v != 0.0));
}

#[test]
fn identity_path_carries_the_gradient_of_a_unet_block() {
    let device = Device::flex().autodiff();
    let block = UNetBlockConfig::new(16, 16, 8).with_zero_init().init(&device).unwrap();
    let x = named("input", [2, 16, 6, 6], &device).require_grad();
    let time = named("time", [2, 8], &device);
    let upstream = named("upstream", [2, 16, 6, 6], &device);
    let y = block.forward(x.clone(), time, Mode::train(0, 0));
    assert_eq!(values(y.clone()), values(x.clone()));
    let gradients = (y * upstream.clone()).sum().backward();
    assert_eq!(values(x.grad(&gradients).unwrap()), values(upstream));
    let learnt = tensors::gradients(&block, &gradients);
    let last = learnt.iter().find(|t| t.path == "residual.branch.conv2.weight").unwrap();
    assert!(last.values.iter().any(|&v| v != 0.0));
}

#[test]
fn unet_block_projects_where_the_channels_change() {
    let device = Device::flex();
    let block = UNetBlockConfig::new(8, 24, 4).with_groups(4).with_zero_init().init(&device).unwrap();
    let x = named("input", [1, 8, 5, 3], &device);
    let y = block.forward(x.clone(), named("time", [1, 4], &device), Mode::Eval);
    assert_eq!(y.dims(), [1, 24, 5, 3]);
    let projected = block.residual.shortcut.conv.as_ref().unwrap().forward(x, Mode::Eval);
    assert_eq!(values(y), values(projected));
}

#[test]
fn unet_block_listens_to_the_time() {
    let init = Init::new(1, &Device::flex());
    let embedding = TimeEmbedding::new(8, init.at("time"));
    let block = UNetBlockConfig::new(8, 8, 8).init(init.at("block")).unwrap();
    let x = named("input", [1, 8, 4, 4], init.device());
    let at = |t| values(block.forward(x.clone(), embedding.forward(&[t], Mode::Eval), Mode::Eval));
    assert_ne!(at(1.0), at(100.0));
}

#[test]
fn layer_norm_is_the_formula() {
    let device = Device::flex();
    let norm = LayerNorm::new(7, &device);
    let x = named("input", [2, 3, 7], &device);
    let wanted: Vec<f64> = values(x.clone()).chunks(7).flat_map(standardised).collect();
    assert_close(&values(norm.forward(x, Mode::Eval)), &wanted);
}

#[test]
fn group_norm_is_the_formula() {
    let device = Device::flex();
    let norm = GroupNorm::new(3, 6, &device).unwrap();
    let x = named("input", [2, 6, 2, 3], &device);
    // A group of a sample is two channels of 2x3.
    let wanted: Vec<f64> = values(x.clone()).chunks(12).flat_map(standardised).collect();
    assert_close(&values(norm.forward(x, Mode::Eval)), &wanted);
}

fn standardised(chunk: &[f32]) -> Vec<f64> {
    let n = chunk.len() as f64;
    let mean = chunk.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = chunk.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    chunk.iter().map(|&v| (f64::from(v) - mean) / (variance + 1e-5).sqrt()).collect()
}

#[test]
fn attention_is_the_formula() {
    let device = Device::flex();
    let (batch, tokens, features, heads) = (2, 5, 6, 2);
    let attention = SelfAttention::new(features, heads, &device).unwrap();
    let x = named("input", [batch, tokens, features], &device);
    let wanted = naive_attention(&attention, &x, heads);
    assert_close(&values(attention.forward(x, Mode::Eval)), &wanted);
}

/// Attention by loops, in float64.
fn naive_attention(attention: &SelfAttention, x: &Tensor<3>, heads: usize) -> Vec<f64> {
    let [batch, tokens, features] = x.dims();
    let width = features / heads;
    let x: Vec<f64> = values(x.clone()).into_iter().map(f64::from).collect();
    let linear = |layer: &residual_nn::Linear, row: &[f64]| -> Vec<f64> {
        let (weight, bias) = (values(layer.weight.val()), values(layer.bias.val()));
        let dot = |w: &[f32]| w.iter().zip(row).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
        weight.chunks(row.len()).zip(bias).map(|(w, b)| dot(w) + f64::from(b)).collect()
    };
    let mut wanted = vec![];
    for sample in x.chunks(tokens * features).take(batch) {
        let qkv: Vec<Vec<f64>> = sample.chunks(features).map(|row| linear(&attention.qkv, row)).collect();
        for query in &qkv {
            let mut mixed = vec![];
            for head in 0..heads {
                let part =
                    |row: &[f64], which: usize| row[which * features + head * width..][..width].to_vec();
                let q = part(query, 0);
                let score = |row: &Vec<f64>| {
                    let dot = q.iter().zip(part(row, 1)).map(|(a, b)| a * b).sum::<f64>();
                    (dot / (width as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = qkv.iter().map(score).collect();
                let total: f64 = scores.iter().sum();
                mixed.extend((0..width).map(|i| {
                    qkv.iter().zip(&scores).map(|(row, s)| s / total * part(row, 2)[i]).sum::<f64>()
                }));
            }
            wanted.extend(linear(&attention.output, &mixed));
        }
    }
    wanted
}

#[test]
fn numbers_that_do_not_divide_are_errors() {
    let device = Device::flex();
    let text = |error: residual_nn::Error| error.to_string();
    let heads = EncoderBlockConfig::new(10, 3).init(&device).unwrap_err();
    assert_eq!(text(heads), "10 features cannot be divided into 3 equal parts");
    let groups = UNetBlockConfig::new(8, 12, 4).init(&device).unwrap_err();
    assert_eq!(text(groups), "12 channels cannot be divided into 8 equal parts");
    assert!(UNetBlockConfig::new(8, 8, 4).with_groups(0).init(&device).is_err());
}
