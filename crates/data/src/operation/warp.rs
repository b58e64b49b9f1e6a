//! Affine warps, pixel by pixel as Pillow's `Image.transform` reads them.

use crate::image::{Level, Remap};

/// Affine warp of an image to its own size.
pub(super) struct Warp {
    /// Matrix from the result to the source.
    pub(super) matrix: [f64; 6],
    /// `[height, width]`
    pub(super) size: [usize; 2],
    /// Mean of four pixels, in place of the nearest one.
    pub(super) bilinear: bool,
}

impl Remap for Warp {
    fn remap<T: Level>(&self, source: &[T], fill: &[T]) -> Vec<T> {
        let mut target = fill.repeat(self.size[0] * self.size[1]);
        match (self.bilinear, fill.len()) {
            (false, 1) => self.nearest::<T, 1>(source.as_chunks().0, target.as_chunks_mut().0),
            (false, 3) => self.nearest::<T, 3>(source.as_chunks().0, target.as_chunks_mut().0),
            (true, 1) => self.bilinear::<T, 1>(source.as_chunks().0, target.as_chunks_mut().0),
            (true, 3) => self.bilinear::<T, 3>(source.as_chunks().0, target.as_chunks_mut().0),
            (_, channels) => self.plane_by_plane(source, &mut target, channels),
        }
        target
    }
}

impl Warp {
    /// Any number of channels, one after the other.
    fn plane_by_plane<T: Level>(&self, source: &[T], target: &mut [T], channels: usize) {
        for channel in 0..channels {
            let plane: Vec<[T; 1]> =
                source[channel..].iter().step_by(channels).map(|&value| [value]).collect();
            let mut warped: Vec<[T; 1]> =
                target[channel..].iter().step_by(channels).map(|&value| [value]).collect();
            match self.bilinear {
                true => self.bilinear(&plane, &mut warped),
                false => self.nearest(&plane, &mut warped),
            }
            for (value, [warped]) in target[channel..].iter_mut().step_by(channels).zip(warped) {
                *value = warped;
            }
        }
    }

    fn nearest<T: Level, const C: usize>(&self, source: &[[T; C]], target: &mut [[T; C]]) {
        let [a, b, _, d, e, _] = self.matrix;
        let corner = |x: usize, y: usize| {
            let [_, _, c, _, _, f] = self.matrix;
            let (x, y) = (x as f64, y as f64);
            (x * a + y * b + c).abs() < 32768.0 && (x * d + y * e + f).abs() < 32768.0
        };
        let [height, width] = self.size;
        if b == 0.0 && d == 0.0 {
            self.scaled(source, target);
        } else if corner(0, 0) && corner(width, height) && corner(0, height) && corner(width, 0) {
            self.in_fixed_point(source, target);
        } else {
            self.in_floats(source, target);
        }
    }

    /// Scale and translation: the columns are the same in every row.
    fn scaled<T: Level, const C: usize>(&self, source: &[[T; C]], target: &mut [[T; C]]) {
        let ([height, width], [a, _, c, _, e, f]) = (self.size, self.matrix);
        let mut column = c + a * 0.5;
        let columns: Vec<Option<usize>> = (0..width)
            .map(|_| {
                let read = place(column, width);
                column += a;
                read
            })
            .collect();
        let mut row = f + e * 0.5;
        for target in target.chunks_exact_mut(width) {
            if let Some(y) = place(row, height) {
                let source = &source[y * width..(y + 1) * width];
                for (pixel, column) in target.iter_mut().zip(&columns) {
                    if let Some(x) = *column {
                        *pixel = source[x];
                    }
                }
            }
            row += e;
        }
    }

    /// Places in 16.16 fixed point, summed along the rows.
    fn in_fixed_point<T: Level, const C: usize>(&self, source: &[[T; C]], target: &mut [[T; C]]) {
        let ([height, width], [a, b, c, d, e, f]) = (self.size, self.matrix);
        let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
        let [by_x, by_y] = [fixed(a), fixed(d)];
        let mut row = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
        for target in target.chunks_exact_mut(width) {
            let [mut x, mut y] = row;
            for pixel in target {
                // Negative places are beyond every size.
                let [column, line] = [(x >> 16) as usize, (y >> 16) as usize];
                if column < width && line < height {
                    *pixel = source[line * width + column];
                }
                x += by_x;
                y += by_y;
            }
            row[0] += fixed(b);
            row[1] += fixed(e);
        }
    }

    /// Places in floats, for images that fixed point does not reach.
    fn in_floats<T: Level, const C: usize>(&self, source: &[[T; C]], target: &mut [[T; C]]) {
        let ([height, width], [a, b, c, d, e, f]) = (self.size, self.matrix);
        let mut row = [c + a * 0.5 + b * 0.5, f + d * 0.5 + e * 0.5];
        for target in target.chunks_exact_mut(width) {
            let [mut x, mut y] = row;
            for pixel in target {
                if let (Some(column), Some(line)) = (place(x, width), place(y, height)) {
                    *pixel = source[line * width + column];
                }
                x += a;
                y += d;
            }
            row[0] += b;
            row[1] += e;
        }
    }

    fn bilinear<T: Level, const C: usize>(&self, source: &[[T; C]], target: &mut [[T; C]]) {
        let ([height, width], [a, b, c, d, e, f]) = (self.size, self.matrix);
        for (row, target) in target.chunks_exact_mut(width).enumerate() {
            let v = row as f64 + 0.5;
            for (column, pixel) in target.iter_mut().enumerate() {
                let u = column as f64 + 0.5;
                let (x, y) = (a * u + b * v + c, d * u + e * v + f);
                if x < 0.0 || x >= width as f64 || y < 0.0 || y >= height as f64 {
                    continue;
                }
                let (x, y) = (x - 0.5, y - 0.5);
                let (left, top) = (x.floor(), y.floor());
                let (dx, dy) = (x - left, y - top);
                let (x0, x1) = (left.max(0.0) as usize, ((left + 1.0) as usize).min(width - 1));
                let (y0, y1) = (top.max(0.0) as usize, (top + 1.0) as usize);
                let upper = &source[y0 * width..(y0 + 1) * width];
                let lower = if y1 < height { &source[y1 * width..(y1 + 1) * width] } else { upper };
                for (channel, value) in pixel.iter_mut().enumerate() {
                    let between = |row: &[[T; C]]| {
                        let [left, right] = [row[x0][channel], row[x1][channel]].map(Level::to_f64);
                        left + (right - left) * dx
                    };
                    let (above, below) = (between(upper), between(lower));
                    *value = T::cut(above + (below - above) * dy);
                }
            }
        }
    }
}

/// Place of a coordinate among `size` pixels.
fn place(coordinate: f64, size: usize) -> Option<usize> {
    (coordinate >= 0.0 && coordinate < size as f64).then_some(coordinate as usize)
}
