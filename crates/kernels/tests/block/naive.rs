//! A block computed step by step in float64.

use residual_kernels::block::{Order, Shortcut};
use residual_testkit::naive::Conv2d;

/// What normalisations add to the variance.
pub(crate) const EPS: f64 = 1e-5;

/// Maps in float64, `[n][c][pixels]`.
#[derive(Clone)]
pub(crate) struct Maps {
    pub(crate) n: usize,
    pub(crate) c: usize,
    pub(crate) size: [usize; 2],
    pub(crate) values: Vec<f64>,
}

/// A convolution and its normalisation in float64, with the gradients by their parameters.
pub(crate) struct Unit {
    pub(crate) conv: Conv2d,
    pub(crate) weights: Vec<f64>,
    pub(crate) gamma: Vec<f64>,
    pub(crate) beta: Vec<f64>,
    pub(crate) by: [Vec<f64>; 3],
    /// Running mean and variance, in evaluation.
    pub(crate) running: Option<[Vec<f64>; 2]>,
}

impl Unit {
    fn forward(&self, x: &Maps) -> Maps {
        let size = self.conv.output();
        let mut values = vec![0.0; x.n * self.conv.out_channels * size[0] * size[1]];
        self.conv.products(|xi, wi, yi| values[yi] += x.values[xi] * self.weights[wi]);
        Maps { n: x.n, c: self.conv.out_channels, size, values }
    }

    fn backward(&mut self, x: &Maps, dy: &Maps) -> Maps {
        let (mut dx, mut dw) = (vec![0.0; x.values.len()], vec![0.0; self.weights.len()]);
        self.conv.products(|xi, wi, yi| {
            dx[xi] += dy.values[yi] * self.weights[wi];
            dw[wi] += dy.values[yi] * x.values[xi];
        });
        self.by[0] = dw;
        Maps { values: dx, ..x.clone() }
    }

    /// Indices, mean and deviation of channel `c`: the running ones where there are any.
    fn channel(&self, x: &Maps, c: usize) -> (Vec<usize>, f64, f64) {
        let pixels = x.size[0] * x.size[1];
        let of: Vec<usize> =
            (0..x.n).flat_map(|n| (n * x.c + c) * pixels..(n * x.c + c + 1) * pixels).collect();
        if let Some([mean, variance]) = &self.running {
            return (of, mean[c], (variance[c] + EPS).sqrt());
        }
        let mean = of.iter().map(|&i| x.values[i]).sum::<f64>() / of.len() as f64;
        let variance = of.iter().map(|&i| (x.values[i] - mean).powi(2)).sum::<f64>() / of.len() as f64;
        (of, mean, (variance + EPS).sqrt())
    }

    fn norm(&self, x: &Maps) -> Maps {
        let mut y = x.clone();
        for c in 0..x.c {
            let (of, mean, deviation) = self.channel(x, c);
            of.iter()
                .for_each(|&i| y.values[i] = self.gamma[c] * (x.values[i] - mean) / deviation + self.beta[c]);
        }
        y
    }

    fn norm_backward(&mut self, x: &Maps, g: &Maps) -> Maps {
        let mut dx = x.clone();
        for c in 0..x.c {
            let (of, mean, deviation) = self.channel(x, c);
            let hat = |i: usize| (x.values[i] - mean) / deviation;
            // Running statistics are constants: the gradient does not pass through them.
            let m = if self.running.is_some() { f64::INFINITY } else { of.len() as f64 };
            let dbeta: f64 = of.iter().map(|&i| g.values[i]).sum();
            let dgamma: f64 = of.iter().map(|&i| g.values[i] * hat(i)).sum();
            for &i in &of {
                dx.values[i] = self.gamma[c] / deviation * (g.values[i] - dbeta / m - hat(i) * dgamma / m);
            }
            self.by[1][c] = dgamma;
            self.by[2][c] = dbeta;
        }
        dx
    }
}

/// Squeeze-and-excitation and stochastic depth in float64: `y[n, c, p] = depth[n] s[n, c] b[n, c, p]`.
pub(crate) struct Gate {
    /// Weights and bias of both layers, and the gradients with respect to them.
    pub(crate) layers: Option<[Vec<f64>; 4]>,
    pub(crate) depth: Vec<f64>,
    pub(crate) by: [Vec<f64>; 4],
}

/// What the layers give for one image.
struct Excited {
    mean: Vec<f64>,
    middle: Vec<f64>,
    gate: Vec<f64>,
}

impl Gate {
    fn excite(&self, b: &Maps, n: usize) -> Excited {
        let pixels = b.size[0] * b.size[1];
        let of = |c: usize| &b.values[(n * b.c + c) * pixels..][..pixels];
        let mean: Vec<f64> = (0..b.c).map(|c| of(c).iter().sum::<f64>() / pixels as f64).collect();
        let Some([w1, b1, w2, b2]) = &self.layers else {
            return Excited { mean, middle: Vec::new(), gate: vec![1.0; b.c] };
        };
        let linear = |w: &[f64], bias: &[f64], x: &[f64]| -> Vec<f64> {
            let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            w.chunks(x.len()).zip(bias).map(|(row, bias)| dot(row) + bias).collect()
        };
        let middle: Vec<f64> = linear(w1, b1, &mean).into_iter().map(|h| h.max(0.0)).collect();
        let gate = linear(w2, b2, &middle).into_iter().map(|u| 1.0 / (1.0 + (-u).exp())).collect();
        Excited { mean, middle, gate }
    }

