//! What is bound by memory: bytes a second beside a copy of maps of the same size, in the same run.
//!
//! `cargo bench -p residual-kernels --bench passes [-- FILTER ...]`: the lines with all filters in their name,
//! such as `'16x64@56' 'max pool'`. `RESIDUAL_THREADS` sets the threads (2),
//! `RESIDUAL_ISA` the instruction set. Every map that is read or written counts once for each pass that a
//! definition needs: a ratio above 1 is possible where the copy has to fetch what it overwrites. A pass over three
//! maps is beside a copy that touches as much memory: from maps half as large again to others.

#[expect(dead_code, reason = "the peak is for convolutions")]
mod harness;

use residual_kernels::norm::{Backward, BatchStatistics, Mask, apply, apply_workspace, statistics};
use residual_kernels::optim::Sgd;
use residual_kernels::pool::{self, Pooling};
use residual_kernels::{Buffer, Cpu, Epilogue, Layout, MapsMut, MapsRef, convert, normalise};

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
    let mut workspace = vec![0.0; apply_workspace(&maps)];
    apply(cpu, MapsRef::new(x, maps), &epilogue, MapsMut::new(y, maps), &mut workspace)
        .expect("the maps are the same");
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
    // As much memory as three maps.
    let more = Layout::blocked(maps.batch() * 3 / 2, channels, maps.height(), maps.width()).expect(SAME);
    let (from, mut to) = (filled(more.len()), filled(more.len()));
    let copied_more = harness::measure(cpu, || copy(cpu, &from, &mut to, more)).seconds / 3.0;
    let (n, size) = (maps.batch(), maps.width());
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let line = |what: &str, passes: f64, work: &mut dyn FnMut()| {
        let name = format!("{n}x{channels}@{size:<3} {what:28}");
        if !filters.iter().all(|filter| name.contains(filter)) {
            return;
        }
        let copied = if passes >= 3.0 { copied_more } else { copied };
        let rate = passes * (len * size_of::<f32>()) as f64 / harness::measure(cpu, work).seconds / 1e9;
        let beside = (len * size_of::<f32>()) as f64 / copied / 1e9;
        println!("{name} {rate:7.1} GB/s, copy {beside:7.1}, ratio {:.2}", rate / beside);
    };
    line("statistics", 1.0, &mut || statistics(cpu, &x, maps, &mut batch, &mut workspace).expect(SAME));
    batch.fold([&gamma, &beta], 1e-5, [&mut scale, &mut shift]).expect(SAME);
    let epilogue = Epilogue {
        scale: Some(&scale),
        shift: Some(&shift),
        residual: Some(MapsRef::new(&dy, maps)),
        relu: true,
    };
    line("normalise, add, ReLU", 3.0, &mut || {
        apply(cpu, MapsRef::new(&x, maps), &epilogue, MapsMut::new(&mut y, maps), &mut workspace).expect(SAME)
    });
    let mask = Mask::Recompute { scale: &scale, shift: &shift };
    let backward = Backward {
        x: MapsRef::new(&x, maps),
        dy: MapsRef::new(&dy, maps),
        mask,
        statistics: &batch,
        gamma: &gamma,
        eps: 1e-5,
    };
    let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
    line("normalise backward, ReLU", 5.0, &mut || {
        backward
            .run(cpu, [&mut dgamma, &mut dbeta], MapsMut::new(&mut dx, maps), None, &mut workspace)
            .expect(SAME);
    });
    let sgd = Sgd { lr: 0.1, momentum: 0.9, weight_decay: 5e-4, nesterov: false };
    line("SGD step", 5.0, &mut || sgd.step(cpu, &mut y, &x, &mut dx).expect(SAME));
    let pooling = Pooling::windows([maps.height(), maps.width()], [3; 2], [1; 2], [1; 2]).expect(SAME);
    line("max pool 3x3/1", 2.0, &mut || {
        pool::maximum(cpu, &pooling, MapsRef::new(&x, maps), MapsMut::new(&mut y, maps)).expect(SAME)
    });
    measure_strided(cpu, maps, (&x, &dy), (&mut y, &mut dx), &line);
    let planar = Layout::planar(maps.batch(), channels, maps.height(), maps.width()).expect(SAME);
    line("planar to blocked", 2.0, &mut || convert(cpu, &x, planar, &mut y, maps).expect(SAME));
    line("blocked to planar", 2.0, &mut || convert(cpu, &x, maps, &mut y, planar).expect(SAME));
    let interleaved = Layout::interleaved(maps.batch(), channels, maps.height(), maps.width()).expect(SAME);
    line("interleaved to blocked", 2.0, &mut || convert(cpu, &x, interleaved, &mut y, maps).expect(SAME));
    line("planar to interleaved", 2.0, &mut || convert(cpu, &x, planar, &mut y, interleaved).expect(SAME));
    let bordered = maps.with_border(1).expect(SAME);
    let mut wide = filled(bordered.len());
    line("blocked to bordered", 2.0, &mut || convert(cpu, &x, maps, &mut wide, bordered).expect(SAME));
    // Three channels of bytes, as many pixels as make as many floats.
    let images = Layout::planar(maps.batch(), 3, maps.height(), maps.width() * channels / 3).expect(SAME);
    let bytes = vec![100; images.len()];
    let (mean, std) = ([0.5; 3], [0.25; 3]);
    let y = &mut y[..images.len()];
    line("bytes to planar", 1.25 * images.len() as f64 / len as f64, &mut || {
        normalise(cpu, &bytes, &mean, &std, y, images).expect(SAME)
    });
}

