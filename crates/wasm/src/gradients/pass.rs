//! A forward and a backward pass over the list of layers.

use residual_arch::{ConvKind, Layer, LayerOp, Reads, Source, ZeroPad};

use super::{Batch, Error, conv, init, norm, pool, unsupported};

/// Layers and their weights, empty where a layer has none.
struct Pass<'a> {
    layers: &'a [Layer],
    batch: &'a Batch,
    weights: Vec<[Vec<f32>; 2]>,
    with_norms: bool,
}

/// Gradients of the mean cross-entropy with respect to the output of every layer.
pub(super) fn gradients(
    layers: &[Layer],
    batch: &Batch,
    seed: u64,
    with_norms: bool,
) -> Result<Vec<Vec<f32>>, Error> {
    let weights = layers.iter().map(|layer| weights(layer, seed)).collect::<Result<_, Error>>()?;
    let pass = Pass { layers, batch, weights, with_norms };
    let mut maps: Vec<Vec<f32>> = Vec::with_capacity(layers.len());
    for (place, layer) in layers.iter().enumerate() {
        let map = pass.forward(place, layer, &maps);
        maps.push(map);
    }
    let mut gradients: Vec<Vec<f32>> = maps.iter().map(|map| vec![0.0; map.len()]).collect();
    if let (Some(logits), Some(last)) = (maps.last(), gradients.last_mut()) {
        cross_entropy(logits, &batch.classes, last);
    }
    for place in (0..layers.len()).rev() {
        let dy = std::mem::take(&mut gradients[place]);
        pass.backward(place, &maps, &dy, &mut gradients);
        gradients[place] = dy;
    }
    Ok(gradients)
}

fn weights(layer: &Layer, seed: u64) -> Result<[Vec<f32>; 2], Error> {
    Ok(match layer.op() {
        LayerOp::Conv(conv) if conv.kind == ConvKind::Plain => {
            [init::convolution(layer.path(), conv, seed), vec![]]
        }
        LayerOp::Linear { inputs, outputs } => init::linear(layer.path(), *inputs, *outputs, seed),
        LayerOp::Norm(_)
        | LayerOp::Activation(_)
        | LayerOp::MaxPool(_)
        | LayerOp::AveragePool(_)
        | LayerOp::Identity
        | LayerOp::ZeroPad(_)
        | LayerOp::StochasticDepth { .. }
        | LayerOp::Add
        | LayerOp::GlobalAverage
        | LayerOp::Dropout { .. } => Default::default(),
        _ => return Err(unsupported(layer.path())),
    })
}

