//! Pooling of blocked maps: maximum, average, adaptive and global average, forward and backward.

use std::ops::Range;

use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, KernelError, Layout};

/// Which pixels of the input each pixel of the output is made of.
///
/// ```
/// use residual_kernels::pool::Pooling;
///
/// // The pooling behind ResNet's stem: 3x3, stride 2, padded by 1.
/// let pooling = Pooling::windows([112, 112], [3, 3], [2, 2], [1, 1])?;
/// assert_eq!(pooling.output(), [56, 56]);
/// # Ok::<(), residual_kernels::KernelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooling {
    size: [usize; 2],
    /// On each axis, for each pixel of the output.
    bins: [Vec<Bin>; 2],
}

/// Pixels on an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bin {
    range: Range<usize>,
    /// What an average divides by.
    count: usize,
}

fn wrong(reason: String) -> KernelError {
    KernelError::Shape { what: "pooling".into(), reason }
}

impl Pooling {
    /// Windows of `kernel` pixels, `stride` apart, on maps of `size` with `padding` on every side; output
    /// `(size + 2 padding - kernel) / stride + 1`, rounded down. An average counts the padding
    /// (PyTorch's `count_include_pad`), unless [`Pooling::without_padding`] is asked for.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where a size is zero, a window does not fit, or the padding is more than
    /// half the kernel.
    pub fn windows(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> Result<Self, KernelError> {
        let mut bins = [Vec::new(), Vec::new()];
        for (axis, bins) in bins.iter_mut().enumerate() {
            let (size, kernel, stride, padding) = (size[axis], kernel[axis], stride[axis], padding[axis]);
            let positive = size > 0 && kernel > 0 && stride > 0;
            if !positive || padding > kernel / 2 || kernel > size + 2 * padding {
                return Err(wrong(format!(
                    "windows of {kernel} at stride {stride} on {size} pixels padded by {padding}"
                )));
            }
            let count = (size + 2 * padding - kernel) / stride + 1;
            bins.extend((0..count).map(|pixel| {
                let start = pixel * stride;
                let range = start.saturating_sub(padding)..(start + kernel - padding).min(size);
                Bin { range, count: kernel }
            }));
        }
        Ok(Self { size, bins })
    }

    /// Windows of `kernel` pixels, `stride` apart, without padding; the last may hang over the far edge as
    /// long as it starts inside (PyTorch's `ceil_mode`), and an average divides by the pixels that are
    /// there: the pooling of ResNet-D's shortcuts (He et al. 2019, section 4.2).
    ///
    /// # Errors
    /// [`KernelError::Shape`] where a size is zero.
    pub fn overhanging(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Self, KernelError> {
        if [size, kernel, stride].as_flattened().contains(&0) {
            return Err(wrong(format!("windows of {kernel:?} at stride {stride:?} on {size:?} pixels")));
        }
        let bins = [0, 1].map(|axis| {
            let (size, kernel, stride) = (size[axis], kernel[axis], stride[axis]);
            let count = (size.saturating_sub(kernel).div_ceil(stride) + 1).min((size - 1) / stride + 1);
            let range = |pixel: usize| pixel * stride..(pixel * stride).saturating_add(kernel).min(size);
            (0..count).map(|pixel| Bin { count: range(pixel).len(), range: range(pixel) }).collect()
        });
        Ok(Self { size, bins })
    }

    /// Bins that cut maps of `size` into `output` pixels, PyTorch's adaptive pooling: pixel i is made of
    /// `floor(i size / output) .. ceil((i + 1) size / output)`. One pixel is the global pooling.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where a size is zero.
    pub fn adaptive(size: [usize; 2], output: [usize; 2]) -> Result<Self, KernelError> {
        if size.iter().chain(&output).any(|&number| number == 0) {
            return Err(wrong(format!("from {size:?} to {output:?} pixels")));
        }
        let bins = [0, 1].map(|axis| {
            let (size, output) = (size[axis], output[axis]);
            let range = |pixel: usize| pixel * size / output..((pixel + 1) * size).div_ceil(output);
            (0..output).map(|pixel| Bin { count: range(pixel).len(), range: range(pixel) }).collect()
        });
        Ok(Self { size, bins })
    }

    /// The same, but an average does not count the padding.
    #[must_use]
    pub fn without_padding(mut self) -> Self {
        self.bins.iter_mut().flatten().for_each(|bin| bin.count = bin.range.len());
        self
    }

    /// Size of the output.
    pub fn output(&self) -> [usize; 2] {
        [self.bins[0].len(), self.bins[1].len()]
    }

    /// Checks the layouts of the input's and the output's side, and the slices.
    fn check(&self, maps: [(&Layout, usize); 2]) -> Result<(), KernelError> {
        let [(input, x), (output, y)] = maps;
        let sizes = |l: &Layout| (l.batch(), l.channels());
        let fits = [input.height(), input.width()] == self.size
            && [output.height(), output.width()] == self.output()
            && sizes(input) == sizes(output);
        if !fits || [input, output].iter().any(|layout| layout.block() != BLOCK) {
            return Err(wrong(format!("{input:?} to {output:?} is not this pooling of blocked maps")));
        }
        input.check("the input's side", x)?;
        output.check("the output's side", y)
    }

    /// Calls `each(output pixel, rows, columns, divisor)` in the order of the output.
    #[inline(always)]
    fn each(&self, mut each: impl FnMut([usize; 2], &Range<usize>, &Range<usize>, f32)) {
        for (y, rows) in self.bins[0].iter().enumerate() {
            for (x, columns) in self.bins[1].iter().enumerate() {
                each([y, x], &rows.range, &columns.range, (rows.count * columns.count) as f32);
            }
        }
    }
}

/// What is computed of a pooling.
#[derive(Clone, Copy)]
enum Step<'a> {
    Maximum,
    Average,
    /// With what was pooled.
    MaximumBackward(&'a [f32], Layout),
    AverageBackward,
}

/// `y = max of x over the window`; a NaN in the window comes through.
///
/// # Errors
/// [`KernelError::Shape`] and [`KernelError::Length`] where the maps are not this pooling's.
pub fn maximum(
    cpu: &Cpu,
    pooling: &Pooling,
    (x, from): (&[f32], Layout),
    (y, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    pooling.check([(&from, x.len()), (&to, y.len())])?;
    run(cpu, pooling, Step::Maximum, (x, from), (y, to));
    Ok(())
}

/// The gradient of [`maximum`]: all of a window's goes to its first maximum, as in PyTorch, and to the
/// last NaN where there is one. `x` is what was pooled.
///
/// # Errors
/// [`KernelError::Shape`] and [`KernelError::Length`] where the maps are not this pooling's.
pub fn maximum_backward(
    cpu: &Cpu,
    pooling: &Pooling,
    (x, maps): (&[f32], Layout),
    (dy, from): (&[f32], Layout),
    (dx, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    pooling.check([(&maps, x.len()), (&from, dy.len())])?;
    pooling.check([(&to, dx.len()), (&from, dy.len())])?;
    run(cpu, pooling, Step::MaximumBackward(x, maps), (dy, from), (dx, to));
    Ok(())
}

/// `y = mean of x over the window`.
///
/// # Errors
/// [`KernelError::Shape`] and [`KernelError::Length`] where the maps are not this pooling's.
pub fn average(
    cpu: &Cpu,
    pooling: &Pooling,
    (x, from): (&[f32], Layout),
    (y, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    pooling.check([(&from, x.len()), (&to, y.len())])?;
    run(cpu, pooling, Step::Average, (x, from), (y, to));
    Ok(())
}

/// The gradient of [`average`].
///
/// # Errors
/// [`KernelError::Shape`] and [`KernelError::Length`] where the maps are not this pooling's.
pub fn average_backward(
    cpu: &Cpu,
    pooling: &Pooling,
    (dy, from): (&[f32], Layout),
    (dx, to): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    pooling.check([(&to, dx.len()), (&from, dy.len())])?;
    run(cpu, pooling, Step::AverageBackward, (dy, from), (dx, to));
    Ok(())
}

/// `y[n, c] = mean of map c of image n`, `[batch, channels]` without spare lanes: what the head reads.
///
/// # Errors
/// [`KernelError::Shape`] where the maps are not blocked, [`KernelError::Length`] where a slice is too
/// short or too long.
pub fn global_average(cpu: &Cpu, (x, maps): (&[f32], Layout), y: &mut [f32]) -> Result<(), KernelError> {
    check_global(&maps, x.len(), y.len())?;
    let (channels, y) = (maps.channels(), Parts::new(y));
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let (n, block) = (plane / maps.blocks(), plane % maps.blocks());
        let lanes = BLOCK.min(channels - block * BLOCK);
        let at = n * channels + block * BLOCK;
        // SAFETY: the channels of a plane are one task's.
        let y = unsafe { y.part(at..at + lanes) };
        y.copy_from_slice(&cpu.isa().run(Mean { x, maps: &maps, n, block })[..lanes]);
    });
    Ok(())
}

/// The gradient of [`global_average`]: `dx = dy / (height width)`.
///
/// # Errors
/// As for [`global_average`].
pub fn global_average_backward(
    cpu: &Cpu,
    dy: &[f32],
    (dx, maps): (&mut [f32], Layout),
) -> Result<(), KernelError> {
    check_global(&maps, dx.len(), dy.len())?;
    let (channels, dx) = (maps.channels(), Parts::new(dx));
    let factor = 1.0 / (maps.height() * maps.width()) as f32;
    cpu.pool().for_each(maps.batch() * maps.blocks(), |plane, _| {
        let (n, block) = (plane / maps.blocks(), plane % maps.blocks());
        let mut pixel = [0.0; BLOCK];
        let lanes = BLOCK.min(channels - block * BLOCK);
        let dy = &dy[n * channels + block * BLOCK..][..lanes];
        pixel.iter_mut().zip(dy).for_each(|(pixel, dy)| *pixel = dy * factor);
        for row in 0..maps.height() {
            let at = maps.index(n, block, row, 0);
            // SAFETY: the planes are one task's each.
            let row = unsafe { dx.part(at..at + maps.width() * BLOCK) };
            row.chunks_exact_mut(BLOCK).for_each(|target| target.copy_from_slice(&pixel));
        }
        // SAFETY: as above.
        unsafe { maps.clear_border(dx, n, block, 0..maps.height()) }
    });
    Ok(())
}

fn check_global(maps: &Layout, x: usize, y: usize) -> Result<(), KernelError> {
    if maps.block() != BLOCK {
        return Err(wrong(format!("{maps:?} is not blocked")));
    }
    maps.check("the maps", x)?;
    check_length("the means", maps.batch() * maps.channels(), y)
}

/// The mean of each channel of a plane: rows in float32, their sums in float64.
struct Mean<'a> {
    x: &'a [f32],
    maps: &'a Layout,
    n: usize,
    block: usize,
}

impl Kernel for Mean<'_> {
    type Output = [f32; BLOCK];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; BLOCK] {
        let mut totals = [0.0_f64; BLOCK];
        for row in 0..self.maps.height() {
            let at = self.maps.index(self.n, self.block, row, 0);
            let mut sums = [0.0; BLOCK];
            for lane in (0..BLOCK).step_by(S::LANES) {
                let mut sum = s.zero();
                for pixel in 0..self.maps.width() {
                    sum = s.add(sum, s.read(self.x, at + pixel * BLOCK + lane));
                }
                // SAFETY: a vector from `lane` on ends at the block's end or before.
                unsafe { s.store(sums[lane..].as_mut_ptr(), sum) }
            }
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
        }
        let count = (self.maps.height() * self.maps.width()) as f64;
        totals.map(|total| (total / count) as f32)
    }
}