    fn forward(&self, b: &Maps) -> Maps {
        let (mut y, pixels) = (b.clone(), b.size[0] * b.size[1]);
        for n in 0..b.n {
            let gate = self.excite(b, n).gate;
            for (c, gate) in gate.into_iter().enumerate() {
                let y = &mut y.values[(n * b.c + c) * pixels..][..pixels];
                y.iter_mut().for_each(|y| *y *= self.depth[n] * gate);
            }
        }
        y
    }

    fn backward(&mut self, b: &Maps, g: &Maps) -> Maps {
        let (mut db, pixels) = (g.clone(), b.size[0] * b.size[1]);
        let lens = self.layers.as_ref().map(|layers| layers.each_ref().map(Vec::len)).unwrap_or_default();
        self.by = lens.map(|len| vec![0.0; len]);
        for n in 0..b.n {
            let Excited { mean, middle, gate } = self.excite(b, n);
            let mut de = vec![0.0; b.c];
            for c in 0..b.c {
                let at = (n * b.c + c) * pixels;
                for p in at..at + pixels {
                    de[c] += self.depth[n] * g.values[p] * b.values[p] * gate[c] * (1.0 - gate[c]);
                    db.values[p] *= self.depth[n] * gate[c];
                }
            }
            let Some([w1, _, w2, _]) = &self.layers else { continue };
            let mut dm = vec![0.0; b.c];
            for (i, &h) in middle.iter().enumerate() {
                let mut dh = 0.0;
                for c in 0..b.c {
                    self.by[2][c * middle.len() + i] += de[c] * h;
                    dh += de[c] * w2[c * middle.len() + i];
                }
                let dh = if h > 0.0 { dh } else { 0.0 };
                self.by[1][i] += dh;
                for c in 0..b.c {
                    self.by[0][i * b.c + c] += dh * mean[c];
                    dm[c] += dh * w1[i * b.c + c];
                }
            }
            for c in 0..b.c {
                self.by[3][c] += de[c];
                let at = (n * b.c + c) * pixels;
                db.values[at..at + pixels].iter_mut().for_each(|d| *d += dm[c] / pixels as f64);
            }
        }
        db
    }
}

/// The mean of 2x2 pixels, or of those that are there.
fn windows(x: &Maps, stride: usize, mut each: impl FnMut(usize, &[usize])) -> [usize; 2] {
    let size = x.size.map(|side| side.div_ceil(stride));
    for plane in 0..x.n * x.c {
        for (row, column) in (0..size[0]).flat_map(|r| (0..size[1]).map(move |c| (r, c))) {
            let inside = |at: usize, side: usize| (at * stride..at * stride + 2).filter(move |&i| i < side);
            let of: Vec<usize> = inside(row, x.size[0])
                .flat_map(|r| inside(column, x.size[1]).map(move |c| (r, c)))
                .map(|(r, c)| (plane * x.size[0] + r) * x.size[1] + c)
                .collect();
            each((plane * size[0] + row) * size[1] + column, &of);
        }
    }
    size
}

fn pool(x: &Maps, stride: usize) -> Maps {
    let mut values = Vec::new();
    let size = windows(x, stride, |_, of| {
        values.push(of.iter().map(|&i| x.values[i]).sum::<f64>() / of.len() as f64);
    });
    Maps { size, values, ..x.clone() }
}

fn pool_backward(dy: &Maps, x: &Maps, stride: usize) -> Maps {
    let mut dx = Maps { values: vec![0.0; x.values.len()], ..x.clone() };
    windows(x, stride, |to, of| of.iter().for_each(|&i| dx.values[i] += dy.values[to] / of.len() as f64));
    dx
}

fn relu(x: &Maps) -> Maps {
    Maps { values: x.values.iter().map(|&v| v.max(0.0)).collect(), ..x.clone() }
}

/// `dy` where `y` is above 0.
fn gate(dy: &Maps, y: &Maps) -> Maps {
    let values = dy.values.iter().zip(&y.values).map(|(&d, &y)| if y > 0.0 { d } else { 0.0 }).collect();
    Maps { values, ..dy.clone() }
}

fn add(a: &Maps, b: &Maps) -> Maps {
    Maps { values: a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect(), ..a.clone() }
}

/// A block in float64.
pub(crate) struct Naive {
    pub(crate) order: Order,
    pub(crate) shortcut: Shortcut,
    pub(crate) links: Vec<Unit>,
    pub(crate) projection: Option<Unit>,
    pub(crate) gate: Gate,
}

impl Naive {
    /// `y` and `dx`; the gradients with respect to the parameters stay in the units.
    pub(crate) fn run(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        match self.order {
            Order::PostActivation => self.post(x, dy),
            Order::PreActivation => self.pre(x, dy),
        }
    }

