//! The layers of ResNet-18, 34 and 50 and of the small network: effective rates beside the peak.
//!
//! `cargo bench -p residual-kernels --bench conv [-- FILTER ...]`: what is measured has all filters in
//! its name or its group's, such as `16x64->64@56 3x3/1 forward` and `3x3 batch 16 forward`.
//! `RESIDUAL_THREADS` sets the threads (2), `RESIDUAL_ISA` the instruction set. The effective rate is the
//! direct convolution's operations over time, so Winograd's may exceed the peak.

mod harness;

use residual_kernels::{
    Algorithm, Buffer, Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, Cpu, Epilogue, Error, Layout,
    Pass, select,
};

/// A layer: its group in the summary, and its shape.
struct Layer {
    group: &'static str,
    shape: ConvShape,
}

fn layers() -> Vec<Layer> {
    let mut all = Vec::new();
    let mut add = |group, batch, channels, size, kernel, stride| {
        all.push(Layer { group, shape: ConvShape::square(batch, channels, size, kernel, stride) });
    };
    for batch in [16, 1] {
        let group = if batch == 1 { "3x3 batch 1" } else { "3x3 batch 16" };
        for (channels, size) in [(64, 56), (128, 28), (256, 14), (512, 7)] {
            add(group, batch, [channels, channels], size, 3, 1);
        }
        let group = if batch == 1 { "3x3/2 batch 1" } else { "3x3/2 batch 16" };
        for (ins, outs, size) in
            [(64, 128, 56), (128, 128, 56), (128, 256, 28), (256, 256, 28), (256, 512, 14), (512, 512, 14)]
        {
            add(group, batch, [ins, outs], size, 3, 2);
        }
        let group = if batch == 1 { "1x1 batch 1" } else { "1x1 batch 16" };
        for (ins, outs, size, stride) in [
            (64, 64, 56, 1),
            (256, 64, 56, 1),
            (64, 256, 56, 1),
            (256, 128, 56, 1),
            (512, 128, 28, 1),
            (128, 512, 28, 1),
            (256, 512, 56, 2),
            (512, 256, 28, 1),
            (1024, 256, 14, 1),
            (256, 1024, 14, 1),
            (512, 1024, 28, 2),
            (1024, 512, 14, 1),
            (2048, 512, 7, 1),
            (512, 2048, 7, 1),
            (1024, 2048, 14, 2),
        ] {
            add(group, batch, [ins, outs], size, 1, stride);
        }
        add("stem", batch, [3, 64], 224, 7, 2);
    }
    for (channels, size) in [(32, 32), (64, 16), (128, 8)] {
        add("3x3 small network", 128, [channels, channels], size, 3, 1);
    }
    add("3x3/2 small network", 128, [32, 64], 32, 3, 2);
    add("3x3/2 small network", 128, [64, 128], 16, 3, 2);
    add("stem", 128, [3, 32], 32, 3, 1);
    all
}

/// What is measured of a layer, by the name that a filter may give.
const PASSES: [(&str, Pass); 3] =
    [("forward", Pass::Forward), ("data", Pass::BackwardData), ("weights", Pass::BackwardWeights)];

/// The maps and weights of a layer.
struct Operands {
    input: Layout,
    output: Layout,
    x: Buffer,
    y: Buffer,
    weights: Vec<f32>,
}

impl Operands {
    fn new(shape: &ConvShape) -> Option<Self> {
        let [h, w] = shape.output().ok()?;
        let planar = shape.in_channels < 16;
        let input = if planar { Layout::planar } else { Layout::blocked };
        let input = input(shape.batch, shape.in_channels, shape.size[0], shape.size[1]).ok()?;
        let input = input.with_border(shape.padding[0]).ok()?;
        let border = usize::from(shape.kernel[0] > 1);
        let output = Layout::blocked(shape.batch, shape.out_channels, h, w).ok()?.with_border(border).ok()?;
        let mut x = Buffer::zeroed(input.len());
        x.iter_mut().enumerate().for_each(|(i, x)| *x = (i % 13) as f32 / 13.0);
        let mut y = Buffer::zeroed(output.len());
        y.iter_mut().enumerate().for_each(|(i, y)| *y = (i % 11) as f32 / 11.0 - 0.4);
        let weights = (0..shape.weights()).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect();
        Some(Self { input, output, x, y, weights })
    }

