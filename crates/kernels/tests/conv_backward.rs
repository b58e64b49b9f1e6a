//! The gradients of convolutions against their definitions in float64, on every instruction set that the
//! machine has.

use proptest::prelude::*;
use residual_kernels::{
    Algorithm, ConvBackwardData, ConvBackwardWeights, ConvShape, Cpu, Epilogue, Error, Isa, Layout, MapsRef,
    convert,
};
use residual_testkit::naive::{Conv2d, noise, relative_error};

/// How a case is laid out: the borders of the input's side and the output's.
#[derive(Clone, Copy, Debug)]
struct Setting {
    planar: bool,
    borders: [usize; 2],
    threads: usize,
}

const SETTING: Setting = Setting { planar: false, borders: [1, 1], threads: 2 };

fn naive(shape: &ConvShape) -> Conv2d {
    let ConvShape { batch, in_channels, out_channels, size, kernel, stride, padding, dilation, groups } =
        *shape;
    Conv2d { batch, in_channels, out_channels, size, kernel, stride, padding, dilation, groups }
}

fn planar_of(layout: &Layout) -> Layout {
    Layout::planar(layout.batch(), layout.channels(), layout.height(), layout.width()).unwrap()
}

/// `values`, which are NCHW, as `to` says.
fn laid(values: &[f32], to: Layout) -> Vec<f32> {
    let mut laid = vec![f32::NAN; to.len()];
    convert(&Cpu::new(1).unwrap(), values, planar_of(&to), &mut laid, to).unwrap();
    laid
}

/// `values`, of layout `from`, as NCHW.
fn plain(values: &[f32], from: Layout) -> Vec<f32> {
    let mut plain = vec![f32::NAN; planar_of(&from).len()];
    convert(&Cpu::new(1).unwrap(), values, from, &mut plain, planar_of(&from)).unwrap();
    plain
}

/// A convolution, its operands as NCHW arrays.
struct Case {
    shape: ConvShape,
    x: Vec<f32>,
    dy: Vec<f32>,
    weights: Vec<f32>,
}

impl Case {
    fn new(shape: ConvShape) -> Self {
        let [h, w] = shape.output().unwrap();
        let x = noise(1, shape.batch * shape.in_channels * shape.size[0] * shape.size[1]);
        let dy = noise(3, shape.batch * shape.out_channels * h * w);
        Self { shape, x, dy, weights: noise(2, shape.weights()) }
    }

    fn layouts(&self, setting: Setting) -> [Layout; 2] {
        let ConvShape { batch, in_channels, out_channels, size: [h, w], .. } = self.shape;
        let input = if setting.planar { Layout::planar } else { Layout::blocked };
        let [oh, ow] = self.shape.output().unwrap();
        [
            input(batch, in_channels, h, w).unwrap().with_border(setting.borders[0]).unwrap(),
            Layout::blocked(batch, out_channels, oh, ow).unwrap().with_border(setting.borders[1]).unwrap(),
        ]
    }

    /// The gradient with respect to the input, in its own layout, added to `other` (in the same).
    fn data(
        &self,
        isa: Isa,
        algorithm: Algorithm,
        setting: Setting,
        other: Option<&[f32]>,
    ) -> Option<Vec<f32>> {
        let cpu = Cpu::with_isa(isa, setting.threads).unwrap();
        let [dx, dy] = self.layouts(setting);
        let backward = ConvBackwardData::with_algorithm(&cpu, self.shape, dy, dx, algorithm).ok()?;
        let mut weights = backward.pack(&vec![f32::NAN; self.weights.len()]).unwrap();
        backward.pack_into(&cpu, &self.weights, &mut weights).unwrap();
        let epilogue =
            Epilogue { residual: other.map(|other| MapsRef::new(other, dx)), ..Epilogue::default() };
        let (mut result, mut workspace) =
            (vec![f32::NAN; dx.len()], vec![f32::NAN; backward.workspace(&cpu)]);
        backward.run(&cpu, &laid(&self.dy, dy), &weights, &epilogue, &mut result, &mut workspace).unwrap();
        Some(result)
    }