    /// What the projection reads.
    fn pooled(&self, h: &Maps) -> Maps {
        match self.shortcut {
            Shortcut::PooledProjection { stride } => pool(h, stride),
            _ => h.clone(),
        }
    }

    /// The gradient by what that was made of.
    fn unpooled(&self, dy: Maps, h: &Maps) -> Maps {
        match self.shortcut {
            Shortcut::PooledProjection { stride } => pool_backward(&dy, h, stride),
            _ => dy,
        }
    }

    fn zero_pads(&self) -> bool {
        matches!(self.shortcut, Shortcut::ZeroPad { .. })
    }

    /// Pairs of elements of `x` and of `y` between which the zero-padded shortcut moves.
    fn moved<'a>(&self, x: &'a Maps, y: &'a Maps) -> impl Iterator<Item = (usize, usize)> + 'a {
        let Shortcut::ZeroPad { stride } = self.shortcut else { panic!("not zero-padded") };
        let before = (y.c - x.c) / 2;
        (0..x.values.len()).filter_map(move |from| {
            let (column, row) = (from % x.size[1], from / x.size[1] % x.size[0]);
            let plane = from / (x.size[0] * x.size[1]);
            let (n, channel) = (plane / x.c, plane % x.c + before);
            let to = ((n * y.c + channel) * y.size[0] + row / stride) * y.size[1] + column / stride;
            (row % stride == 0 && column % stride == 0).then_some((from, to))
        })
    }

    fn zero_pad(&self, x: &Maps, like: &Maps) -> Maps {
        let mut y = Maps { values: vec![0.0; like.values.len()], ..like.clone() };
        self.moved(x, like).for_each(|(from, to)| y.values[to] = x.values[from]);
        y
    }

    fn zero_pad_backward(&self, dy: &Maps, like: &Maps) -> Maps {
        let mut dx = Maps { values: vec![0.0; like.values.len()], ..like.clone() };
        self.moved(like, dy).for_each(|(from, to)| dx.values[from] = dy.values[to]);
        dx
    }

    fn post(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        let (mut read, mut written) = (vec![x.clone()], Vec::new());
        for unit in &self.links {
            let z = unit.forward(&read[read.len() - 1]);
            read.push(relu(&unit.norm(&z)));
            written.push(z);
        }
        let last = self.links.len() - 1;
        let b = self.links[last].norm(&written[last]);
        let mut sum = self.gate.forward(&b);
        let from = self.pooled(x);
        let projected = self.projection.as_ref().map(|unit| unit.forward(&from));
        match (&self.projection, &projected) {
            (Some(unit), Some(z)) => sum = add(&sum, &unit.norm(z)),
            _ if self.shortcut == Shortcut::Identity => sum = add(&sum, x),
            _ if self.zero_pads() => sum = add(&sum, &self.zero_pad(x, &sum)),
            _ => {}
        }
        let g = gate(dy, &sum);
        let mut back = self.gate.backward(&b, &g);
        for i in (0..=last).rev() {
            let dz = self.links[i].norm_backward(&written[i], &back);
            back = self.links[i].backward(&read[i], &dz);
            if i > 0 {
                back = gate(&back, &read[i]);
            }
        }
        match (&mut self.projection, &projected) {
            (Some(unit), Some(z)) => {
                let dz = unit.norm_backward(z, &g);
                let by_pooled = unit.backward(&from, &dz);
                back = add(&back, &self.unpooled(by_pooled, x));
            }
            _ if self.shortcut == Shortcut::Identity => back = add(&back, &g),
            _ => {}
        }
        if self.zero_pads() {
            back = add(&back, &self.zero_pad_backward(&g, x));
        }
        (relu(&sum), back)
    }

    fn pre(&mut self, x: &Maps, dy: &Maps) -> (Maps, Maps) {
        let (mut read, mut written) = (Vec::new(), vec![x.clone()]);
        for unit in &self.links {
            let a = relu(&unit.norm(&written[written.len() - 1]));
            written.push(unit.forward(&a));
            read.push(a);
        }
        let mut y = self.gate.forward(&written[written.len() - 1]);
        let from = self.pooled(&read[0]);
        match &self.projection {
            Some(unit) => y = add(&y, &unit.forward(&from)),
            None if self.shortcut == Shortcut::Identity => y = add(&y, x),
            None if self.zero_pads() => y = add(&y, &self.zero_pad(&read[0], &y)),
            None => {}
        }
        let mut back = self.gate.backward(&written[written.len() - 1], dy);
        for i in (0..self.links.len()).rev() {
            back = self.links[i].backward(&read[i], &back);
            if let (0, Some(unit)) = (i, &mut self.projection) {
                let by_pooled = unit.backward(&from, dy);
                back = add(&back, &self.unpooled(by_pooled, &read[0]));
            }
            if i == 0 && self.zero_pads() {
                back = add(&back, &self.zero_pad_backward(dy, &read[0]));
            }
            back = self.links[i].norm_backward(&written[i], &gate(&back, &read[i]));
        }
        if self.shortcut == Shortcut::Identity {
            back = add(&back, dy);
        }
        (y, back)
    }
}
