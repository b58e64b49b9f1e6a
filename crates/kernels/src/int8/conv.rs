//! A convolution of bytes, made ready to run.

use super::finish::{Added, Finish, Places, Target};
use super::grid::{Grid, Shares};
use super::pack::{Order, Packed, length};
use super::task::Call;
use super::tile::Walk;
#[cfg(target_arch = "x86_64")]
use super::token::Amx;
use super::token::DotProduct;
use crate::simd::BLOCK;
use crate::{ConvShape, Cpu, Error, Layout};

/// The most inputs of an output: their products fit into 31 bits, with any zero.
const MOST_INPUTS: usize = 1 << 15;

/// Shares of the work for each thread, so that one that is late keeps the others waiting for little.
const SHARES: usize = 4;

/// A convolution of bytes with its layouts.
///
/// ```
/// use residual_kernels::int8::{Conv, Operands, Output, Weights};
/// use residual_kernels::{ConvShape, Cpu, Layout};
///
/// let cpu = Cpu::new(2)?;
/// // 1x1 on an image of 16 channels and 8x8 pixels.
/// let shape = ConvShape::square(1, [16, 32], 8, 1, 1);
/// let (input, output) = (Layout::blocked(1, 16, 8, 8)?, Layout::blocked(1, 32, 8, 8)?);
/// let conv = Conv::new(&cpu, shape, input, output, true)?;
/// // x = 0.1 (q - 128), w = 0.5 q.
/// let (factor, bias) = (vec![0.1 * 0.5; 32], vec![0.0; 32]);
/// let weights = Weights { values: &vec![2; 16 * 32], factor: &factor, bias: &bias, zero: 128 };
/// let packed = conv.pack(&weights)?;
/// let (x, mut y) = (vec![130; input.len()], vec![0.0; output.len()]);
/// let operands = Operands { x: &x, weights: &packed, residual: None, relu: true };
/// conv.forward(&cpu, &operands, Output::Floats(&mut y))?;
/// assert!((y[0] - 16.0 * 0.2 * 1.0).abs() < 1e-6);
/// # Ok::<(), residual_kernels::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    shape: ConvShape,
    input: Layout,
    output: Layout,
    narrow: bool,
    dot: DotProduct,
    grid: Grid,
    shares: Shares,
    walk: Walk,
    /// Offsets of the runs of a pixel's inputs.
    runs: Vec<usize>,
    flat: bool,
}

/// Inputs of a convolution.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// The input, its border of bytes that stand for 0.
    pub x: &'a [u8],
    /// Packed weights.
    pub weights: &'a Packed,
    /// Map that is added to the results.
    pub residual: Option<Residual<'a>>,
    /// `max(y, 0)` at the end.
    pub relu: bool,
}

/// A map that is added to the results of a convolution, of as many channels and pixels.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// Values of the map.
    pub values: ResidualValues<'a>,
    /// Layout of the map.
    pub layout: Layout,
}

