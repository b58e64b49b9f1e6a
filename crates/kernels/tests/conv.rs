//! Convolutions against their definition in float64, on every instruction set that the machine has.

use proptest::prelude::*;
use residual_kernels::{
    Algorithm, Buffer, Conv, ConvShape, Cpu, Epilogue, Error, Isa, Layout, MapsRef, Sums, convert,
};
use residual_testkit::naive::{Conv2d, noise, relative_error};

/// How a case is laid out.
#[derive(Clone, Copy, Debug)]
struct Setting {
    planar: bool,
    input_border: usize,
    output_border: usize,
    threads: usize,
}

const SETTING: Setting = Setting { planar: false, input_border: 1, output_border: 0, threads: 2 };

fn naive(shape: &ConvShape) -> Conv2d {
    let ConvShape { batch, in_channels, out_channels, size, kernel, stride, padding, dilation, groups } =
        *shape;
    Conv2d { batch, in_channels, out_channels, size, kernel, stride, padding, dilation, groups }
}

/// A convolution, its operands as NCHW arrays, and what it should give.
struct Case {
    shape: ConvShape,
    x: Vec<f32>,
    weights: Vec<f32>,
    wanted: Vec<f64>,
}

impl Case {
    fn new(shape: ConvShape) -> Self {
        let x = noise(1, shape.batch * shape.in_channels * shape.size[0] * shape.size[1]);
        let weights = noise(2, shape.weights());
        let wanted = naive(&shape).forward(&x, &weights);
        Self { shape, x, weights, wanted }
    }

    fn output(&self) -> Layout {
        let [h, w] = self.shape.output().unwrap();
        Layout::planar(self.shape.batch, self.shape.out_channels, h, w).unwrap()
    }

    fn layouts(&self, setting: Setting) -> (Layout, Layout) {
        let ConvShape { batch, in_channels, out_channels, size: [h, w], .. } = self.shape;
        let input = if setting.planar { Layout::planar } else { Layout::blocked };
        let [oh, ow] = self.shape.output().unwrap();
        (
            input(batch, in_channels, h, w).unwrap().with_border(setting.input_border).unwrap(),
            Layout::blocked(batch, out_channels, oh, ow).unwrap().with_border(setting.output_border).unwrap(),
        )
    }

    /// The output in its own layout, by `algorithm`; `None` where that cannot compute it.
    fn raw(
        &self,
        isa: Isa,
        algorithm: Algorithm,
        setting: Setting,
        epilogue: &Epilogue<'_>,
        sums: Option<Sums<'_>>,
    ) -> Option<(Vec<f32>, Layout)> {
        let cpu = Cpu::with_isa(isa, setting.threads).unwrap();
        let (input, output) = self.layouts(setting);
        let conv = Conv::with_algorithm(&cpu, self.shape, input, output, algorithm).ok()?;
        let mut x = vec![f32::NAN; input.len()];
        let planar = Layout::planar(input.batch(), input.channels(), input.height(), input.width()).unwrap();
        convert(&cpu, &self.x, planar, &mut x, input).unwrap();
        let weights = conv.pack(&self.weights).unwrap();
        // Nothing may be read before it is written.
        let mut y = vec![f32::NAN; output.len()];
        let mut workspace = vec![f32::NAN; conv.workspace(&cpu)];
        conv.forward(&cpu, &x, &weights, epilogue, sums, &mut y, &mut workspace).unwrap();
        Some((y, output))
    }

    /// The output as NCHW.
    fn run(&self, isa: Isa, algorithm: Algorithm, setting: Setting) -> Option<Vec<f32>> {
        let (y, output) = self.raw(isa, algorithm, setting, &Epilogue::default(), None)?;
        let plain: f64 = y.iter().map(|&v| f64::from(v).abs()).sum();
        let y = self.to_planar(&y, output);
        let inside: f64 = y.iter().map(|&v| f64::from(v).abs()).sum();
        assert!((plain - inside).abs() <= 1e-9 * inside, "border and spare lanes are zero: {:?}", self.shape);
        Some(y)
    }