    fn weights(&self, isa: Isa, algorithm: Algorithm, setting: Setting) -> Option<Vec<f32>> {
        let cpu = Cpu::with_isa(isa, setting.threads).unwrap();
        let [x, dy] = self.layouts(setting);
        let backward = ConvBackwardWeights::with_algorithm(&cpu, self.shape, x, dy, algorithm).ok()?;
        let (mut dw, mut workspace) =
            (vec![f32::NAN; self.weights.len()], vec![f32::NAN; backward.workspace(&cpu)]);
        backward.run(&cpu, &laid(&self.x, x), &laid(&self.dy, dy), &mut dw, &mut workspace).unwrap();
        Some(dw)
    }

    /// Holds every algorithm that applies, on every instruction set, against the definitions.
    fn check(&self, setting: Setting) {
        let by_input = naive(&self.shape).backward_data(&self.dy, &self.weights);
        let by_weights = naive(&self.shape).backward_weights(&self.x, &self.dy);
        let [dx, _] = self.layouts(setting);
        let (mut data, mut weights) = (0, 0);
        for (isa, algorithm) in
            Isa::available().into_iter().flat_map(|isa| Algorithm::all().map(move |a| (isa, a)))
        {
            let shape = self.shape;
            let hold = |pass: &str, found: &[f32], wanted: &[f64]| {
                let error = relative_error(found, wanted);
                assert!(
                    error <= algorithm.error_bound(),
                    "{pass} {isa} {algorithm} {shape:?} {setting:?}: {error:e}"
                );
            };
            if let Some(found) = self.data(isa, algorithm, setting, None) {
                let inside = plain(&found, dx);
                let sum = |values: &[f32]| values.iter().map(|&v| f64::from(v).abs()).sum::<f64>();
                assert!((sum(&found) - sum(&inside)).abs() <= 1e-9 * sum(&inside), "zero borders: {shape:?}");
                hold("data", &inside, &by_input);
                data += 1;
            }
            if let Some(found) = self.weights(isa, algorithm, setting) {
                hold("weights", &found, &by_weights);
                weights += 1;
            }
        }
        let isas = Isa::available().len();
        assert!(weights >= isas && (setting.planar || data >= isas), "nothing computes {:?}", self.shape);
    }
}

#[test]
fn edge_sizes_of_channels_and_images() {
    for channels in [[1, 1], [3, 17], [17, 3], [31, 33], [33, 31], [16, 64], [80, 48]] {
        for (size, kernel, stride) in [
            (1, 1, 1),
            (1, 3, 1),
            (5, 3, 1),
            (7, 3, 2),
            (6, 3, 2),
            (6, 1, 2),
            (9, 3, 1),
            (5, 3, 3),
            (7, 1, 3),
        ] {
            Case::new(ConvShape::square(1, channels, size, kernel, stride)).check(SETTING);
        }
    }
}

#[test]
fn borders_and_paddings_of_all_widths() {
    let square = ConvShape::square(2, [17, 20], 6, 3, 1);
    for padding in [[0, 0], [1, 1], [2, 2], [0, 2], [3, 1], [4, 5]] {
        for stride in [[1, 1], [2, 2], [1, 2], [3, 2]] {
            let case = Case::new(ConvShape { padding, stride, ..square });
            for borders in [[0, 0], [1, 2], [5, 0]] {
                case.check(Setting { borders, ..SETTING });
            }
        }
    }
}

#[test]
fn planar_inputs_and_large_kernels() {
    let shape = ConvShape::square(2, [3, 20], 15, 7, 2);
    for borders in [[0, 0], [3, 1]] {
        Case::new(shape).check(Setting { planar: true, borders, threads: 2 });
    }
    Case::new(ConvShape::square(1, [4, 17], 9, 5, 1)).check(Setting { planar: true, ..SETTING });
    Case::new(shape).check(SETTING);
}

#[test]
fn groups_and_dilation() {
    let square = ConvShape::square(2, [24, 48], 7, 3, 1);
    for groups in [2, 3, 8, 24] {
        for stride in [[1, 1], [2, 2]] {
            Case::new(ConvShape { groups, stride, ..square }).check(SETTING);
        }
    }
    for (dilation, padding) in [([2, 2], [2, 2]), ([1, 3], [1, 3]), ([3, 2], [0, 1])] {
        for stride in [[1, 1], [2, 2], [2, 3]] {
            Case::new(ConvShape { dilation, padding, stride, ..square }).check(SETTING);
        }
    }
}

