//! The second pass of a normalisation's gradient: `dx = a g + b x + c`.

use super::gated::{Gated, Maps, NONE, OUTPUT, RECOMPUTE};
use super::reduce::filled;
use super::{Bands, LineStart, Mask, same_blocked};
use crate::layout::check_length;
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error, Layout, MapsMut, MapsRef};

/// Floats of workspace that [`spread`] needs for `maps`.
pub(super) fn workspace(maps: &Layout) -> usize {
    5 * maps.blocks() * BLOCK
}

/// Destination of `dx`.
pub(super) struct Target<'a> {
    pub(super) dx: MapsMut<'a>,
    /// Gradient behind the ReLU, `g`, in the layout of `dx`.
    pub(super) g: Option<&'a mut [f32]>,
    /// Maps that are added to `dx`.
    pub(super) residual: Option<MapsRef<'a>>,
}

/// Computes `dx` and, where it is asked for, `g`, from the factors `[a][b][c]` of each channel. The borders,
/// and the lanes past the last channel, become 0.
pub(super) fn spread(
    cpu: &Cpu,
    maps: &Maps<'_>,
    factors: &[f32],
    target: Target<'_>,
    workspace: &mut [f32],
) -> Result<(), Error> {
    let Target { dx: MapsMut { values: dx, layout: to }, g, residual } = target;
    maps.check(&to)?;
    to.check("the gradient with respect to the input", dx.len())?;
    g.as_ref().map_or(Ok(()), |g| to.check("the gradient behind the ReLU", g.len()))?;
    if let Some(residual) = residual {
        same_blocked("the gradient of a normalisation", &residual.layout, &to)?;
        residual.check("the residual")?;
    }
    check_length("the factors of a gradient", 3 * to.channels(), factors.len())?;
    let of = |i: usize| &factors[i * to.channels()..(i + 1) * to.channels()];
    let [scale, shift] = maps.mask.vectors();
    let [scale, shift, a, b, c] = filled(workspace, to.blocks() * BLOCK, [scale, shift, of(0), of(1), of(2)]);
    let (bands, dx, g) = (Bands::new(&to), Parts::new(dx), g.map(Parts::new));
    cpu.pool().for_each(bands.count(), |band, _| {
        let place = bands.place(band);
        let (band, factors, to) = (Gated { maps, scale, shift, place: &place }, [a, b, c], &to);
        match maps.mask {
            Mask::None => cpu.isa().run(Write::<NONE> { band, factors, dx, g, residual, to }),
            Mask::Output(..) => cpu.isa().run(Write::<OUTPUT> { band, factors, dx, g, residual, to }),
            Mask::Recompute { .. } => {
                cpu.isa().run(Write::<RECOMPUTE> { band, factors, dx, g, residual, to });
            }
        }
        for n in place.images.clone() {
            for y in [Some(dx), g].into_iter().flatten() {
                // SAFETY: every band has its rows, and the border beside and beyond them, for itself.
                unsafe { to.clear_border(y, n, place.block, place.rows.clone()) };
            }
        }
    });
    Ok(())
}

/// `dx = a g + b x + c + residual` of a band, and `g`.
struct Write<'a, const MASK: usize> {
    band: Gated<'a>,
    factors: [&'a [f32]; 3],
    dx: Parts<'a>,
    g: Option<Parts<'a>>,
    residual: Option<MapsRef<'a>>,
    to: &'a Layout,
}

impl<const MASK: usize> Kernel for Write<'_, MASK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let place = self.band.place;
        let flat = self.residual.is_none_or(|residual| residual.layout.border() == 0);
        let (lines, pixels) = place.lines(flat && self.band.is_flat(Some(self.to)), self.to.width());
        for lane in (0..BLOCK).step_by(S::LANES) {
            let channel = place.block * BLOCK + lane;
            let [a, b, c] = [0, 1, 2].map(|i| s.read(self.factors[i], channel));
            for line in 0..lines {
                let start @ LineStart { image: n, row } = place.line(line, lines);
                let line = self.band.line(s, start, pixels, lane);
                let (at, len) =
                    (self.to.index(n, place.block, row, 0) + lane, (pixels - 1) * BLOCK + S::LANES);
                assert!(at + len <= self.dx.len());
                let dx = self.dx.pointer(at);
                let behind = self.g.map(|g| g.pointer(at));
                let residual = self.residual.map(|MapsRef { values, layout }| {
                    values[layout.index(n, place.block, row, 0) + lane..][..len].as_ptr()
                });
                for pixel in 0..pixels {
                    // SAFETY: the pixels were just checked; `g` is as long as `dx`. A band has its rows for
                    // itself.
                    unsafe {
                        let (x, g) = line.pixel::<MASK>(s, pixel);
                        let mut value = s.fma(a, g, s.fma(b, x, c));
                        if let Some(residual) = residual {
                            value = s.add(value, s.load(residual.add(pixel * BLOCK)));
                        }
                        s.store(dx.add(pixel * BLOCK), value);
                        if let Some(behind) = behind {
                            s.store(behind.add(pixel * BLOCK), g);
                        }
                    }
                }
            }
        }
    }
}
