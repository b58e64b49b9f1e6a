//! Single layers and blocks against formulas written out.

mod compare;

use burn::tensor::{Device, Tensor};
use residual_arch::{BlockSpec, Order, Shortcut as ShortcutSpec};
use residual_nn::fused::Path;
use residual_nn::{
    Activation, BasicBlockConfig, BatchNorm, BatchNormConfig, BlockConfig, Branch, Compute, Init, Linear,
    Mode, PlainBlockConfig, Residual, Shortcut, ShortcutPath, cross_entropy, soft_cross_entropy,
};

use compare::{assert_close, input, values};

/// Mean, biased and unbiased variance of every channel, in float64.
fn statistics(x: &Tensor<4>) -> Vec<(f64, f64, f64)> {
    let [batch, channels, height, width] = x.dims();
    let (map, all) = (height * width, values(x.clone()));
    let n = (batch * map) as f64;
    let channel = |c: usize| -> Vec<f64> {
        (0..batch).flat_map(|b| &all[(b * channels + c) * map..][..map]).map(|&v| f64::from(v)).collect()
    };
    let of = |values: Vec<f64>| {
        let mean = values.iter().sum::<f64>() / n;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        (mean, squares / n, squares / (n - 1.0))
    };
    (0..channels).map(|c| of(channel(c))).collect()
}

#[test]
fn batch_norm_has_pytorchs_statistics() {
    let device = Device::flex().autodiff();
    let norm = BatchNormConfig::new(3).init(&device);
    let x = input([2, 3, 4, 5], &device);
    let y = norm.forward(x.clone(), Mode::train(0, 0));
    let stats = statistics(&x);

    let normalised = |(i, &v): (usize, &f32)| {
        let (mean, biased, _) = stats[i / 20 % 3];
        (f64::from(v) - mean) / (biased + 1e-5).sqrt()
    };
    let wanted: Vec<f64> = values(x.clone()).iter().enumerate().map(normalised).collect();
    assert_close(&values(y), &wanted, 1e-5);

    // The value right after one step, and after a second: no lag.
    let mean = |share: f64| stats.iter().map(|s| share * s.0).collect::<Vec<_>>();
    let var = |share: f64| stats.iter().map(|s| (1.0 - share) + share * s.2).collect::<Vec<_>>();
    assert_close(&values(norm.running_mean.value()), &mean(0.1), 1e-6);
    assert_close(&values(norm.running_var.value()), &var(0.1), 1e-6);
    norm.forward(x, Mode::train(0, 1));
    assert_close(&values(norm.running_mean.value()), &mean(0.19), 1e-6);
    assert_close(&values(norm.running_var.value()), &var(0.19), 1e-6);
}

#[test]
fn batch_norm_in_evaluation_uses_the_running_values_and_keeps_them() {
    let device = Device::flex().autodiff();
    let norm = BatchNormConfig::new(3).init(&device);
    norm.forward(input([2, 3, 4, 5], &device), Mode::train(0, 0));
    let before = (values(norm.running_mean.value()), values(norm.running_var.value()));
    let x = input([1, 3, 1, 1], &device);
    let y = norm.forward(x.clone(), Mode::Eval);
    assert_eq!((values(norm.running_mean.value()), values(norm.running_var.value())), before);
    let wanted = |(c, v): (usize, f32)| {
        (f64::from(v) - f64::from(before.0[c])) / (f64::from(before.1[c]) + 1e-5).sqrt()
    };
    assert_close(&values(y), &values(x).into_iter().enumerate().map(wanted).collect::<Vec<_>>(), 1e-5);
}

#[test]
fn running_statistics_of_a_clone_are_its_own() {
    let device = Device::flex();
    let norm = BatchNormConfig::new(3).init(&device);
    let copy = norm.clone();
    norm.forward(input([2, 3, 4, 5], &device), Mode::train(0, 0));
    assert_eq!(values(copy.running_var.value()), [1.0; 3]);
    assert_ne!(values(norm.running_var.value()), [1.0; 3]);
}

/// As many steps from several threads as from one: none is lost, none is averaged away.
#[test]
fn running_statistics_take_every_step_of_every_thread() {
    let device = Device::flex();
    let x = input([2, 3, 4, 5], &device);
    let steps = |norm: &BatchNorm, n: u64| {
        (0..n).for_each(|step| drop(norm.forward(x.clone(), Mode::train(0, step))));
    };
    let alone = BatchNormConfig::new(3).init(&device);
    steps(&alone, 12);
    let shared = BatchNormConfig::new(3).init(&device);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| steps(&shared, 3));
        }
    });
    assert_eq!(values(shared.running_var.value()), values(alone.running_var.value()));
}

