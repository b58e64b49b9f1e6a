//! Pools, by the places of their windows.

use residual_arch::{AveragePool, Layer, MaxPool};

/// Window of an output: rows and columns of a plane.
struct Window {
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
}

impl Window {
    fn new(place: [usize; 2], [height, width]: [usize; 2], [kernel, stride, padding]: [usize; 3]) -> Self {
        let range = |at: usize, side: usize| {
            let start = at * stride;
            start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(side)
        };
        Self { rows: range(place[0], height), columns: range(place[1], width) }
    }

    fn places(&self, width: usize) -> impl Iterator<Item = usize> + '_ {
        self.rows.clone().flat_map(move |row| self.columns.clone().map(move |column| row * width + column))
    }
}

/// Calls `visit(output, plane, window)` for every output of an image.
fn windows(layer: &Layer, sizes: [usize; 3], mut visit: impl FnMut(usize, usize, Window)) {
    let ([channels, height, width], [_, rows, columns]) = (layer.input(), layer.output());
    for output in 0..channels * rows * columns {
        let (channel, row, column) = (output / (rows * columns), output / columns % rows, output % columns);
        visit(output, channel * height * width, Window::new([row, column], [height, width], sizes));
    }
}

/// Place of the greatest value of a window; `None` where a padding of zeros is greater.
fn greatest(pool: &MaxPool, window: &Window, width: usize, plane: &[f32]) -> Option<usize> {
    let best = window.places(width).reduce(|best, at| if plane[at] > plane[best] { at } else { best })?;
    let is_padded = window.rows.len() < pool.kernel || window.columns.len() < pool.kernel;
    (!(pool.zeros && is_padded && plane[best] < 0.0)).then_some(best)
}

pub(super) fn max_forward(layer: &Layer, pool: &MaxPool, x: &[f32], y: &mut [f32]) {
    let width = layer.input()[2];
    windows(layer, [pool.kernel, pool.stride, pool.padding], |output, plane, window| {
        let plane = &x[plane..];
        y[output] = greatest(pool, &window, width, plane).map_or(0.0, |at| plane[at]);
    });
}

pub(super) fn max_backward(layer: &Layer, pool: &MaxPool, [x, dy]: [&[f32]; 2], dx: &mut [f32]) {
    let width = layer.input()[2];
    windows(layer, [pool.kernel, pool.stride, pool.padding], |output, plane, window| {
        if let Some(at) = greatest(pool, &window, width, &x[plane..]) {
            dx[plane + at] += dy[output];
        }
    });
}

pub(super) fn average_forward(layer: &Layer, pool: &AveragePool, x: &[f32], y: &mut [f32]) {
    let width = layer.input()[2];
    windows(layer, [pool.kernel, pool.stride, 0], |output, plane, window| {
        let count = (window.rows.len() * window.columns.len()) as f32;
        y[output] = window.places(width).map(|at| x[plane + at]).sum::<f32>() / count;
    });
}

pub(super) fn average_backward(layer: &Layer, pool: &AveragePool, dy: &[f32], dx: &mut [f32]) {
    let width = layer.input()[2];
    windows(layer, [pool.kernel, pool.stride, 0], |output, plane, window| {
        let count = (window.rows.len() * window.columns.len()) as f32;
        window.places(width).for_each(|at| dx[plane + at] += dy[output] / count);
    });
}