#[test]
fn another_gradient_is_added() {
    for (kernel, stride) in [(3, 1), (3, 2), (1, 2), (1, 1)] {
        let case = Case::new(ConvShape::square(2, [33, 20], 6, kernel, stride));
        let [dx, _] = case.layouts(SETTING);
        let other = noise(9, planar_of(&dx).len());
        let mut wanted = naive(&case.shape).backward_data(&case.dy, &case.weights);
        wanted.iter_mut().zip(&other).for_each(|(w, &o)| *w += f64::from(o));
        for (isa, algorithm) in
            Isa::available().into_iter().flat_map(|isa| Algorithm::all().map(move |a| (isa, a)))
        {
            let Some(found) = case.data(isa, algorithm, SETTING, Some(&laid(&other, dx))) else { continue };
            let error = relative_error(&plain(&found, dx), &wanted);
            assert!(error <= algorithm.error_bound(), "{isa} {algorithm} {kernel}/{stride}: {error:e}");
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let shapes = [
        ConvShape::square(3, [48, 33], 14, 3, 1),
        ConvShape::square(3, [33, 48], 13, 3, 2),
        ConvShape::square(5, [64, 80], 7, 1, 2),
        ConvShape::square(1, [64, 80], 7, 3, 1),
        ConvShape::square(3, [16, 32], 28, 3, 1),
    ];
    for case in shapes.map(Case::new) {
        for (isa, algorithm) in
            Isa::available().into_iter().flat_map(|isa| Algorithm::all().map(move |a| (isa, a)))
        {
            let of = |threads| {
                let setting = Setting { threads, ..SETTING };
                (case.data(isa, algorithm, setting, None), case.weights(isa, algorithm, setting))
            };
            let one = of(1);
            for threads in [2, 3, 5] {
                assert!(of(threads) == one, "{isa} {algorithm} {:?} on {threads} threads", case.shape);
            }
        }
    }
}

/// Weight gradients: many images to a chunk, chunks and bands that share an image, several groups of
/// Winograd's tiles, and channels that do and do not fill their blocks.
#[test]
fn many_pixels_for_few_channels() {
    for channels in [[16, 32], [20, 33], [48, 16]] {
        for (batch, size, kernel, stride) in
            [(40, 3, 1, 1), (3, 23, 1, 1), (2, 34, 1, 2), (3, 28, 3, 1), (2, 41, 3, 2)]
        {
            let case = Case::new(ConvShape::square(batch, channels, size, kernel, stride));
            case.check(SETTING);
            case.check(Setting { borders: [kernel / 2, 0], ..SETTING });
        }
    }
    Case::new(ConvShape::square(3, [3, 20], 41, 7, 2)).check(Setting { planar: true, ..SETTING });
}

#[test]
fn not_a_number_and_infinity_propagate() {
    for (kernel, stride) in [(3, 1), (3, 2), (1, 1)] {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut case = Case::new(ConvShape::square(1, [16, 16], 8, kernel, stride));
            let middle = case.dy.len() / 2;
            case.dy[middle] = bad;
            for (isa, algorithm) in
                Isa::available().into_iter().flat_map(|isa| Algorithm::all().map(move |a| (isa, a)))
            {
                let hit = |found: Option<Vec<f32>>| found.is_none_or(|v| v.iter().any(|v| !v.is_finite()));
                assert!(hit(case.data(isa, algorithm, SETTING, None)), "data {isa} {algorithm}");
                assert!(hit(case.weights(isa, algorithm, SETTING)), "weights {isa} {algorithm}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let cpu = Cpu::new(1).unwrap();
    let shape = ConvShape::square(1, [16, 32], 8, 3, 1);
    let (x, dy) = (Layout::blocked(1, 16, 8, 8).unwrap(), Layout::blocked(1, 32, 8, 8).unwrap());
    let is_shape = |error: Option<Error>| assert!(matches!(error, Some(Error::Shape { .. })));
    is_shape(ConvBackwardData::new(&cpu, shape, x, dy).err());
    is_shape(ConvBackwardWeights::new(&cpu, shape, dy, x).err());
    is_shape(ConvBackwardWeights::new(&cpu, shape, x, Layout::planar(1, 32, 8, 8).unwrap()).err());
    let winograd2 = Algorithm::named("winograd2").unwrap();
    is_shape(ConvBackwardWeights::with_algorithm(&cpu, shape, x, dy, winograd2).err());
    let data = ConvBackwardData::new(&cpu, shape, dy, x).unwrap();
    let weights = data.pack(&vec![0.0; shape.weights()]).unwrap();
    assert!(matches!(data.pack(&[0.0; 3]), Err(Error::Length { .. })));
    let (mut dx, mut workspace) = (vec![0.0; x.len()], vec![0.0; data.workspace(&cpu)]);
    let gradient = vec![0.0; dy.len()];
    let mut run = |dy: &[f32], weights: &_, dx: &mut [f32]| {
        data.run(&cpu, dy, weights, &Epilogue::default(), dx, &mut workspace)
    };
    assert!(run(&gradient, &weights, &mut dx).is_ok());
    assert!(matches!(run(&gradient[1..], &weights, &mut dx), Err(Error::Length { .. })));
    assert!(matches!(run(&gradient, &weights, &mut dx[1..]), Err(Error::Length { .. })));
    let strided = ConvShape::square(1, [16, 32], 16, 3, 2);
    let wide = Layout::blocked(1, 16, 16, 16).unwrap();
    let other = ConvBackwardData::new(&cpu, strided, dy, wide).unwrap();
    let foreign = other.pack(&vec![0.0; strided.weights()]).unwrap();
    is_shape(run(&gradient, &foreign, &mut dx).err());
    let by_weights = ConvBackwardWeights::new(&cpu, shape, x, dy).unwrap();
    let mut workspace = vec![0.0; by_weights.workspace(&cpu)];
    let mut dw = vec![0.0; shape.weights()];
    let x = vec![0.0; x.len()];
    assert!(by_weights.run(&cpu, &x, &gradient, &mut dw[1..], &mut workspace).is_err());
    assert!(by_weights.run(&cpu, &x, &gradient, &mut dw, &mut workspace[1..]).is_err());
    assert!(by_weights.run(&cpu, &x, &gradient, &mut dw, &mut workspace).is_ok());
}

/// At stride 2 the order of the weights follows from stride, padding and dilation; elsewhere it does not.
#[test]
fn packed_weights_serve_where_their_order_is_the_same() {
    let cpu = Cpu::new(1).unwrap();
    let plan = |shape: ConvShape| {
        let [h, w] = shape.output().unwrap();
        let dx = Layout::blocked(1, 16, shape.size[0], shape.size[1]).unwrap();
        let direct = Algorithm::named("direct").unwrap();
        ConvBackwardData::with_algorithm(&cpu, shape, Layout::blocked(1, 32, h, w).unwrap(), dx, direct)
            .unwrap()
    };
    let serves = |packed_for: ConvShape, used_for: ConvShape| {
        let weights = plan(packed_for).pack(&vec![0.1; packed_for.weights()]).unwrap();
        let user = plan(used_for);
        let (dy, mut dx) = (vec![1.0; user.dy().len()], vec![0.0; user.dx().len()]);
        let mut workspace = vec![0.0; user.workspace(&cpu)];
        user.run(&cpu, &dy, &weights, &Epilogue::default(), &mut dx, &mut workspace).is_ok()
    };
    let plain = ConvShape::square(1, [16, 32], 9, 3, 1);
    let strided = ConvShape { stride: [2, 2], ..plain };
    assert!(serves(plain, ConvShape { size: [5, 7], padding: [0, 2], ..plain }));
    assert!(serves(strided, ConvShape { size: [5, 7], ..strided }));
    for other in [
        plain,
        ConvShape { stride: [2, 1], ..strided },
        ConvShape { dilation: [2, 2], padding: [2, 2], ..strided },
        ConvShape { kernel: [1, 1], padding: [0, 0], ..strided },
    ] {
        assert!(!serves(strided, other), "{other:?}");
        assert!(!serves(other, strided), "{other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_shapes(
        batch in 1_usize..3, ins in 1_usize..40, outs in 1_usize..40, h in 1_usize..12, w in 1_usize..12,
        kernel in prop::array::uniform2(1_usize..5), stride in prop::array::uniform2(1_usize..4),
        padding in prop::array::uniform2(0_usize..4), dilation in prop::array::uniform2(1_usize..3),
        borders in prop::array::uniform2(0_usize..4),
    ) {
        let shape = ConvShape {
            batch, in_channels: ins, out_channels: outs, size: [h, w], kernel, stride, padding, dilation, groups: 1,
        };
        prop_assume!(shape.output().is_ok());
        Case::new(shape).check(Setting { borders, ..SETTING });
    }
}
