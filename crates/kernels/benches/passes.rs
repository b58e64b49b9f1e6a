//! What is bound by memory: bytes a second beside a copy of maps of the same size, in the same run.
//!
//! `cargo bench -p residual-kernels --bench passes`; `RESIDUAL_THREADS` sets the threads (2),
//! `RESIDUAL_ISA` the instruction set. Every map that is read or written counts once for each pass that a
//! definition needs: a ratio above 1 is possible where the copy has to fetch what it overwrites.

#[expect(dead_code, reason = "the peak is for convolutions")]
mod harness;

use residual_kernels::norm::{Backward, BatchStatistics, Mask, apply, statistics};
use residual_kernels::optim::Sgd;
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Buffer, Cpu, Epilogue, Layout};

/// Channels and pixels of the maps, batch 16 and 128.
const SIZES: [(usize, usize, usize); 4] = [(16, 64, 56), (16, 512, 7), (128, 32, 32), (128, 128, 8)];

fn filled(len: usize) -> Buffer {
    let mut buffer = Buffer::zeroed(len);
    buffer.iter_mut().enumerate().for_each(|(i, value)| *value = (i % 17) as f32 / 17.0 - 0.4);
    buffer
}

/// Copies `x` to `y` on all threads.
fn copy(cpu: &Cpu, x: &[f32], y: &mut [f32], maps: Layout) {
    let epilogue = Epilogue::default();
    let mut workspace = vec![0.0; maps.vectors()];
    apply(cpu, (x, maps), &epilogue, (y, maps), &mut workspace).expect("the maps are the same");
}

/// Measures the passes on maps of one size.
fn measure(cpu: &Cpu, maps: Layout) {
    let len = maps.len();
    let (x, dy) = (filled(len), filled(len));
    let (mut y, mut dx) = (filled(len), filled(len));
    let channels = maps.channels();
    let (gamma, beta) = (vec![1.1; channels], vec![0.1; channels]);
    let (mut scale, mut shift) = (vec![0.0; channels], vec![0.0; channels]);
    let mut batch = BatchStatistics::zeroed(&maps);
    let mut workspace = filled(Backward::workspace(&maps).max(BatchStatistics::workspace(&maps)));
    const SAME: &str = "the maps are the same";
    let copied = harness::measure(cpu, || copy(cpu, &x, &mut y, maps)).seconds / 2.0;
    let print = |what: &str, passes: f64, outcome: harness::Outcome| {
        let seconds = outcome.seconds;
        let rate = passes * (len * size_of::<f32>()) as f64 / seconds / 1e9;
        let beside = (len * size_of::<f32>()) as f64 / copied / 1e9;
        let (n, c, size) = (maps.batch(), channels, maps.width());
        println!(
            "{n}x{c}@{size:<3} {what:28} {rate:7.1} GB/s, copy {beside:7.1}, ratio {:.2}",
            rate / beside
        );
    };
    let time = harness::measure(cpu, || statistics(cpu, &x, maps, &mut batch, &mut workspace).expect(SAME));
    print("statistics", 1.0, time);
    batch.fold([&gamma, &beta], 1e-5, [&mut scale, &mut shift]).expect(SAME);
    let epilogue =
        Epilogue { scale: Some(&scale), shift: Some(&shift), residual: Some((&dy, maps)), relu: true };
    let time = harness::measure(cpu, || {
        apply(cpu, (&x, maps), &epilogue, (&mut y, maps), &mut workspace).expect(SAME)
    });
    print("normalise, add, ReLU", 3.0, time);
    let mask = Mask::Recompute { scale: &scale, shift: &shift };
    let backward =
        Backward { x: (&x, maps), dy: (&dy, maps), mask, statistics: &batch, gamma: &gamma, eps: 1e-5 };
    let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
    let time = harness::measure(cpu, || {
        backward.run(cpu, [&mut dgamma, &mut dbeta], (&mut dx, maps), None, &mut workspace).expect(SAME);
    });
    print("normalise backward, ReLU", 5.0, time);
    let sgd = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 5e-4, nesterov: false };
    let time = harness::measure(cpu, || sgd.step(cpu, &mut y, &x, &mut dx).expect(SAME));
    print("SGD step", 5.0, time);
    let pooling = Pooling::windows([maps.height(), maps.width()], [3; 2], [1; 2], [1; 2]).expect(SAME);
    let time =
        harness::measure(cpu, || pool::maximum(cpu, &pooling, (&x, maps), (&mut y, maps)).expect(SAME));
    print("max pool 3x3/1", 2.0, time);
}

fn main() {
    let threads = std::env::var("RESIDUAL_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
    let cpu = Cpu::new(threads).expect("the threads and the instruction set can be had");
    println!("{} on {threads} threads", cpu.isa());
    for (batch, channels, size) in SIZES {
        measure(&cpu, Layout::blocked(batch, channels, size, size).expect("the sizes are possible"));
    }
}