    fn to_planar(&self, y: &[f32], from: Layout) -> Vec<f32> {
        let to = self.output();
        let mut planar = vec![f32::NAN; to.len()];
        convert(&Cpu::new(1).unwrap(), y, from, &mut planar, to).unwrap();
        planar
    }

    /// Holds every algorithm that applies, on every instruction set, against the definition.
    fn check(&self, setting: Setting) {
        let mut ran = 0;
        for isa in Isa::available() {
            for algorithm in Algorithm::all() {
                let Some(y) = self.run(isa, algorithm, setting) else { continue };
                let error = relative_error(&y, &self.wanted);
                let shape = self.shape;
                assert!(
                    error <= algorithm.error_bound(),
                    "{isa} {algorithm} {shape:?} {setting:?}: {error:e}"
                );
                ran += 1;
            }
        }
        assert!(ran >= Isa::available().len(), "nothing computes {:?}", self.shape);
    }
}

#[test]
fn edge_sizes_of_channels_and_images() {
    for channels in [[1, 1], [3, 17], [17, 3], [31, 33], [33, 31], [16, 64]] {
        for (size, kernel, stride) in [(1, 1, 1), (1, 3, 1), (5, 3, 1), (7, 3, 2), (6, 1, 2), (9, 3, 1)] {
            Case::new(ConvShape::square(1, channels, size, kernel, stride)).check(SETTING);
        }
    }
}

#[test]
fn borders_narrower_and_wider_than_the_padding() {
    let square = ConvShape::square(2, [17, 20], 6, 3, 1);
    for padding in [[0, 0], [1, 1], [2, 2], [0, 2], [3, 1]] {
        let case = Case::new(ConvShape { padding, ..square });
        for (input_border, output_border) in [(0, 0), (1, 1), (2, 0), (3, 2)] {
            case.check(Setting { input_border, output_border, ..SETTING });
        }
    }
}

#[test]
fn planar_inputs() {
    for (channels, size, kernel, stride) in [([3, 20], 12, 7, 2), ([3, 32], 9, 3, 1), ([1, 5], 4, 1, 2)] {
        let case = Case::new(ConvShape::square(2, channels, size, kernel, stride));
        for input_border in [0, 3] {
            case.check(Setting { planar: true, input_border, ..SETTING });
        }
    }
}

#[test]
fn any_stride_dilation_and_kernel() {
    let square = ConvShape::square(1, [18, 19], 11, 3, 1);
    let shapes = [
        ConvShape { stride: [2, 3], ..square },
        ConvShape { stride: [4, 1], kernel: [1, 1], padding: [0, 0], ..square },
        ConvShape { dilation: [2, 3], padding: [2, 3], ..square },
        ConvShape { kernel: [1, 5], padding: [0, 2], ..square },
        ConvShape { kernel: [5, 2], padding: [4, 0], stride: [1, 2], ..square },
        ConvShape { size: [3, 14], ..square },
        ConvShape { size: [14, 3], padding: [1, 0], ..square },
    ];
    for shape in shapes {
        for planar in [false, true] {
            Case::new(shape).check(Setting { planar, ..SETTING });
        }
    }
}

#[test]
fn groups_of_every_width() {
    for (groups, channels) in
        [(2, [32, 64]), (4, [64, 32]), (32, [64, 128]), (3, [9, 51]), (5, [35, 35]), (17, [17, 17])]
    {
        for stride in [1, 2] {
            let shape = ConvShape { groups, ..ConvShape::square(2, channels, 5, 3, stride) };
            Case::new(shape).check(SETTING);
            Case::new(shape).check(Setting { planar: true, ..SETTING });
        }
    }
}

