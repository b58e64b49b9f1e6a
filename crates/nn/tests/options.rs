//! Options of blocks through stock operations, against formulas written out and finite differences.

mod compare;

use burn::tensor::{Device, Tensor, TensorData};
use residual_arch::{
    AntiAlias, Attention, BlockSpec, ConvKind, Convolution, LayerOp, MaxPool, NetSpec, NormKind, StemSpec,
};
use residual_nn::beyond::GroupNorm;
use residual_nn::{Block, BlockConfig, Conv2d, EfficientAttention, Init, LayerModule, Mode};
use residual_testkit::formula;

use compare::{assert_close, input, values};

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
    let by_x = differences(&xs, &|xs| loss(xs, &weight));
    assert_close(&values(x.grad(&gradients).unwrap()), &by_x, 1e-5);
    let by_weight = differences(&weight, &|weight| loss(&xs, weight));
    assert_close(&values(attention.weight.val().grad(&gradients).unwrap()), &by_weight, 1e-5);
}

/// `(x - mean) / sqrt(var + epsilon)` over each piece of `each` values, in float64.
fn standardised(x: &[f64], each: usize, epsilon: f64) -> Vec<f64> {
    let piece = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean) / (variance + epsilon).sqrt()).collect::<Vec<_>>()
    };
    x.chunks(each).flat_map(piece).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[test]
fn a_group_norm_is_the_formula_and_so_is_its_gradient() {
    let device = Device::flex().autodiff();
    let norm = GroupNorm::new(2, 6, Init::new(4, &device)).unwrap();
    let x = input([2, 6, 2, 3], &device).require_grad();
    let of = |xs: &[f64]| standardised(xs, 3 * 6, 1e-5);
    let xs = wide(&values(x.clone()));
    let factors = formula::loss_weights(xs.len());
    let y = norm.forward(x.clone(), Mode::train(0, 0));
    assert_close(&values(y.clone()), &of(&xs), 1e-6);
    let loss = |xs: &[f64]| of(xs).iter().zip(&factors).map(|(y, &f)| y * f64::from(f)).sum::<f64>();
    let loss_weights = Tensor::from_data(TensorData::new(factors.clone(), [2, 6, 2, 3]), &device);
    let gradients = (y * loss_weights).sum().backward();
    assert_close(&values(x.grad(&gradients).unwrap()), &differences(&xs, &loss), 1e-5);
    assert!(norm.weight.val().grad(&gradients).is_some() && norm.bias.val().grad(&gradients).is_some());
}

#[test]
fn a_standardised_convolution_is_the_formula_and_so_is_its_gradient() {
    let device = Device::flex().autodiff();
    let conv = Convolution::new(4, 6, 1).with(|conv| (conv.groups, conv.kind) = (2, ConvKind::Standardised));
    let conv = Conv2d::new(&conv, Init::new(4, &device));
    // One pixel: what comes out is the weights times the channels of their group.
    let x = input([1, 4, 1, 1], &device);
    let (xs, weights) = (wide(&values(x.clone())), wide(&values(conv.weight.val())));
    let of = |weights: &[f64]| -> Vec<f64> {
        let rows = standardised(weights, 2, ConvKind::EPSILON);
        let row =
            |(o, row): (usize, &[f64])| row.iter().zip(&xs[o / 3 * 2..]).map(|(w, x)| w * x).sum::<f64>();
        rows.chunks(2).enumerate().map(row).collect()
    };
    let y = conv.forward(x, Mode::train(0, 0));
    assert_close(&values(y.clone()), &of(&weights), 1e-5);
    let conv = Convolution::new(3, 2, 3).with(|conv| conv.kind = ConvKind::Standardised);
    let conv = Conv2d::new(&conv, Init::new(5, &device));
    let x = input([1, 3, 3, 3], &device);
    let (xs, weights) = (wide(&values(x.clone())), wide(&values(conv.weight.val())));
    // The pixel in the middle sees the whole map.
    let loss = |weights: &[f64]| -> f64 {
        let rows = standardised(weights, 27, ConvKind::EPSILON);
        rows.chunks(27)
            .zip([1.0, -0.5])
            .map(|(w, f)| f * w.iter().zip(&xs).map(|(w, x)| w * x).sum::<f64>())
            .sum()
    };
    let middle = conv.forward(x, Mode::train(0, 0)).slice([0..1, 0..2, 1..2, 1..2]);
    let factors = Tensor::from_data(TensorData::new(vec![1.0f32, -0.5], [1, 2, 1, 1]), &device);
    let gradients = (middle * factors).sum().backward();
    let by_weight = differences(&weights, &loss);
    assert_close(&values(conv.weight.val().grad(&gradients).unwrap()), &by_weight, 1e-4);
}

