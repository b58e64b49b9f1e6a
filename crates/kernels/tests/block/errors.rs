//! What does not fit is said.

use residual_kernels::block::{
    Block, BlockGradients, BlockParameters, BlockShape, Gradients, Input, InputGradient, KeptOutputs, Link,
    LinkGradients, LinkParameters, Memory, Order, Resources, Shortcut, SqueezeParameters, Tape,
};
use residual_kernels::{Cpu, Layout, Scratch};

#[test]
fn branch_and_shortcut_that_do_not_fit_are_errors() {
    let x = Layout::blocked(1, 16, 8, 8).unwrap();
    let order = Order::PostActivation;
    let plain = BlockShape::basic(16, 1, Shortcut::None, order);
    let error = |shape: BlockShape| shape.output(&x).unwrap_err().to_string();
    let strided = error(BlockShape::basic(16, 2, Shortcut::Identity, order));
    assert!(strided.contains("[16, 4, 4]") && strided.contains("[16, 8, 8]"), "{strided}");
    assert!(
        error(BlockShape::basic(32, 2, Shortcut::Projection { stride: 1 }, order)).contains("[32, 8, 8]")
    );
    assert!(error(BlockShape { links: Vec::new(), ..plain.clone() }).contains("empty"));
    let link = Link { out_channels: 16, kernel: 3, stride: 1, groups: 3 };
    assert!(error(BlockShape { links: vec![link], ..plain.clone() }).contains("groups"));
    let cpu = Cpu::new(1).unwrap();
    let shape = BlockShape::basic(16, 1, Shortcut::Identity, order);
    assert!(Block::new(&cpu, &shape, x, Layout::planar(1, 16, 8, 8).unwrap(), Memory::Keep).is_err());
    let block = Block::new(&cpu, &shape, x, x, Memory::Keep).unwrap();
    let (weights, ones) = (vec![0.0; 9 * 256], vec![1.0; 16]);
    let link = LinkParameters { weights: &weights, gamma: &ones, beta: &ones };
    let (one, two) = ([link], [link, link]);
    let parameters = |links| BlockParameters { links, projection: None, squeeze: None, eps: 1e-5 };
    let mut y = vec![0.0; x.len()];
    let mut run = |x: &[f32], parameters: &BlockParameters<'_>, tape: &mut Tape, depth: Option<&[f32]>| {
        let input = Input { x, parameters, depth };
        block.forward(&mut Resources { cpu: &cpu, scratch: &mut Scratch::default() }, &input, tape, &mut y)
    };
    let (a, mut tape) = (vec![0.0; x.len()], block.tape());
    assert!(run(&a, &parameters(&two), &mut tape, None).is_ok());
    assert!(run(&a, &parameters(&one), &mut tape, None).is_err());
    let short = [link, LinkParameters { gamma: &ones[1..], ..link }];
    assert!(run(&a, &parameters(&short), &mut tape, None).is_err());
    assert!(run(&a[1..], &parameters(&two), &mut tape, None).is_err());
    assert!(run(&a, &parameters(&two), &mut tape, Some(&[1.0; 2])).is_err());
    let squeeze = Some(SqueezeParameters { reduce: [&weights, &ones], expand: [&weights, &ones] });
    let squeezed = BlockParameters { squeeze, ..parameters(&two) };
    let told = run(&a, &squeezed, &mut tape, None).unwrap_err().to_string();
    assert!(told.contains("a squeeze: false; the parameters are for") && told.contains("a squeeze: true"));
    let smaller = Layout::blocked(1, 16, 4, 4).unwrap();
    let other = Block::new(&cpu, &shape, smaller, smaller, Memory::Keep).unwrap();
    assert!(run(&a, &parameters(&two), &mut other.tape(), None).is_err());
    by_output_and_over(&cpu, &block, &parameters(&two));
    let by = |images| Block::with_images_at_once(&cpu, &shape, [x, x], Memory::Keep, images);
    assert!(by(0).is_err() && by(2).is_err() && by(1).is_ok());
    let squeezing = Block::new(&cpu, &shape.with_squeeze(4), x, x, Memory::Keep).unwrap();
    assert!(run(&a, &parameters(&two), &mut squeezing.tape(), None).is_err());
}

/// A residual block needs its output for the gradient; one that changes the border cannot put the gradient with
/// respect to its input over that by its output.
fn by_output_and_over(cpu: &Cpu, block: &Block, parameters: &BlockParameters<'_>) {
    let (x, mut dy) = (vec![0.5; block.x().len()], vec![1.0; block.y().len()]);
    let input = Input { x: &x, parameters, depth: None };
    let (mut tape, mut scratch, mut y) = (block.tape(), Scratch::default(), vec![0.0; block.y().len()]);
    let mut on = Resources { cpu, scratch: &mut scratch };
    block.forward(&mut on, &input, &mut tape, &mut y).unwrap();
    let mut by: Vec<[Vec<f32>; 3]> =
        parameters.links.iter().map(|l| [l.weights, l.gamma, l.beta].map(|p| vec![0.0; p.len()])).collect();
    let mut run = |block: &Block, y: &[f32], dy: &mut [f32], tape: &Tape| {
        let links = by.iter_mut().map(|[weights, gamma, beta]| LinkGradients { weights, gamma, beta });
        let mut gradients = BlockGradients { links: links.collect(), squeeze: None };
        let gradients = Gradients { parameters: &mut gradients, x: InputGradient::OverDy };
        block.backward_from_tape(&mut on, &input, KeptOutputs { y, dy }, tape, gradients)
    };
    assert!(block.reads_output(&input));
    assert!(run(block, &[], &mut dy, &tape).is_err());
    assert!(run(block, &y, &mut dy, &tape).is_ok());
    let bordered = block.y().with_border(1).unwrap();
    let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PostActivation);
    let other = Block::new(cpu, &shape, *block.x(), bordered, Memory::Keep).unwrap();
    let (y, mut dy) = (vec![0.0; bordered.len()], vec![0.0; bordered.len()]);
    let told = run(&other, &y, &mut dy, &other.tape()).unwrap_err().to_string();
    assert!(told.contains("cannot share memory"), "{told}");
}