/// Sums over more channels than one pass of the micro-kernel takes, many bands, many tile blocks.
#[test]
fn deep_and_large_layers() {
    for (batch, channels, size, kernel, stride) in
        [(1, [512, 32], 4, 3, 1), (2, [600, 40], 3, 1, 1), (1, [24, 40], 40, 3, 1), (3, [64, 48], 17, 3, 2)]
    {
        Case::new(ConvShape::square(batch, channels, size, kernel, stride)).check(SETTING);
    }
}

#[test]
fn the_epilogue_scales_shifts_adds_and_rectifies() {
    for (size, kernel, residual_border) in [(9, 3, 0), (9, 3, 2), (6, 1, 0), (6, 1, 1)] {
        let case = Case::new(ConvShape::square(2, [20, 35], size, kernel, 1));
        let (scale, shift) = (noise(3, 35), noise(4, 35));
        let residual = noise(5, case.wanted.len());
        let layout = Layout::blocked(2, 35, size, size).unwrap().with_border(residual_border).unwrap();
        let mut blocked = vec![0.0; layout.len()];
        convert(&Cpu::new(1).unwrap(), &residual, case.output(), &mut blocked, layout).unwrap();
        let epilogue = Epilogue {
            scale: Some(&scale),
            shift: Some(&shift),
            residual: Some(MapsRef::new(&blocked, layout)),
            relu: true,
        };
        let wanted: Vec<f64> = (0..case.wanted.len())
            .map(|i| {
                let channel = i / (size * size) % 35;
                let y = f64::from(scale[channel]) * case.wanted[i] + f64::from(shift[channel]);
                (y + f64::from(residual[i])).max(0.0)
            })
            .collect();
        for isa in Isa::available() {
            for algorithm in Algorithm::all() {
                let setting = Setting { output_border: 1, ..SETTING };
                let Some((y, output)) = case.raw(isa, algorithm, setting, &epilogue, None) else { continue };
                let error = relative_error(&case.to_planar(&y, output), &wanted);
                assert!(error <= algorithm.error_bound(), "{isa} {algorithm}: {error:e}");
            }
        }
    }
}