/// Values of a [`Residual`].
#[derive(Clone, Copy, Debug)]
pub enum ResidualValues<'a> {
    /// Bytes `q` of the numbers `scale (q - zero)`: values, scale, zero.
    Bytes(&'a [u8], f32, u8),
    /// Numbers.
    Floats(&'a [f32]),
}

/// Memory of a convolution's results.
#[derive(Debug)]
pub enum Output<'a> {
    /// Bytes `clamp(round(y / scale) + zero, 0, 255)`, rounded to the nearest, ties to even: values, scale, zero.
    Bytes(&'a mut [u8], f32, u8),
    /// Numbers.
    Floats(&'a mut [f32]),
}

impl Conv {
    /// A convolution from bytes of layout `input` to maps of layout `output`.
    ///
    /// The input is blocked, or [an image's](super::image_layout), with a border at least as wide as the padding; the
    /// output blocked. Weights are `narrow` where none is beyond 63 ([`is_narrow`](super::is_narrow)).
    ///
    /// # Errors
    /// [`Error::Shape`] where the shape is impossible, is not that of the layouts, or has groups, dilation or a stride
    /// beyond 2.
    pub fn new(
        cpu: &Cpu,
        shape: ConvShape,
        input: Layout,
        output: Layout,
        narrow: bool,
    ) -> Result<Self, Error> {
        Self::with_dot(cpu, shape, (input, output), narrow, DotProduct::of(cpu.isa()))
    }

    /// [`Conv::new`] with a given way to multiply bytes.
    ///
    /// # Errors
    /// Those of [`Conv::new`].
    pub fn with_dot(
        cpu: &Cpu,
        shape: ConvShape,
        (input, output): (Layout, Layout),
        narrow: bool,
        dot: DotProduct,
    ) -> Result<Self, Error> {
        Self::supports(&shape)?;
        check_layouts(&shape, &input, &output)?;
        let [height, width] = shape.output()?;
        let stride = shape.stride[0];
        let flat = shape.kernel == [1, 1] && stride == 1 && input.border() == 0;
        let size = if flat { [1, height * width] } else { [height, width] };
        let groups = in_groups(dot, &shape, &input, size);
        let dot = if groups.is_some() { dot } else { dot.without_amx() };
        let step = stride * input.block();
        let grid = groups.unwrap_or_else(|| Grid::new(shape.batch, size, dot.pixels(narrow), step));
        let walk = Walk {
            blocks: input.blocks(),
            block: input.plane(),
            rows: shape.kernel[0],
            row: input.row(),
            run: shape.kernel[1] * input.block(),
            tile_row: stride * input.row(),
        };
        let pixels = grid.tile[0] * grid.tile[1] * stride * stride;
        let most = cpu.level2_bytes() / 4 / (pixels * input.blocks() * input.block());
        let threads = cpu.pool().threads();
        let least = if threads > 1 { SHARES * threads } else { 1 };
        let shares = Shares::new(1, 1, 1, 1);
        let runs = walk.runs();
        let mut conv = Self { shape, input, output, narrow, dot, grid, shares, walk, runs, flat };
        let panels = conv.order().outs.div_ceil(conv.order().panel);
        conv.shares = Shares::new(grid.tiles(), panels, most, least);
        Ok(conv)
    }

    /// Checks that there are kernels for a shape.
    ///
    /// # Errors
    /// [`Error::Shape`] with what they lack.
    pub fn supports(shape: &ConvShape) -> Result<(), Error> {
        shape.output()?;
        let ConvShape { in_channels, kernel, stride, dilation, groups, .. } = *shape;
        let inputs = in_channels.saturating_mul(kernel[0]).saturating_mul(kernel[1]);
        let reason = if groups != 1 || dilation != [1, 1] {
            format!("{groups} groups and dilation {dilation:?}; both have to be 1")
        } else if stride[0] != stride[1] || stride[0] > 2 {
            format!("stride {stride:?}; it has to be 1 or 2 on both sides")
        } else if inputs > MOST_INPUTS {
            format!("{inputs} inputs of an output; at most {MOST_INPUTS} have a sum of 32 bits")
        } else {
            return Ok(());
        };
        Err(Error::Shape { what: "int8 convolution".into(), reason })
    }

    /// The sizes.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// The way that bytes are multiplied.
    pub fn dot(&self) -> DotProduct {
        self.dot
    }

    pub(super) fn narrow(&self) -> bool {
        self.narrow
    }

    /// Order of packed weights.
    pub(super) fn order(&self) -> Order {
        let blocks = if self.shape.out_channels > BLOCK { self.dot.blocks() } else { 1 };
        Order {
            ins: self.shape.in_channels,
            outs: self.shape.out_channels,
            kernel: self.shape.kernel,
            depth: self.input.block(),
            panel: blocks * BLOCK,
        }
    }

    /// Computes the output, its border included.
    ///
    /// # Errors
    /// [`Error::Length`] for a slice of another length than its layout's, [`Error::Shape`] for weights that were packed
    /// for another convolution and for a residual of other sizes.
    pub fn forward(&self, cpu: &Cpu, operands: &Operands<'_>, output: Output<'_>) -> Result<(), Error> {
        let (finish, border) = self.finish(operands, output)?;
        let step = self.shape.stride[1] * self.input.block();
        let padding = self.shape.padding[0] * self.input.row() + self.shape.padding[1] * self.input.block();
        let call = Call {
            grid: self.grid,
            walk: self.walk,
            runs: &self.runs,
            x: operands.x,
            origin: self.input.index(0, 0, 0, 0) - padding,
            image: self.input.image(),
            step,
            weights: operands.weights.values(),
            starts: &operands.weights.starts,
            panel: self.order().panel / BLOCK,
            finish,
        };
        let planes = if self.output.border() == 0 { 0 } else { self.output.batch() * self.output.blocks() };
        let shares = self.shares.count();
        cpu.pool().for_each(shares + planes, |index, _| {
            if index < shares {
                call.run(self.dot, self.narrow, self.shares.share(index));
            } else {
                // SAFETY: the border of a plane is written by this task alone.
                unsafe { self.fill_border(&border, index - shares) }
            }
        });
        Ok(())
    }

    /// The epilogue, and the target whose border is to be filled.
    fn finish<'a>(&self, operands: &Operands<'a>, output: Output<'_>) -> Result<(Finish<'a>, Border), Error> {
        let weights = operands.weights;
        if weights.order != self.order() {
            let reason = "the weights were packed for another convolution".into();
            return Err(Error::Shape { what: "int8 convolution".into(), reason });
        }
        length("the input", self.input.len(), operands.x.len())?;
        let (target, found, per_output, bounds) = match output {
            Output::Bytes(y, scale, zero) => {
                let low = if operands.relu { 0.0 } else { -f32::from(zero) };
                let target = Target::Bytes(y.as_mut_ptr(), zero);
                (target, y.len(), 1.0 / scale, [low, 255.0 - f32::from(zero)])
            }
            Output::Floats(y) => {
                let low = if operands.relu { 0.0 } else { f32::NEG_INFINITY };
                (Target::Floats(y.as_mut_ptr()), y.len(), 1.0, [low, f32::INFINITY])
            }
        };
        length("the output", self.output.len(), found)?;
        let (added, added_factor, shift) = self.added(operands.residual.as_ref(), per_output)?;
        let places = Places::of(&self.output);
        let finish = Finish {
            factor: &weights.factor,
            bias: &weights.bias,
            per_output,
            shift,
            target,
            places,
            added,
            added_factor,
            added_places: operands.residual.map_or(places, |residual| Places::of(&residual.layout)),
            bounds,
            blocks: self.output.blocks(),
            flat: self.flat,
        };
        Ok((finish, Border(target)))
    }

    /// Map that is added, its factor, and what its zero adds to every result.
    fn added(&self, residual: Option<&Residual<'_>>, per_output: f32) -> Result<(Added, f32, f32), Error> {
        let Some(Residual { values, layout }) = residual else { return Ok((Added::Nothing, 0.0, 0.0)) };
        let sizes = |layout: &Layout| {
            [layout.batch(), layout.channels(), layout.height(), layout.width(), layout.block()]
        };
        if sizes(layout) != sizes(&self.output) {
            let reason = format!("{:?} are added to {:?}", sizes(layout), sizes(&self.output));
            return Err(Error::Shape { what: "int8 convolution".into(), reason });
        }
        Ok(match *values {
            ResidualValues::Bytes(values, scale, zero) => {
                length("the residual", layout.len(), values.len())?;
                let factor = scale * per_output;
                (Added::Bytes(values.as_ptr()), factor, -f32::from(zero) * factor)
            }
            ResidualValues::Floats(values) => {
                length("the residual", layout.len(), values.len())?;
                (Added::Floats(values.as_ptr()), per_output, 0.0)
            }
        })
    }

    /// Fills the border of a plane with what stands for 0.
    ///
    /// # Safety
    /// Nothing else writes the border of that plane.
    unsafe fn fill_border(&self, border: &Border, plane: usize) {
        let (layout, row) = (&self.output, self.output.row());
        let (side, rows) = (layout.border() * BLOCK, layout.border() * row);
        let start = plane * layout.plane();
        // SAFETY: the output has the layout's length; the caller keeps others away.
        unsafe {
            border.fill(start, rows + side);
            for y in 0..layout.height().saturating_sub(1) {
                border.fill(start + rows + (y + 1) * row - side, 2 * side);
            }
            border.fill(start + layout.plane() - rows - side, rows + side);
        }
    }
}

/// The grid for AMX, where `dot` is that and the convolution fits its tiles.
fn in_groups(dot: DotProduct, shape: &ConvShape, input: &Layout, size: [usize; 2]) -> Option<Grid> {
    #[cfg(target_arch = "x86_64")]
    {
        dot.amx()?;
        let fits = shape.out_channels > BLOCK && shape.kernel[1] * input.block() <= Amx::BYTES;
        Grid::in_groups(shape.batch, size, Amx::ROWS).filter(|_| fits)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (dot, shape, input, size);
        None
    }
}

/// The target of a convolution, whose border is to be filled.
struct Border(Target);

// SAFETY: the tasks that share it write borders that no other writes.
unsafe impl Sync for Border {}

impl Border {
    /// Writes `count` elements from `start` on.
    ///
    /// # Safety
    /// They lie in the target, and nothing else writes them.
    unsafe fn fill(&self, start: usize, count: usize) {
        // SAFETY: the caller vouches for the elements; floats of zero bytes are 0.
        unsafe {
            match self.0 {
                Target::Bytes(p, zero) => p.add(start).write_bytes(zero, count),
                Target::Floats(p) => p.add(start).write_bytes(0, count),
            }
        }
    }
}

/// # Errors
/// [`Error::Shape`] where the layouts are not those of the shape.
fn check_layouts(shape: &ConvShape, input: &Layout, output: &Layout) -> Result<(), Error> {
    let ConvShape { batch, in_channels, out_channels, size, padding, .. } = *shape;
    let sizes = |layout: &Layout| ([layout.batch(), layout.channels()], [layout.height(), layout.width()]);
    let image = input.block() == 4 && input.channels() == 4 && in_channels <= 4;
    let channels = if image { 4 } else { in_channels };
    let reason = if sizes(input) != ([batch, channels], size) || !(image || input.block() == BLOCK) {
        format!("an input of {input:?}")
    } else if input.border() < padding[0].max(padding[1]) {
        format!("a border of {} for padding {padding:?}", input.border())
    } else if sizes(output) != ([batch, out_channels], shape.output()?) || output.block() != BLOCK {
        format!("an output of {output:?}")
    } else {
        return Ok(());
    };
    Err(Error::Shape { what: format!("int8 convolution {shape:?}"), reason })
}