#[test]
#[should_panic(expected = "needs more than one value per channel in training")]
fn batch_norm_of_one_value_says_so() {
    let device = Device::flex();
    let _ = BatchNormConfig::new(3).init(&device).forward(input([1, 3, 1, 1], &device), Mode::train(0, 0));
}

#[test]
fn zero_pad_subsamples_and_pads_both_sides() {
    let device = Device::flex();
    let spec = ShortcutSpec::ZeroPad { channels: 4, stride: 2 };
    let shortcut = Shortcut::new(spec, Order::PostActivation, 2, &device).unwrap();
    let x = input([1, 2, 3, 5], &device);
    let y = shortcut.forward(x.clone(), Mode::Eval).unwrap();
    assert_eq!(y.dims(), [1, 4, 2, 3]);
    let x = values(x);
    let mut wanted = vec![0.0; 6];
    for channel in 0..2 {
        for (row, column) in [(0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4)] {
            wanted.push(x[channel * 15 + row * 5 + column]);
        }
    }
    wanted.extend([0.0; 6]);
    assert_eq!(values(y), wanted);
}

/// A window over the edge of an odd map averages what is there.
#[test]
fn average_pool_shortcut_counts_only_what_is_there() {
    let device = Device::flex().autodiff();
    let spec = ShortcutSpec::pooled_projection(1, 2);
    let shortcut = Shortcut::new(spec, Order::PreActivation, 1, &device).unwrap();
    let x = Tensor::<4>::from_floats([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]], &device);
    let x = x.require_grad();
    let y = shortcut.forward(x.clone(), Mode::Eval).unwrap();
    let weight = values(shortcut.layers.convs().next().unwrap().weight.val())[0];
    let wanted = [3.0, 4.5, 7.5, 9.0].map(|v| f64::from(weight) * v);
    assert_close(&values(y.clone()), &wanted, 1e-5);
    let gradient = values(x.grad(&y.sum().backward()).unwrap());
    let wanted = [0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 1.0].map(|v| f64::from(weight) * v);
    assert_close(&gradient, &wanted, 1e-6);
}

#[test]
fn average_pool_shortcut_at_stride_1_has_no_pool() {
    let device = Device::flex();
    let spec = |average_pool| ShortcutSpec::Projection { channels: 4, stride: 1, average_pool, kernel: 1 };
    let x = input([1, 2, 3, 3], &device);
    let give = |average_pool| {
        let shortcut = Shortcut::new(spec(average_pool), Order::PostActivation, 2, &device).unwrap();
        values(shortcut.forward(x.clone(), Mode::Eval).unwrap())
    };
    assert_eq!(give(true), give(false));
}

#[test]
fn a_plain_block_is_its_branch() {
    let device = Device::flex();
    let x = input([2, 4, 5, 5], &device);
    let mut plain = PlainBlockConfig::new(4, 4).init(&device).unwrap();
    // The same operations give the same bits; the kernels round otherwise.
    let stock = Compute { path: Path::Stock, ..Compute::default() };
    plain.set_compute(stock);
    let branch = plain.residual.branch.forward(x.clone(), Mode::Eval);
    assert_eq!(
        values(plain.forward(x.clone(), Mode::Eval)),
        values(Activation::Relu.forward(branch.clone()))
    );
    // The same seed gives the basic block the same layers: the shortcut is the whole difference.
    let mut basic = BasicBlockConfig::new(4).init(&device).unwrap();
    basic.set_compute(stock);
    assert_eq!(values(basic.forward(x.clone(), Mode::Eval)), values(Activation::Relu.forward(branch + x)));
}

#[test]
fn zero_init_starts_a_block_as_its_shortcut() {
    let device = Device::flex();
    let spec = BlockSpec::basic(4).with(|block| block.zero_init = true);
    let block = BlockConfig::new(spec, 4).init(&device).unwrap();
    let x = input([2, 4, 5, 5], &device);
    for mode in [Mode::Eval, Mode::train(0, 0)] {
        assert_eq!(values(block.forward(x.clone(), mode)), values(Activation::Relu.forward(x.clone())));
    }
}

#[test]
fn unsound_blocks_are_errors() {
    let device = Device::flex();
    let error = |spec, channels| BlockConfig::new(spec, channels).init(&device).unwrap_err().to_string();
    assert!(error(BlockSpec::basic(8), 4).contains("branch gives 8"), "{}", error(BlockSpec::basic(8), 4));
    error(BlockSpec::basic(8).with(|block| block.stride = 2), 8);
    error(BlockSpec::basic(8).with(|block| block.groups = 3), 8);
    error(BlockSpec::basic(0), 0);
}