/// Runs a step plane by plane; `from` and `to` have been checked.
fn run(
    cpu: &Cpu,
    pooling: &Pooling,
    step: Step<'_>,
    (x, from): (&[f32], Layout),
    (y, to): (&mut [f32], Layout),
) {
    let y = Parts::new(y);
    cpu.pool().for_each(to.batch() * to.blocks(), |plane, _| {
        let (n, block) = (plane / to.blocks(), plane % to.blocks());
        let start = n * to.image() + block * to.plane();
        // SAFETY: every plane is one task's.
        let target = unsafe { y.part(start..start + to.plane()) };
        match step {
            // SAFETY: the plane's border is its task's as well, and is not written through `target`.
            Step::Maximum | Step::Average => unsafe { to.clear_border(y, n, block, 0..to.height()) },
            Step::MaximumBackward(..) | Step::AverageBackward => target.fill(0.0),
        }
        cpu.isa().run(Plane { pooling, step, x, from: &from, target, to: &to, n, block });
    });
}

/// One plane of the result, zeroed where it is added to.
struct Plane<'a> {
    pooling: &'a Pooling,
    step: Step<'a>,
    x: &'a [f32],
    from: &'a Layout,
    target: &'a mut [f32],
    to: &'a Layout,
    n: usize,
    block: usize,
}