/// Pooling by windows of 3x3 at stride 2, whose output is a quarter of the input.
fn measure_strided(
    cpu: &Cpu,
    maps: Layout,
    (x, dy): (&[f32], &[f32]),
    (y, dx): (&mut [f32], &mut [f32]),
    line: &impl Fn(&str, f64, &mut dyn FnMut()),
) {
    const SAME: &str = "the maps are the same";
    let pooling = Pooling::windows([maps.height(), maps.width()], [3; 2], [2; 2], [1; 2]).expect(SAME);
    let [height, width] = pooling.output();
    let small = Layout::blocked(maps.batch(), maps.channels(), height, width).expect(SAME);
    let share = small.len() as f64 / maps.len() as f64;
    let (y, dy) = (&mut y[..small.len()], &dy[..small.len()]);
    line("max pool 3x3/2", 1.0 + share, &mut || {
        pool::maximum(cpu, &pooling, MapsRef::new(x, maps), MapsMut::new(y, small)).expect(SAME)
    });
    line("average pool 3x3/2", 1.0 + share, &mut || {
        pool::average(cpu, &pooling, MapsRef::new(x, maps), MapsMut::new(y, small)).expect(SAME)
    });
    let mut workspace = vec![0.0; pool::maximum_backward_workspace(cpu, &maps)];
    line("max pool backward 3x3/2", 2.0 + share, &mut || {
        pool::maximum_backward(cpu, &pooling, MapsRef::new(dy, small), MapsMut::new(dx, maps), &mut workspace)
            .expect(SAME)
    });
    line("average pool backward 3x3/2", 1.0 + share, &mut || {
        pool::average_backward(cpu, &pooling, MapsRef::new(dy, small), MapsMut::new(dx, maps)).expect(SAME)
    });
    let mut means = vec![0.0; maps.batch() * maps.channels()];
    line("global average", 1.0, &mut || {
        pool::global_average(cpu, MapsRef::new(x, maps), &mut means).expect(SAME)
    });
}

fn main() {
    let threads = std::env::var("RESIDUAL_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(2);
    let cpu = Cpu::new(threads).expect("the threads and the instruction set can be had");
    println!("{} on {threads} threads", cpu.isa());
    for (batch, channels, size) in SIZES {
        measure(&cpu, Layout::blocked(batch, channels, size, size).expect("the sizes are possible"));
    }
}
