//! Measures single convolutions on request: the side of this project in `bench/peers`.
//!
//! `layer THREADS` reads lines and answers each with one line:
//!
//! ```text
//! layer PASS BATCH IN OUT SIZE KERNEL STRIDE   ready ALGORITHM
//! run COUNT                                    ms MEDIAN
//! anything else, or what cannot be had         error REASON
//! ```
//!
//! PASS is `forward` (with a bias; weights packed beforehand), `data` or `weights`. The gradient with respect to the
//! input packs its weights every time, as training has to; maps are in the kernels' own layout.

use std::io::{BufRead, Write};
use std::time::Instant;

use residual_kernels::{
    Buffer, Conv, ConvBackwardData, ConvBackwardWeights, ConvShape, Cpu, Epilogue, Error, Layout,
};

type Failure = Box<dyn std::error::Error>;
type Run = Box<dyn FnMut(&Cpu) -> Result<(), Error>>;

/// A pass of a layer, ready to run.
struct Prepared {
    algorithm: String,
    run: Run,
}

/// The maps of a layer: those that a 3x3 reads have the border that saves it a copy.
struct Maps {
    input: Layout,
    output: Layout,
    weights: Vec<f32>,
}

impl Maps {
    fn new(shape: &ConvShape) -> Result<Self, Error> {
        let [h, w] = shape.output()?;
        let input = if shape.in_channels < 16 { Layout::planar } else { Layout::blocked };
        let input = input(shape.batch, shape.in_channels, shape.size[0], shape.size[1])?;
        Ok(Self {
            input: input.with_border(shape.padding[0])?,
            output: Layout::blocked(shape.batch, shape.out_channels, h, w)?,
            weights: (0..shape.weights()).map(|i| (i % 7) as f32 / 7.0 - 0.4).collect(),
        })
    }
}

/// Maps of small numbers, without regard for borders: nothing is computed differently for their values.
fn filled(layout: &Layout) -> Buffer {
    let mut buffer = Buffer::zeroed(layout.len());
    buffer.iter_mut().enumerate().for_each(|(i, x)| *x = (i % 13) as f32 / 13.0 - 0.4);
    buffer
}

fn forward(cpu: &Cpu, shape: ConvShape) -> Result<Prepared, Error> {
    let Maps { input, output, weights } = Maps::new(&shape)?;
    let conv = Conv::new(cpu, shape, input, output)?;
    let (weights, shift) = (conv.pack(&weights)?, vec![0.1; shape.out_channels]);
    let (x, mut y) = (filled(&input), Buffer::zeroed(output.len()));
    let mut workspace = Buffer::zeroed(conv.workspace(cpu));
    let algorithm = conv.algorithm().to_string();
    let run = move |cpu: &Cpu| {
        let epilogue = Epilogue { shift: Some(&shift), ..Epilogue::default() };
        conv.forward(cpu, &x, &weights, &epilogue, None, &mut y, &mut workspace)
    };
    Ok(Prepared { algorithm, run: Box::new(run) })
}

fn by_input(cpu: &Cpu, shape: ConvShape) -> Result<Prepared, Error> {
    let Maps { input, output, weights } = Maps::new(&shape)?;
    let dy = output.with_border(shape.padding[0])?;
    let backward = ConvBackwardData::packed_anew(cpu, shape, dy, input)?;
    let mut packed = backward.pack(&weights)?;
    let (gradient, mut dx) = (filled(&dy), Buffer::zeroed(input.len()));
    let mut workspace = Buffer::zeroed(backward.workspace(cpu));
    let algorithm = backward.algorithm().to_string();
    let run = move |cpu: &Cpu| {
        backward.pack_into(cpu, &weights, &mut packed)?;
        backward.run(cpu, &gradient, &packed, &Epilogue::default(), &mut dx, &mut workspace)
    };
    Ok(Prepared { algorithm, run: Box::new(run) })
}

fn by_weights(cpu: &Cpu, shape: ConvShape) -> Result<Prepared, Error> {
    let Maps { input, output, weights: mut dw } = Maps::new(&shape)?;
    let dy = output.with_border(shape.padding[0])?;
    let backward = ConvBackwardWeights::new(cpu, shape, input, dy)?;
    let (x, gradient) = (filled(&input), filled(&dy));
    let mut workspace = Buffer::zeroed(backward.workspace(cpu));
    let algorithm = backward.algorithm().to_string();
    let run = move |cpu: &Cpu| backward.run(cpu, &x, &gradient, &mut dw, &mut workspace);
    Ok(Prepared { algorithm, run: Box::new(run) })
}

fn prepare(cpu: &Cpu, words: &[&str]) -> Result<Prepared, Failure> {
    let [pass, numbers @ ..] = words else { return Err("which pass?".into()) };
    let numbers = numbers.iter().map(|word| word.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [batch, ins, outs, size, kernel, stride] = numbers[..] else {
        return Err("six numbers make a layer: BATCH IN OUT SIZE KERNEL STRIDE".into());
    };
    let shape = ConvShape::square(batch, [ins, outs], size, kernel, stride);
    match *pass {
        "forward" => Ok(forward(cpu, shape)?),
        "data" => Ok(by_input(cpu, shape)?),
        "weights" => Ok(by_weights(cpu, shape)?),
        other => Err(format!("no pass `{other}`: forward, data or weights").into()),
    }
}

/// The median time of `count` runs, in milliseconds.
fn measure(cpu: &Cpu, prepared: &mut Prepared, count: &str) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..count.parse::<usize>()?.max(1) {
        let start = Instant::now();
        (prepared.run)(cpu)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn answer(cpu: &Cpu, line: &str, current: &mut Option<Prepared>) -> Result<String, Failure> {
    match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["layer", ref words @ ..] => {
            let prepared = current.insert(prepare(cpu, words)?);
            Ok(format!("ready {}", prepared.algorithm))
        }
        ["run", count] => {
            let prepared = current.as_mut().ok_or("a `layer` line comes first")?;
            Ok(format!("ms {:.6}", measure(cpu, prepared, count)?))
        }
        _ => Err(format!("neither `layer ...` nor `run COUNT`: {line}").into()),
    }
}

fn main() -> Result<(), Failure> {
    let threads = std::env::args().nth(1).ok_or("usage: layer THREADS")?.parse()?;
    let cpu = Cpu::new(threads)?;
    let mut current = None;
    for line in std::io::stdin().lock().lines() {
        let text = answer(&cpu, &line?, &mut current).unwrap_or_else(|error| format!("error {error}"));
        println!("{text}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
