//! From the bytes of images to floats.

use super::convert::{Band, Line, Source, Steps, each_band, place};
use super::{Layout, check_length};
use crate::memory::Parts;
use crate::simd::{BLOCK, Kernel, Simd};
use crate::{Cpu, Error};

/// Pixels that are converted together.
const TILE: usize = 64;

/// Bytes `[batch][height][width][channels]` to floats: `y = (x / 255 - mean) / std`, by channel.
///
/// # Errors
/// [`Error::Length`] where `x` or `y` is not as long as `to` says, or there is not one `mean` and
/// one `std` for every channel.
pub fn normalise(
    cpu: &Cpu,
    x: &[u8],
    mean: &[f32],
    std: &[f32],
    y: &mut [f32],
    to: Layout,
) -> Result<(), Error> {
    let channels = to.channels();
    check_length("the image", to.batch() * channels * to.height() * to.width(), x.len())?;
    check_length("the means", channels, mean.len())?;
    check_length("the standard deviations", channels, std.len())?;
    to.check("the output", y.len())?;
    each_band(cpu, y, to, |y, band| {
        // (x / 255 - mean) / std = x scale + shift
        let (mut scale, mut shift) = ([0.0; BLOCK], [0.0; BLOCK]);
        for lane in 0..band.channels {
            let (mean, std) = (mean[band.channel + lane], std[band.channel + lane]);
            (scale[lane], shift[lane]) = (1.0 / (255.0 * std), -mean / std);
        }
        cpu.isa().run(Normalise { x, scale, shift, y, to: &to, band });
    });
    Ok(())
}

/// A band, 64 pixels at a time: first as planes.
struct Normalise<'a> {
    x: &'a [u8],
    scale: [f32; BLOCK],
    shift: [f32; BLOCK],
    y: Parts<'a>,
    to: &'a Layout,
    band: Band,
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Band { n, channel, channels, ref rows } = self.band;
        let (width, all) = (self.to.width(), self.to.channels());
        let mut planes = [[0.0; TILE]; BLOCK];
        for row in rows.clone() {
            for first in (0..width).step_by(TILE) {
                let pixels = TILE.min(width - first);
                let start = ((n * self.to.height() + row) * width + first) * all;
                let x = &self.x[start..start + pixels * all];
                // Where the number is a constant, the bytes are taken apart by vector instructions.
                match all {
                    1 => self.take_apart::<1>(x, all, &mut planes),
                    3 => self.take_apart::<3>(x, all, &mut planes),
                    _ => self.take_apart::<0>(x, all, &mut planes),
                }
                let layout = Steps { pixel: 1, channel: TILE };
                let source = Source { x: planes.as_flattened(), at: 0, layout };
                let at = place(self.to, n, channel, row) + first * self.to.block();
                let line = Line { source, to: self.to, at, pixels, channels };
                // SAFETY: a task has its rows and channels for itself.
                unsafe { line.write(s, self.y) }
            }
        }
    }
}

impl Normalise<'_> {
    /// Converts pixels of `all` channels, of which these are the band's; `ALL` is as many, or 0.
    #[inline(always)]
    fn take_apart<const ALL: usize>(&self, x: &[u8], all: usize, planes: &mut [[f32; TILE]; BLOCK]) {
        let all = if ALL == 0 { all } else { ALL };
        let channels = if ALL == 0 { self.band.channels } else { ALL };
        for (lane, plane) in planes[..channels].iter_mut().enumerate() {
            let (scale, shift) = (self.scale[lane], self.shift[lane]);
            let own = self.band.channel + lane;
            for (y, pixel) in plane.iter_mut().zip(x.chunks_exact(all)) {
                *y = f32::from(pixel[own]) * scale + shift;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, convert};

    #[test]
    fn bytes_are_normalised_by_channel() {
        let cpu = Cpu::new(1).unwrap();
        let layout = Layout::blocked(1, 2, 1, 2).unwrap();
        let mut y = vec![f32::NAN; 32];
        normalise(&cpu, &[0, 255, 51, 102], &[0.5, 0.2], &[0.25, 0.5], &mut y, layout).unwrap();
        for (at, wanted) in [(0, -2.0), (16, -1.2), (1, 1.6), (17, 0.4)] {
            assert!((y[at] - wanted).abs() < 1e-6, "{at}: {}", y[at]);
        }
        assert_eq!(y[2..16], [0.0; 14]);
    }

    #[test]
    fn every_byte_of_every_layout() {
        for (isa, (channels, size)) in Isa::available()
            .into_iter()
            .flat_map(|isa| [(1, 3), (3, 70), (4, 9), (17, 5)].map(|case| (isa, case)))
        {
            let cpu = Cpu::with_isa(isa, 3).unwrap();
            let planar = Layout::planar(2, channels, 3, size).unwrap();
            let x: Vec<u8> = (0..planar.len()).map(|i| (i * 7 % 256) as u8).collect();
            let (mean, std): (Vec<_>, Vec<_>) =
                (0..channels).map(|c| (0.1 * c as f32, 0.2 + 0.01 * c as f32)).unzip();
            let blocked = Layout::blocked(2, channels, 3, size).unwrap().with_border(1).unwrap();
            let interleaved = Layout::interleaved(2, channels, 3, size).unwrap();
            for to in [planar, planar.with_border(3).unwrap(), blocked, interleaved] {
                let (mut y, mut plain) = (vec![f32::NAN; to.len()], vec![f32::NAN; planar.len()]);
                normalise(&cpu, &x, &mean, &std, &mut y, to).unwrap();
                assert!(y.iter().all(|y| y.is_finite()), "all of it is written");
                convert(&cpu, &y, to, &mut plain, planar).unwrap();
                for (i, &found) in plain.iter().enumerate() {
                    let (n, c, pixel) =
                        (i / (channels * 3 * size), i / (3 * size) % channels, i % (3 * size));
                    let byte = f32::from(x[(n * 3 * size + pixel) * channels + c]);
                    let wanted = (byte / 255.0 - mean[c]) / std[c];
                    assert!((found - wanted).abs() < 1e-5, "{isa} {to:?} {i}: {found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn wrong_lengths_are_errors_and_write_nothing() {
        let cpu = Cpu::new(1).unwrap();
        let b = Layout::blocked(1, 2, 2, 2).unwrap();
        let mut y = vec![7.0; 64];
        assert!(normalise(&cpu, &[0; 8], &[0.0; 1], &[1.0; 2], &mut y, b).is_err());
        assert!(normalise(&cpu, &[0; 8], &[0.0; 2], &[1.0; 3], &mut y, b).is_err());
        assert!(normalise(&cpu, &[0; 9], &[0.0; 2], &[1.0; 2], &mut y, b).is_err());
        assert_eq!(y, vec![7.0; 64]);
    }
}