impl Kernel for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let pooling = self.pooling;
        for lane in (0..BLOCK).step_by(S::LANES) {
            pooling.each(|pixel, rows, columns, divisor| match self.step {
                Step::Maximum => {
                    let (best, _) = self.best(s, (self.x, self.from), rows, columns, lane);
                    self.write(s, pixel, lane, best);
                }
                Step::Average => {
                    let mut sum = s.zero();
                    for (row, column) in rows.clone().flat_map(|y| columns.clone().map(move |x| (y, x))) {
                        sum = s.add(sum, self.read(s, (self.x, self.from), [row, column], lane));
                    }
                    self.write(s, pixel, lane, s.mul(sum, s.splat(1.0 / divisor)));
                }
                Step::MaximumBackward(pooled, ref maps) => {
                    let (_, first) = self.best(s, (pooled, maps), rows, columns, lane);
                    let dy = self.read(s, (self.x, self.from), pixel, lane);
                    self.spread(s, rows, columns, lane, |tap| s.where_equal(dy, first, s.splat(tap as f32)));
                }
                Step::AverageBackward => {
                    let dy = self.read(s, (self.x, self.from), pixel, lane);
                    let share = s.mul(dy, s.splat(1.0 / divisor));
                    self.spread(s, rows, columns, lane, |_| share);
                }
            });
        }
    }
}