#[test]
fn the_sums_are_those_of_the_results_before_the_epilogue() {
    for (batch, size, kernel, stride) in [(2, 30, 3, 1), (1, 5, 3, 1), (3, 7, 3, 2), (2, 9, 1, 1)] {
        let case = Case::new(ConvShape::square(batch, [20, 35], size, kernel, stride));
        let [h, w] = case.shape.output().unwrap();
        let of = |power: i32| {
            let mut sums = vec![0.0; 35];
            case.wanted.iter().enumerate().for_each(|(i, v)| sums[i / (h * w) % 35] += v.powi(power));
            sums
        };
        let epilogue = Epilogue { relu: true, ..Epilogue::default() };
        for isa in Isa::available() {
            for algorithm in Algorithm::all() {
                let (mut sum, mut squares) = (vec![f32::NAN; 35], vec![f32::NAN; 35]);
                let sums = Sums { sum: &mut sum, squares: &mut squares };
                if case.raw(isa, algorithm, SETTING, &epilogue, Some(sums)).is_some() {
                    // A sum of both signs loses what cancels, so its error is against the squares' root.
                    let scale = of(2).iter().sum::<f64>().sqrt() * ((batch * h * w) as f64).sqrt();
                    let error = sum.iter().zip(of(1)).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum::<f64>();
                    assert!(error.sqrt() <= algorithm.error_bound() * scale, "{isa} {algorithm}: {error:e}");
                    let error = relative_error(&squares, &of(2));
                    assert!(error <= 2.0 * algorithm.error_bound(), "{isa} {algorithm}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (batch, channels, size, kernel, stride) in
        [(3, [33, 40], 21, 3, 1), (1, [40, 70], 6, 3, 1), (2, [20, 40], 13, 3, 2), (2, [40, 50], 8, 1, 1)]
    {
        let case = Case::new(ConvShape::square(batch, channels, size, kernel, stride));
        for isa in Isa::available() {
            for algorithm in Algorithm::all() {
                let run = |threads: usize| {
                    let (mut sum, mut squares) = (vec![0.0; channels[1]], vec![0.0; channels[1]]);
                    let sums = Sums { sum: &mut sum, squares: &mut squares };
                    let setting = Setting { threads, ..SETTING };
                    let (y, _) = case.raw(isa, algorithm, setting, &Epilogue::default(), Some(sums))?;
                    Some([y, sum, squares].map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>()))
                };
                let one = run(1);
                for threads in [2, 5] {
                    assert!(run(threads) == one, "{isa} {algorithm} on {threads} threads");
                }
            }
        }
    }
}

#[test]
fn nan_and_infinity_reach_every_output_that_depends_on_them() {
    for bad in [f32::NAN, f32::INFINITY] {
        for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2)] {
            let mut case = Case::new(ConvShape::square(1, [17, 18], 8, kernel, stride));
            // Channel 16, row 4, column 4: no power-of-two boundary, read at either stride.
            case.x[16 * 64 + 4 * 8 + 4] = bad;
            let wanted = naive(&case.shape).forward(&case.x, &case.weights);
            for isa in Isa::available() {
                for algorithm in Algorithm::all() {
                    let epilogue = Epilogue { relu: bad.is_nan(), ..Epilogue::default() };
                    let Some((y, output)) = case.raw(isa, algorithm, SETTING, &epilogue, None) else {
                        continue;
                    };
                    let y = case.to_planar(&y, output);
                    for (i, (found, wanted)) in y.iter().zip(&wanted).enumerate() {
                        assert!(
                            wanted.is_finite() || !found.is_finite(),
                            "{isa} {algorithm} output {i}: {found}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_writes_nothing() {
    let cpu = Cpu::new(1).unwrap();
    let shape = ConvShape::square(1, [20, 24], 6, 3, 1);
    let (input, output) = (Layout::blocked(1, 20, 6, 6).unwrap(), Layout::blocked(1, 24, 6, 6).unwrap());
    let conv = Conv::new(&cpu, shape, input, output).unwrap();
    assert!(matches!(conv.pack(&[0.0; 5]), Err(Error::Length { found: 5, .. })));
    let weights = conv.pack(&vec![0.1; shape.weights()]).unwrap();
    let other = Conv::new(
        &cpu,
        ConvShape { in_channels: 19, ..shape },
        Layout::blocked(1, 19, 6, 6).unwrap(),
        output,
    );
    let foreign = other.unwrap().pack(&vec![0.1; 24 * 19 * 9]).unwrap();

    let (x, mut y) = (Buffer::zeroed(input.len()), vec![7.0; output.len()]);
    let mut workspace = vec![0.0; conv.workspace(&cpu)];
    let short = &[0.0; 23][..];
    let plain = Epilogue::default();
    let wrong_residual = Layout::blocked(1, 24, 6, 5).unwrap();
    let maps = vec![0.0; output.len()];
    let epilogues = [
        Epilogue { scale: Some(short), ..plain },
        Epilogue { shift: Some(short), ..plain },
        Epilogue { residual: Some(MapsRef::new(&maps, wrong_residual)), ..plain },
        Epilogue { residual: Some(MapsRef::new(&maps[1..], output)), ..plain },
    ];
    for epilogue in epilogues {
        assert!(conv.forward(&cpu, &x, &weights, &epilogue, None, &mut y, &mut workspace).is_err());
    }
    assert!(conv.forward(&cpu, &x[1..], &weights, &plain, None, &mut y, &mut workspace).is_err());
    assert!(conv.forward(&cpu, &x, &foreign, &plain, None, &mut y, &mut workspace).is_err());
    assert!(conv.forward(&cpu, &x, &weights, &plain, None, &mut y[1..], &mut workspace).is_err());
    assert!(conv.forward(&cpu, &x, &weights, &plain, None, &mut y, &mut workspace[1..]).is_err());
    let sums = Sums { sum: &mut [0.0; 24], squares: &mut [0.0; 25] };
    assert!(conv.forward(&cpu, &x, &weights, &plain, Some(sums), &mut y, &mut workspace).is_err());
    let portable = Cpu::with_isa(Isa::named("portable-wide").unwrap(), 1).unwrap();
    assert!(conv.forward(&portable, &x, &weights, &plain, None, &mut y, &mut workspace).is_err());
    assert_eq!(y, vec![7.0; output.len()]);
}

/// Two methods may have as many packed weights, in another order.
#[test]
fn weights_packed_by_another_method_are_refused() {
    let cpu = Cpu::new(1).unwrap();
    for (kernel, stride) in [(3, 1), (3, 2), (1, 1)] {
        let shape = ConvShape::square(1, [20, 24], 6, kernel, stride);
        let [h, w] = shape.output().unwrap();
        let (input, output) = (Layout::blocked(1, 20, 6, 6).unwrap(), Layout::blocked(1, 24, h, w).unwrap());
        let by = |algorithm| Conv::with_algorithm(&cpu, shape, input, output, algorithm).ok();
        let all: Vec<_> = Algorithm::all().filter_map(by).collect();
        assert!(all.len() > 1);
        let x = vec![0.5; input.len()];
        for (conv, other) in all.iter().flat_map(|conv| all.iter().map(move |other| (conv, other))) {
            let mut weights = other.pack(&vec![0.1; shape.weights()]).unwrap();
            let (mut y, mut workspace) = (vec![7.0; output.len()], vec![0.0; conv.workspace(&cpu)]);
            let plain = Epilogue::default();
            let ran = conv.forward(&cpu, &x, &weights, &plain, None, &mut y, &mut workspace);
            let packed = conv.pack_into(&cpu, &vec![0.2; shape.weights()], &mut weights);
            if conv.algorithm() == other.algorithm() {
                assert!(ran.is_ok() && packed.is_ok());
            } else {
                assert!(matches!(ran, Err(Error::Shape { .. })), "{ran:?}");
                assert!(matches!(packed, Err(Error::Shape { .. })), "{packed:?}");
                assert_eq!(y, vec![7.0; output.len()]);
            }
        }
    }
}

#[test]
fn layouts_that_a_convolution_cannot_use_are_errors() {
    let cpu = Cpu::new(1).unwrap();
    let shape = ConvShape::square(1, [20, 24], 6, 3, 1);
    let (input, output) = (Layout::blocked(1, 20, 6, 6).unwrap(), Layout::blocked(1, 24, 6, 6).unwrap());
    let (nhwc, nchw) = (Layout::interleaved(1, 20, 6, 6).unwrap(), Layout::planar(1, 24, 6, 6).unwrap());
    for (input, output) in [(nhwc, output), (input, nchw), (output, output), (input, input)] {
        assert!(matches!(Conv::new(&cpu, shape, input, output), Err(Error::Shape { .. })));
    }
    for algorithm in ["pointwise", "winograd4"].map(|key| Algorithm::named(key).unwrap()) {
        let strided = ConvShape { stride: [2, 2], ..shape };
        let output = Layout::blocked(1, 24, 3, 3).unwrap();
        assert!(Conv::with_algorithm(&cpu, strided, input, output, algorithm).is_err());
    }
}

fn any_shape() -> impl Strategy<Value = ConvShape> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let channels = (1..4_usize, 1..14_usize, 1..14_usize);
    (1..3_usize, channels, pair(1..12), pair(1..5), pair(1..4), pair(0..4), pair(1..3))
        .prop_map(|(batch, (groups, ins, outs), size, kernel, stride, padding, dilation)| ConvShape {
            batch,
            in_channels: groups * ins,
            out_channels: groups * outs,
            size,
            kernel,
            stride,
            padding,
            dilation,
            groups,
        })
        .prop_filter("the kernel fits", |shape| shape.output().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_shapes(shape in any_shape(), planar: bool, input_border in 0..4_usize, output_border in 0..2_usize) {
        Case::new(shape).check(Setting { planar, input_border, output_border, threads: 2 });
    }
}
