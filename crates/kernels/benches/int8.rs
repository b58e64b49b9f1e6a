//! Convolutions of bytes beside those of floats, and beside the peak of `vpdpbusd`.
//!
//! `cargo bench -p residual-kernels --bench int8 [LAYER]`; `RESIDUAL_THREADS` sets the threads (2), `RESIDUAL_BATCH` the
//! batch (16). All that are compared run in turns; medians. The peak is 4 times that of float32's multiply-add, as
//! `--bench low_precision` measures it, where the machine has VNNI, and 2 times where it has only AVX2.

use std::time::Instant;

use residual_kernels::int8::{self, Operands, Output, Weights};
use residual_kernels::{Buffer, ConvShape, Cpu, Error, Layout, multiply_add_flat_out};

/// Samples of each; the median counts.
const SAMPLES: usize = 31;
/// Seconds of a sample, about.
const SAMPLE: f64 = 2e-3;

/// Layers of ResNet-18 and ResNet-50: channels, size, kernel, stride.
const LAYERS: [([usize; 2], usize, usize, usize); 20] = [
    ([3, 64], 224, 7, 2),
    ([64, 64], 56, 3, 1),
    ([64, 128], 56, 3, 2),
    ([128, 128], 28, 3, 1),
    ([128, 256], 28, 3, 2),
    ([256, 256], 14, 3, 1),
    ([256, 512], 14, 3, 2),
    ([512, 512], 7, 3, 1),
    ([64, 64], 56, 1, 1),
    ([64, 256], 56, 1, 1),
    ([256, 64], 56, 1, 1),
    ([256, 128], 56, 1, 1),
    ([128, 512], 28, 1, 1),
    ([512, 128], 28, 1, 1),
    ([256, 512], 56, 1, 2),
    ([256, 1024], 14, 1, 1),
    ([1024, 256], 14, 1, 1),
    ([512, 1024], 28, 1, 2),
    ([512, 2048], 7, 1, 1),
    ([2048, 512], 7, 1, 1),
];

fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A convolution of bytes, as a function that runs it.
fn bytes<'a>(cpu: &'a Cpu, shape: ConvShape) -> Result<Box<dyn FnMut() + 'a>, Error> {
    let [h, w] = shape.output()?;
    let ConvShape { batch, in_channels, out_channels, size, padding, .. } = shape;
    let input = match in_channels {
        3 => int8::image_layout(batch, size, padding[0])?,
        _ => Layout::blocked(batch, in_channels, size[0], size[1])?.with_border(padding[0])?,
    };
    let output = Layout::blocked(batch, out_channels, h, w)?;
    let narrow = number("RESIDUAL_BITS", 8) == 7;
    let conv = int8::Conv::new(cpu, shape, input, output, narrow)?;
    let values: Vec<i8> = (0..shape.weights()).map(|i| (i % 101) as i8 - 50).collect();
    let (factor, bias) = (vec![1e-3; out_channels], vec![0.1; out_channels]);
    let packed = conv.pack(&Weights { values: &values, factor: &factor, bias: &bias, zero: 0 })?;
    let x: Vec<u8> = (0..input.len()).map(|i| (i % 251) as u8).collect();
    let mut y = Buffer::zeroed(int8::floats_for(output.len()));
    Ok(Box::new(move || {
        let operands = Operands { x: &x, weights: &packed, residual: None, relu: true };
        conv.forward(cpu, &operands, Output::Bytes(int8::bytes_mut(&mut y), 0.05, 0)).expect("it ran before");
    }))
}

/// Seconds of a run.
fn seconds(run: &mut dyn FnMut(), repeats: usize) -> f64 {
    let start = Instant::now();
    (0..repeats).for_each(|_| run());
    start.elapsed().as_secs_f64() / repeats as f64
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn main() -> Result<(), Error> {
    let chosen: Option<usize> = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let cpu = Cpu::new(number("RESIDUAL_THREADS", 2))?;
    let (batch, dot) = (number("RESIDUAL_BATCH", 16), int8::DotProduct::of(cpu.isa()));
    let ratio = if dot.name().ends_with("vnni") { 4.0 } else { 2.0 };
    println!("{dot}, {} threads, batch {batch}", cpu.pool().threads());
    println!("{:28} {:>9} {:>9} {:>8}", "layer", "ms", "GOP/s", "of peak");
    for (index, &(channels, size, kernel, stride)) in LAYERS.iter().enumerate() {
        if chosen.is_some_and(|chosen| chosen != index) {
            continue;
        }
        let shape = ConvShape::square(batch, channels, size, kernel, stride);
        let mut run = bytes(&cpu, shape)?;
        run();
        let repeats = (SAMPLE / seconds(&mut run, 1)).ceil().max(1.0) as usize;
        let (mut times, mut peaks) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            let start = Instant::now();
            let operations = multiply_add_flat_out(&cpu, 300_000);
            peaks.push(start.elapsed().as_secs_f64() / operations);
            times.push(seconds(&mut run, repeats));
        }
        let (time, peak) = (median(&mut times), ratio / median(&mut peaks));
        let rate = shape.operations()? / time;
        let name = format!("{}->{}@{size} {kernel}x{kernel}/{stride}", channels[0], channels[1]);
        println!("{name:28} {:9.3} {:9.1} {:8.2}", time * 1e3, rate / 1e9, rate / peak);
    }
    Ok(())
}