/// `F(x) = 1`, whatever `x`.
#[derive(burn::module::Module, Debug)]
struct One {}

impl Branch<2> for One {
    fn forward(&self, x: Tensor<2>, _mode: Mode) -> Tensor<2> {
        x.ones_like()
    }
}

#[test]
fn stochastic_depth_drops_samples_and_keeps_the_expectation() {
    let device = Device::flex();
    let residual = Residual::new(One {}).with_stochastic_depth("one", 0.25);
    let x = Tensor::<2>::zeros([4000, 2], &device);
    let at = |mode| values(residual.forward(x.clone(), mode));
    assert_eq!(at(Mode::Eval), vec![1.0; 8000]);
    let drawn = at(Mode::train(1, 1));
    let kept = (1.0 / 0.75) as f32;
    assert!(drawn.chunks(2).all(|row| row == [0.0; 2] || row == [kept; 2]));
    let mean = drawn.iter().map(|&v| f64::from(v)).sum::<f64>() / 8000.0;
    assert!((mean - 1.0).abs() < 0.05, "{mean}");
    assert_eq!(drawn, at(Mode::train(1, 1)));
    assert_ne!(drawn, at(Mode::train(1, 2)));
    assert_ne!(drawn, at(Mode::train(2, 1)));
    let certain = Residual::new(One {}).with_stochastic_depth("one", 1.0);
    assert_eq!(values(certain.forward(x, Mode::train(1, 1))), vec![0.0; 8000]);
}

#[test]
fn linear_acts_on_the_last_axis() {
    let device = Device::flex();
    let layer = Linear::new(3, 2, Init::new(5, &device));
    let x = input([2, 2, 3], &device);
    let y = layer.forward(x.clone(), Mode::Eval);
    assert_eq!(y.dims(), [2, 2, 2]);
    let (weight, bias, x) = (values(layer.weight.val()), values(layer.bias.val()), values(x));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let row = |x: &[f32]| [0, 1].map(|o| dot(x, &weight[o * 3..][..3]) + f64::from(bias[o]));
    assert_close(&values(y), &x.chunks(3).flat_map(row).collect::<Vec<_>>(), 1e-6);
    let bound = 1.0 / 3f32.sqrt();
    assert!(weight.iter().chain(&bias).all(|v| v.abs() <= bound && *v != 0.0));
}

#[test]
fn cross_entropy_is_the_formula() {
    let device = Device::flex();
    let logits = input([3, 4], &device) * 3.0;
    let labels = [2, 0, 3];
    for smoothing in [0.0, 0.1] {
        let loss = cross_entropy(logits.clone(), &labels, smoothing).unwrap();
        let sample = |(row, &label): (&[f32], &usize)| {
            let log_sum = row.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
            let weight = |k| if k == label { 1.0 - smoothing } else { 0.0 } + smoothing / 4.0;
            row.iter().enumerate().map(|(k, &v)| weight(k) * (log_sum - f64::from(v))).sum::<f64>()
        };
        let wanted = values(logits.clone()).chunks(4).zip(&labels).map(sample).sum::<f64>() / 3.0;
        assert_close(&values(loss), &[wanted], 1e-6);
    }
}

#[test]
fn cross_entropy_survives_large_logits() {
    let device = Device::flex().autodiff();
    let logits = Tensor::<2>::from_floats([[1000.0, -1000.0]], &device).require_grad();
    let loss = cross_entropy(logits.clone(), &[1], 0.0).unwrap();
    assert_eq!(loss.clone().into_scalar::<f32>(), 2000.0);
    assert_eq!(values(logits.grad(&loss.backward()).unwrap()), [1.0, -1.0]);
}

/// Logits, probabilities, loss and gradient of `torch.nn.CrossEntropyLoss()(z, p)` in float64 (PyTorch 2.15).
type Soft = ([f32; 12], [f32; 12], f64, [f64; 12]);

const LOGITS: [f32; 12] = [0.5, -2.0, 3.0, 0.25, 1.0, 1.5, -0.25, -4.0, 12.0, -9.0, 0.0, 7.5];