    /// The algorithm of `pass`, and its time: the forward with bias and ReLU.
    fn measure(
        &mut self,
        cpu: &Cpu,
        pass: Pass,
        shape: ConvShape,
        algorithm: Option<Algorithm>,
    ) -> Result<(Algorithm, harness::Outcome), Error> {
        let (input, output) = (self.input, self.output);
        let algorithm = match algorithm {
            Some(algorithm) => algorithm,
            None if pass == Pass::BackwardData => select(pass, &shape, &output)?.algorithm,
            None => select(pass, &shape, &input)?.algorithm,
        };
        let (x, y) = (&mut self.x, &mut self.y);
        const CHECKED: &str = "the layer was checked when it was planned";
        let outcome = match pass {
            Pass::Forward => {
                let output = output.with_border(0)?;
                let conv = Conv::with_algorithm(cpu, shape, input, output, algorithm)?;
                let weights = conv.pack(&self.weights)?;
                let shift = vec![0.1; shape.out_channels];
                let epilogue = Epilogue { shift: Some(&shift), relu: true, ..Epilogue::default() };
                let (mut y, mut workspace) =
                    (Buffer::zeroed(output.len()), Buffer::zeroed(conv.workspace(cpu)));
                harness::measure(cpu, || {
                    conv.forward(cpu, x, &weights, &epilogue, None, &mut y, &mut workspace).expect(CHECKED);
                })
            }
            Pass::BackwardData => {
                let data = ConvBackwardData::with_algorithm(cpu, shape, output, input, algorithm)?;
                let (weights, epilogue) = (data.pack(&self.weights)?, Epilogue::default());
                let mut workspace = Buffer::zeroed(data.workspace(cpu));
                harness::measure(cpu, || {
                    data.run(cpu, y, &weights, &epilogue, x, &mut workspace).expect(CHECKED);
                })
            }
            Pass::BackwardWeights => {
                let by_weights = ConvBackwardWeights::with_algorithm(cpu, shape, input, output, algorithm)?;
                let mut workspace = Buffer::zeroed(by_weights.workspace(cpu));
                let dw = &mut self.weights;
                harness::measure(cpu, || by_weights.run(cpu, x, y, dw, &mut workspace).expect(CHECKED))
            }
        };
        Ok((algorithm, outcome))
    }
}

/// Measures one pass of a layer and prints it; returns the effective rate over the peak.
fn run(cpu: &Cpu, name: &str, pass: Pass, layer: &Layer, algorithm: Option<Algorithm>) -> Option<f64> {
    let shape = layer.shape;
    let (algorithm, outcome) = Operands::new(&shape)?.measure(cpu, pass, shape, algorithm).ok()?;
    let rate = shape.operations().ok()? / outcome.seconds;
    println!(
        "{name:38} {:20} {:9.3} ms ±{:3.0}% {:7.1} GFLOP/s, peak {:6.1}, ratio {:.2} ({} clean)",
        algorithm.to_string(),
        outcome.seconds * 1e3,
        outcome.spread * 100.0,
        rate / 1e9,
        outcome.peak / 1e9,
        rate / outcome.peak,
        outcome.clean,
    );
    Some(rate / outcome.peak)
}

/// A layer's name: `16x64->128@56 3x3/2`.
fn describe(shape: &ConvShape) -> String {
    let ConvShape { batch, in_channels, out_channels, size, kernel, stride, .. } = shape;
    format!("{batch}x{in_channels}->{out_channels}@{} {}x{}/{}", size[0], kernel[0], kernel[1], stride[0])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let all_algorithms = std::env::var_os("RESIDUAL_ALGORITHMS").is_some();
    let threads = std::env::var("RESIDUAL_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
    let cpu = Cpu::new(threads).expect("the threads and the instruction set can be had");
    println!("{} on {threads} threads", cpu.isa());
    let mut groups: Vec<(String, Vec<f64>)> = Vec::new();
    for (layer, (word, pass)) in layers().iter().flat_map(|layer| PASSES.map(|pass| (layer, pass))) {
        let name = format!("{} {word}", describe(&layer.shape));
        let group = format!("{} {word}", layer.group);
        if !arguments.iter().all(|a| name.contains(a) || group.contains(a.as_str())) {
            continue;
        }
        if all_algorithms {
            let Some(Operands { input, .. }) = Operands::new(&layer.shape) else { continue };
            for algorithm in Algorithm::candidates(&layer.shape, &input) {
                run(&cpu, &name, pass, layer, Some(algorithm));
            }
        } else if let Some(ratio) = run(&cpu, &name, pass, layer, None) {
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, ratios)) => ratios.push(ratio),
                None => groups.push((group, vec![ratio])),
            }
        }
    }
    for (group, ratios) in groups {
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        println!("mean over {:2} of {group}: {mean:.2} of the peak", ratios.len());
    }
}
