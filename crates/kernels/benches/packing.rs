//! Packing weights, as training does at every step, beside a copy of as many floats as are packed.
//!
//! `cargo bench -p residual-kernels --bench packing`; `RESIDUAL_THREADS` sets the threads (2),
//! `RESIDUAL_ISA` the instruction set. A ratio of 1 is the time of the copy, 0.5 twice that.

#[expect(dead_code, reason = "the peak is for convolutions")]
mod harness;

use residual_kernels::norm::{apply, apply_workspace};
use residual_kernels::{
    Algorithm, Buffer, Conv, ConvBackwardData, ConvShape, Cpu, Epilogue, Layout, MapsMut, MapsRef,
};

/// In- and output channels, kernel and stride: layers of ResNet-18 and 50, and the stem.
const LAYERS: [(usize, usize, usize, usize); 12] = [
    (3, 64, 7, 2),
    (64, 256, 1, 1),
    (512, 256, 1, 1),
    (1024, 512, 1, 1),
    (512, 2048, 1, 1),
    (1024, 2048, 1, 2),
    (128, 128, 3, 2),
    (256, 256, 3, 2),
    (512, 512, 3, 2),
    (64, 64, 3, 1),
    (256, 256, 3, 1),
    (512, 512, 3, 1),
];

/// What the layers below need not say.
const SOUND: &str = "the layers are possible";

/// Seconds that a copy of `len` floats takes on all threads.
fn copy(cpu: &Cpu, len: usize) -> f64 {
    let maps = Layout::blocked(1, 16, len.div_ceil(1024), 64).expect(SOUND);
    let (x, mut y, mut workspace) =
        (Buffer::zeroed(maps.len()), Buffer::zeroed(maps.len()), Buffer::zeroed(apply_workspace(&maps)));
    let epilogue = Epilogue::default();
    harness::measure(cpu, || {
        apply(cpu, MapsRef::new(&x, maps), &epilogue, MapsMut::new(&mut y, maps), &mut workspace)
            .expect(SOUND)
    })
    .seconds
}

/// Prints what packing `weights` weights took, beside the copy of them.
fn print(name: &str, algorithm: Algorithm, weights: usize, seconds: f64, copied: f64) {
    let rate = (weights * size_of::<f32>()) as f64 / seconds / 1e9;
    println!(
        "{name:28} {:20} {:8.1} us, {rate:6.1} GB/s, copy {:6.1} us, ratio {:.2}",
        algorithm.to_string(),
        seconds * 1e6,
        copied * 1e6,
        copied / seconds
    );
}

fn main() {
    let threads = std::env::var("RESIDUAL_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
    let cpu = Cpu::new(threads).expect("the threads and the instruction set can be had");
    println!("{} on {threads} threads", cpu.isa());
    for (ins, outs, kernel, stride) in LAYERS {
        let shape = ConvShape::square(1, [ins, outs], 14, kernel, stride);
        let [h, w] = shape.output().expect(SOUND);
        let input = if ins < 16 { Layout::planar } else { Layout::blocked };
        let input = input(1, ins, 14, 14).expect(SOUND);
        let output = Layout::blocked(1, outs, h, w).expect(SOUND);
        let weights: Vec<f32> = (0..shape.weights()).map(|i| (i % 7) as f32).collect();
        let copied = copy(&cpu, weights.len());
        let name = format!("{ins}->{outs} {kernel}x{kernel}/{stride}");
        let conv = Conv::new(&cpu, shape, input, output).expect(SOUND);
        let mut packed = conv.pack(&weights).expect(SOUND);
        let time = harness::measure(&cpu, || conv.pack_into(&cpu, &weights, &mut packed).expect(SOUND));
        print(&format!("{name} forward"), conv.algorithm(), weights.len(), time.seconds, copied);
        if ins < 16 {
            continue;
        }
        let data = ConvBackwardData::new(&cpu, shape, output, input).expect(SOUND);
        let mut packed = data.pack(&weights).expect(SOUND);
        let time = harness::measure(&cpu, || data.pack_into(&cpu, &weights, &mut packed).expect(SOUND));
        print(&format!("{name} by the input"), data.algorithm(), weights.len(), time.seconds, copied);
    }
}