impl Plane<'_> {
    #[inline(always)]
    fn read<S: Simd>(
        &self,
        s: S,
        (x, maps): (&[f32], &Layout),
        [row, column]: [usize; 2],
        lane: usize,
    ) -> S::V {
        s.read(x, maps.index(self.n, self.block, row, column) + lane)
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, s: S, [row, column]: [usize; 2], lane: usize, v: S::V) {
        let target = &mut self.target[self.to.index(0, 0, row, column) + lane..][..S::LANES];
        // SAFETY: just sliced to a vector's length.
        unsafe { s.store(target.as_mut_ptr(), v) }
    }

    /// The maximum of a window, and which of its pixels is the first that has it.
    #[inline(always)]
    fn best<S: Simd>(
        &self,
        s: S,
        (x, maps): (&[f32], &Layout),
        rows: &Range<usize>,
        columns: &Range<usize>,
        lane: usize,
    ) -> (S::V, S::V) {
        let start = maps.index(self.n, self.block, rows.start, columns.start) + lane;
        let window = Window::within(x.len(), start, maps.row(), [rows.len(), columns.len()], S::LANES);
        let (mut best, mut first, mut tap) = (s.splat(f32::NEG_INFINITY), s.zero(), 0);
        window.each(|at| {
            // SAFETY: the window was checked to lie in `x`.
            let x = unsafe { s.load(x.as_ptr().add(at)) };
            first = s.where_above(s.splat(tap as f32), first, x, best);
            best = s.where_above(x, best, x, best);
            tap += 1;
        });
        (best, first)
    }

    /// Adds `share(tap)` to every pixel of a window.
    #[inline(always)]
    fn spread<S: Simd>(
        &mut self,
        s: S,
        rows: &Range<usize>,
        columns: &Range<usize>,
        lane: usize,
        share: impl Fn(usize) -> S::V,
    ) {
        let start = self.to.index(0, 0, rows.start, columns.start) + lane;
        let size = [rows.len(), columns.len()];
        let window = Window::within(self.target.len(), start, self.to.row(), size, S::LANES);
        let (target, mut tap) = (self.target.as_mut_ptr(), 0);
        window.each(|at| {
            // SAFETY: the window was checked to lie in the target.
            unsafe {
                let pixel = target.add(at);
                s.store(pixel, s.add(s.load(pixel), share(tap)));
            }
            tap += 1;
        });
    }
}

/// The pixels of a window, as displacements in a plane.
struct Window {
    start: usize,
    row: usize,
    size: [usize; 2],
}

impl Window {
    /// The window of `size` whose first vector of `lanes` floats is at `start`.
    ///
    /// # Panics
    /// If it does not lie in `len` floats.
    #[inline(always)]
    fn within(len: usize, start: usize, row: usize, size: [usize; 2], lanes: usize) -> Self {
        let [rows, columns] = size.map(|side| side.saturating_sub(1));
        assert!(start + rows * row + columns * BLOCK + lanes <= len);
        Self { start, row, size }
    }

    /// Calls `each` with the place of every pixel, row by row. Of the usual 3x3 pixels without a loop.
    #[inline(always)]
    fn each(&self, mut each: impl FnMut(usize)) {
        if self.size == [3, 3] {
            let rows = [0, 1, 2].map(|row| self.start + row * self.row);
            rows.into_iter().for_each(|row| [0, 1, 2].into_iter().for_each(|x| each(row + x * BLOCK)));
            return;
        }
        for row in 0..self.size[0] {
            for column in 0..self.size[1] {
                each(self.start + row * self.row + column * BLOCK);
            }
        }
    }
}