/// `(softmax(z) - one_hot) / batch`, image by image.
fn cross_entropy(logits: &[f32], classes: &[usize], gradient: &mut [f32]) {
    let count = logits.len() / classes.len();
    let images = logits.chunks_exact(count).zip(gradient.chunks_exact_mut(count));
    for ((z, dz), &class) in images.zip(classes) {
        let greatest = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = z.iter().map(|&z| f64::from(z - greatest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        for (place, (dz, power)) in dz.iter_mut().zip(powers).enumerate() {
            let target = if place == class { 1.0 } else { 0.0 };
            *dz = ((power / sum - target) / classes.len() as f64) as f32;
        }
    }
}

impl Pass<'_> {
    fn source<'m>(&'m self, maps: &'m [Vec<f32>], source: Source) -> &'m [f32] {
        match source {
            Source::Input => &self.batch.values,
            Source::Layer(layer) => &maps[layer.index()],
        }
    }

    fn forward(&self, place: usize, layer: &Layer, maps: &[Vec<f32>]) -> Vec<f32> {
        let images = self.batch.classes.len();
        let x = self.source(maps, layer.reads().first());
        let (ins, outs) = (size(layer.input()), size(layer.output()));
        let mut y = vec![0.0; images * outs];
        let [weight, bias] = &self.weights[place];
        let each = x.chunks_exact(ins).zip(y.chunks_exact_mut(outs));
        match layer.op() {
            LayerOp::Conv(conv) => each.for_each(|(x, y)| conv::forward(layer, conv, weight, x, y)),
            LayerOp::Norm(norm) if self.with_norms => norm::forward(*norm, images, layer.input(), x, &mut y),
            LayerOp::Activation(_) => y.iter_mut().zip(x).for_each(|(y, &x)| *y = x.max(0.0)),
            LayerOp::MaxPool(pool) => each.for_each(|(x, y)| pool::max_forward(layer, pool, x, y)),
            LayerOp::AveragePool(pool) => each.for_each(|(x, y)| pool::average_forward(layer, pool, x, y)),
            LayerOp::ZeroPad(pad) => each.for_each(|(x, y)| strided(layer, pad, |from, to| y[to] = x[from])),
            LayerOp::Add => {
                let other = layer.reads().second().map_or(x, |second| self.source(maps, second));
                y.iter_mut().zip(x.iter().zip(other)).for_each(|(y, (a, b))| *y = a + b);
            }
            LayerOp::GlobalAverage => {
                let plane = ins / outs;
                y.iter_mut()
                    .zip(x.chunks_exact(plane))
                    .for_each(|(y, x)| *y = x.iter().sum::<f32>() / plane as f32);
            }
            LayerOp::Linear { inputs, .. } => each.for_each(|(x, y)| {
                for ((y, row), bias) in y.iter_mut().zip(weight.chunks_exact(*inputs)).zip(bias) {
                    *y = row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + bias;
                }
            }),
            // Nothing is dropped.
            _ => y.copy_from_slice(x),
        }
        y
    }

    /// Adds to the gradients of what the layer reads.
    fn backward(&self, place: usize, maps: &[Vec<f32>], dy: &[f32], gradients: &mut [Vec<f32>]) {
        let layer = &self.layers[place];
        let add = |gradients: &mut [Vec<f32>], source: Source| {
            if let Source::Layer(layer) = source {
                gradients[layer.index()].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
            }
        };
        if let Reads::Two(branch, shortcut) = layer.reads() {
            add(gradients, branch);
            return add(gradients, shortcut);
        }
        let Source::Layer(read) = layer.reads().first() else { return };
        let (x, dx) = (&maps[read.index()][..], &mut gradients[read.index()][..]);
        let (ins, outs) = (size(layer.input()), size(layer.output()));
        let weight = &self.weights[place][0];
        let each = dy.chunks_exact(outs).zip(dx.chunks_exact_mut(ins));
        match layer.op() {
            LayerOp::Conv(conv) => each.for_each(|(dy, dx)| conv::backward(layer, conv, weight, dy, dx)),
            LayerOp::Norm(norm) if self.with_norms => {
                norm::backward(*norm, self.batch.classes.len(), layer.input(), [x, dy], dx);
            }
            LayerOp::Activation(_) => {
                dx.iter_mut().zip(dy).zip(x).filter(|(_, x)| **x > 0.0).for_each(|((dx, dy), _)| *dx += dy);
            }
            LayerOp::MaxPool(pool) => each
                .zip(x.chunks_exact(ins))
                .for_each(|((dy, dx), x)| pool::max_backward(layer, pool, [x, dy], dx)),
            LayerOp::AveragePool(pool) => {
                each.for_each(|(dy, dx)| pool::average_backward(layer, pool, dy, dx))
            }
            LayerOp::ZeroPad(pad) => {
                each.for_each(|(dy, dx)| strided(layer, pad, |to, from| dx[to] += dy[from]))
            }
            LayerOp::GlobalAverage => {
                let plane = ins / outs;
                let planes = dx.chunks_exact_mut(plane).zip(dy);
                planes.for_each(|(dx, dy)| dx.iter_mut().for_each(|dx| *dx += dy / plane as f32));
            }
            LayerOp::Linear { inputs, .. } => each.for_each(|(dy, dx)| {
                for (row, dy) in weight.chunks_exact(*inputs).zip(dy) {
                    dx.iter_mut().zip(row).for_each(|(dx, w)| *dx += w * dy);
                }
            }),
            _ => dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy),
        }
    }
}

/// Values of a map.
fn size(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

/// Calls `visit(input, output)` with the places of every value that a zero-padded copy takes.
fn strided(layer: &Layer, pad: &ZeroPad, mut visit: impl FnMut(usize, usize)) {
    let ([channels, height, width], [_, rows, columns]) = (layer.input(), layer.output());
    for place in 0..channels * rows * columns {
        let (channel, row, column) = (place / (rows * columns), place / columns % rows, place % columns);
        let from = (channel * height + row * pad.stride) * width + column * pad.stride;
        visit(from, pad.before() * rows * columns + place);
    }
}