const SOFT: [Soft; 2] = [
    // Labels 2, 0, 3 mixed with 3, 0, 1 by 0.3, 0.45, 0.8, with a label smoothing of 0.1.
    (
        LOGITS,
        [0.025, 0.025, 0.655, 0.295, 0.925, 0.025, 0.025, 0.025, 0.025, 0.745, 0.025, 0.205],
        6.414094101595848,
        [
            0.01540264329392805,
            -0.006384965724547689,
            0.07083005857967728,
            -0.07984773614905763,
            -0.19503033857074978,
            0.17847172416576343,
            0.024128518164771847,
            -0.007569903759785387,
            0.3213356822408096,
            -0.24833333308335984,
            -0.008331307776895334,
            -0.06467104138055443,
        ],
    ),
    (
        LOGITS,
        [0.7, 0.0, 0.3, 0.0, 0.0, 1.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25],
        3.952427434929181,
        [
            -0.20959735670607194,
            0.0019483676087856446,
            0.18916339191301057,
            0.018485597184275726,
            0.11330299476258354,
            -0.1465282758342366,
            0.03246185149810517,
            0.000763429573547946,
            0.24633568224080954,
            -0.0833333330833598,
            -0.08333130777689533,
            -0.07967104138055443,
        ],
    ),
];

#[test]
fn soft_targets_have_the_loss_and_the_gradient_of_pytorch() {
    let device = Device::flex().autodiff();
    for (logits, probabilities, wanted, gradient) in SOFT {
        let z = Tensor::<1>::from_floats(logits, &device).reshape([3, 4]).require_grad();
        let loss = soft_cross_entropy(z.clone(), &probabilities).unwrap();
        let gradients = loss.clone().backward();
        assert_close(&values(loss.inner()), &[wanted], 1e-6);
        assert_close(&values(z.grad(&gradients).unwrap()), &gradient, 1e-6);
        // Central differences of the loss without a graph, by the operations of Burn.
        let at = |place: usize, by: f32| {
            let mut moved = logits;
            moved[place] += by;
            let z = Tensor::<1>::from_floats(moved, &Device::flex()).reshape([3, 4]);
            f64::from(values(soft_cross_entropy(z, &probabilities).unwrap())[0])
        };
        for (place, wanted) in gradient.iter().enumerate() {
            let slope = (at(place, 0.05) - at(place, -0.05)) / 0.1;
            assert!((slope - wanted).abs() < 2e-4, "{place}: {slope} instead of {wanted}");
        }
    }
}

#[test]
fn soft_targets_of_one_label_are_that_label() {
    let device = Device::flex().autodiff();
    for smoothing in [0.0, 0.1] {
        let labels = [2, 0, 3];
        let mut probabilities = vec![(smoothing / 4.0) as f32; 12];
        for (row, label) in labels.iter().enumerate() {
            probabilities[row * 4 + label] += (1.0 - smoothing) as f32;
        }
        let run = |soft: bool| {
            let z = Tensor::<1>::from_floats(LOGITS, &device).reshape([3, 4]).require_grad();
            let loss = match soft {
                true => soft_cross_entropy(z.clone(), &probabilities).unwrap(),
                false => cross_entropy(z.clone(), &labels, smoothing).unwrap(),
            };
            let gradients = loss.clone().backward();
            [values(loss.inner()), values(z.grad(&gradients).unwrap())].concat()
        };
        let wanted: Vec<f64> = run(false).into_iter().map(f64::from).collect();
        assert_close(&run(true), &wanted, 1e-6);
    }
}

#[test]
fn wrong_probabilities_are_errors() {
    let logits = Tensor::<2>::zeros([2, 2], &Device::flex());
    let error =
        |probabilities: &[f32]| soft_cross_entropy(logits.clone(), probabilities).unwrap_err().to_string();
    assert!(error(&[0.5; 3]).contains("found 3"));
    assert!(error(&[0.5, 0.5, -0.5, 1.5]).starts_with("sample 1: the target of class 0 is -0.5"));
    assert!(error(&[0.5, f32::NAN, 0.5, 0.5]).contains("class 1 is NaN"));
    assert!(soft_cross_entropy(Tensor::zeros([0, 3], &Device::flex()), &[]).is_err());
}

#[test]
fn wrong_labels_are_errors() {
    let logits = Tensor::<2>::zeros([2, 3], &Device::flex());
    let error = |labels: &[usize], smoothing| {
        cross_entropy(logits.clone(), labels, smoothing).unwrap_err().to_string()
    };
    assert_eq!(error(&[0, 3], 0.0), "sample 1: label 3 is not one of 3 classes");
    assert_eq!(error(&[0], 0.0), "a batch of 2 samples needs as many labels and at least one, found 1");
    assert!(error(&[0, 1], 1.5).contains("1.5"));
    assert!(error(&[0, 1], f64::NAN).contains("NaN"));
    assert!(cross_entropy(Tensor::zeros([0, 3], &Device::flex()), &[], 0.0).is_err());
}