/// The stem of one 1x1 convolution and a max pool padded with zeros.
#[test]
fn a_max_pool_may_be_padded_with_zeros() {
    let stem = StemSpec::new(vec![residual_arch::StemConv::same(1, 1, 1)]).with(|stem| {
        stem.bare = true;
        stem.pool = Some(MaxPool { zeros: true, ..MaxPool::HALVING });
    });
    let net = NetSpec::new("pool", [1, 5, 5], stem, vec![], residual_arch::HeadSpec::new(2))
        .with(|net| (net.preprocess.mean, net.preprocess.std) = (vec![0.0], vec![1.0]));
    let network = net.check([1, 5, 5]).unwrap();
    let pool = network.layers().iter().find(|layer| layer.op().is_pool()).unwrap();
    let pool = LayerModule::new(pool, &Device::flex()).unwrap();
    let x: Vec<f32> = (0..25).map(|i| -1.0 - i as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(x, [1, 1, 5, 5]), &Device::flex());
    let y = values(pool.forward(x, Mode::Eval));
    assert_eq!(y, [0.0, 0.0, 0.0, 0.0, -7.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_block_of_group_norms_trains_layer_by_layer() {
    let spec = BlockSpec::bottleneck(8, 4, 8, 1).with(|block| block.norm = NormKind::group(2));
    let [block, plain] = blocks(spec, BlockSpec::bottleneck(8, 4, 8, 1), 8);
    assert_eq!(block.num_params(), plain.num_params());
    assert_eq!(block.state().len(), 9);
    let x = input([2, 8, 5, 5], &Device::flex().autodiff());
    let gradients = block.forward(x, Mode::train(0, 0)).sum().backward();
    assert_eq!(block.gradients(&gradients).len(), 9);
}

/// Central differences of a loss at `at`.
fn differences(at: &[f64], loss: &dyn Fn(&[f64]) -> f64) -> Vec<f64> {
    let moved = |i: usize, by: f64| {
        let mut at = at.to_vec();
        at[i] += by;
        loss(&at)
    };
    (0..at.len()).map(|i| (moved(i, 1e-5) - moved(i, -1e-5)) / 2e-5).collect()
}

/// `[1, 2, 1]^T [1, 2, 1] / 16` on one map, pixel by pixel, in float64.
fn blurred(x: &[f64], [height, width]: [usize; 2], stride: usize) -> Vec<f64> {
    let reflected = |at: isize, side: usize| {
        let last = side as isize - 1;
        (last - (last - at.abs()).abs()) as usize
    };
    let pixel = |row: usize, column: usize| {
        let tap = |(u, v): (isize, isize)| {
            let [row, column] = [reflected(row as isize + u, height), reflected(column as isize + v, width)];
            f64::from((2 - u.abs() as i32) * (2 - v.abs() as i32)) / 16.0 * x[row * width + column]
        };
        (-1..=1).flat_map(|u| (-1..=1).map(move |v| (u, v))).map(tap).sum::<f64>()
    };
    let rows = (0..height).step_by(stride);
    rows.flat_map(|row| (0..width).step_by(stride).map(move |column| pixel(row, column))).collect()
}

/// The filter of an anti-aliased block, as a module.
fn filter(filter: AntiAlias, stride: usize) -> LayerModule {
    let shortcut = residual_arch::Shortcut::None;
    let spec = BlockSpec::basic(2).with(|block| {
        block.stride = stride;
        block.anti_alias = Some(filter);
        block.shortcut = shortcut;
    });
    let checked = spec.check([2, 12, 12]).unwrap();
    let is_filter = |op: &LayerOp| matches!(op, LayerOp::BlurPool(_) | LayerOp::AveragePool(_));
    let layer = checked.layers().iter().find(|layer| is_filter(layer.op())).unwrap();
    LayerModule::new(layer, &Device::flex()).unwrap()
}

#[test]
fn filters_are_their_formulas_and_so_are_their_gradients() {
    let device = Device::flex().autodiff();
    let averaged = |x: &[f64], [height, width]: [usize; 2], stride: usize| -> Vec<f64> {
        let mean = |row: usize, column: usize| {
            let window =
                (0..stride).flat_map(|u| (0..stride).map(move |v| (row * stride + u, column * stride + v)));
            window.map(|(row, column)| x[row * width + column]).sum::<f64>() / (stride * stride) as f64
        };
        (0..height / stride)
            .flat_map(|row| (0..width / stride).map(move |column| mean(row, column)))
            .collect()
    };
    type Formula<'a> = &'a dyn Fn(&[f64], [usize; 2], usize) -> Vec<f64>;
    let formulas: [(AntiAlias, Formula<'_>); 2] =
        [(AntiAlias::Blur, &blurred), (AntiAlias::Average, &averaged)];
    for (kind, function) in formulas {
        for (size, stride) in [([4, 6], 2), ([5, 7], 2), ([2, 3], 2), ([7, 4], 3)] {
            let [height, width] = size;
            if kind == AntiAlias::Average && size.iter().any(|&side| side < stride) {
                continue;
            }
            let x = input([1, 2, height, width], &device).require_grad();
            let y = filter(kind, stride).forward(x.clone(), Mode::train(0, 0));
            let xs: Vec<f64> = values(x.clone()).into_iter().map(f64::from).collect();
            let of = |xs: &[f64]| -> Vec<f64> {
                xs.chunks(height * width).flat_map(|map| function(map, size, stride)).collect()
            };
            assert_close(&values(y.clone()), &of(&xs), 1e-6);
            let shape = y.dims();
            let factors = formula::loss_weights(shape.iter().product());
            let loss = |xs: &[f64]| of(xs).iter().zip(&factors).map(|(y, &f)| y * f64::from(f)).sum::<f64>();
            let wanted = differences(&xs, &loss);
            let factors = Tensor::from_data(TensorData::new(factors.clone(), shape), &device);
            let gradients = (y * factors).sum().backward();
            assert_close(&values(x.grad(&gradients).unwrap()), &wanted, 1e-6);
        }
    }
}

/// A block with the option and one without, of the same seed.
fn blocks(spec: BlockSpec, plain: BlockSpec, channels: usize) -> [Block; 2] {
    let device = Device::flex().autodiff();
    [spec, plain].map(|spec| BlockConfig::new(spec, channels).init(Init::new(2, &device)).unwrap())
}

#[test]
fn a_block_with_efficient_attention_weighs_its_branch() {
    let spec = BlockSpec::basic(6).with(|block| block.attention = Some(Attention::Efficient { kernel: 3 }));
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
