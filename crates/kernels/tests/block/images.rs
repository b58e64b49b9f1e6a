//! A first layer that reads images as they are.

use residual_kernels::block::{
    Block, BlockGradients, BlockParameters, BlockShape, Gradients, Input, InputGradient, KeptOutputs, Link,
    LinkGradients, LinkParameters, Memory, Order, Resources, Shortcut,
};
use residual_kernels::{Cpu, Isa, Layout, Scratch};
use residual_testkit::naive::{noise, relative_error};

use crate::case::laid;

/// `y` and the gradients with respect to the parameters of a stem that reads `x` laid as `from` says.
fn stem(cpu: &Cpu, from: Layout, x: &[f32], dy: &[f32]) -> [Vec<f32>; 4] {
    let link = Link { out_channels: 24, kernel: 7, stride: 2, groups: 1 };
    let order = Order::PostActivation;
    let shape = BlockShape { links: vec![link], ..BlockShape::basic(24, 1, Shortcut::None, order) };
    let to = shape.output(&from).unwrap();
    let block = Block::new(cpu, &shape, from, to, Memory::Keep).unwrap();
    let [weights, gamma, beta] = [noise(5, 24 * 3 * 49), noise(6, 24), noise(7, 24)];
    let link = LinkParameters { weights: &weights, gamma: &gamma, beta: &beta };
    let parameters = BlockParameters { links: &[link], projection: None, squeeze: None, eps: 1e-5 };
    let (x, mut dy) = (laid(x, from), laid(dy, to));
    let input = Input { x: &x, parameters: &parameters, depth: None };
    let (mut tape, mut scratch, mut y) = (block.tape(), Scratch::default(), vec![f32::NAN; to.len()]);
    let mut on = Resources { cpu, scratch: &mut scratch };
    block.forward(&mut on, &input, &mut tape, &mut y).unwrap();
    let [mut a, mut b, mut c] = [&weights, &gamma, &beta].map(|p| vec![f32::NAN; p.len()]);
    let links = vec![LinkGradients { weights: &mut a, gamma: &mut b, beta: &mut c }];
    let mut gradients = BlockGradients { links, squeeze: None };
    // Behind no addition, the ReLU's mask does not take the output.
    assert!(!block.reads_output(&input));
    let outputs = KeptOutputs { y: &[], dy: &mut dy };
    let gradients = Gradients { parameters: &mut gradients, x: InputGradient::Unwanted };
    block.backward_from_tape(&mut on, &input, outputs, &tape, gradients).unwrap();
    [y, a, b, c]
}

#[test]
fn planar_images_give_what_blocked_ones_do_and_have_no_gradient() {
    let (n, h, w) = (3, 17, 14);
    let (x, dy) = (noise(1, n * 3 * h * w), noise(2, n * 24 * 9 * 7));
    let blocked = Layout::blocked(n, 3, h, w).unwrap().with_border(3).unwrap();
    let planar = Layout::planar(n, 3, h, w).unwrap();
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        let wanted = stem(&cpu, blocked, &x, &dy).map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
        for from in [planar, planar.with_border(3).unwrap()] {
            for (found, wanted) in stem(&cpu, from, &x, &dy).iter().zip(&wanted) {
                assert!(relative_error(found, wanted) <= 1e-5, "{isa} {from:?}");
            }
        }
    }
    let cpu = Cpu::new(1).unwrap();
    let shape = BlockShape::basic(3, 1, Shortcut::Identity, Order::PostActivation);
    let to = shape.output(&planar).unwrap();
    assert!(Block::new(&cpu, &shape, planar, to, Memory::Keep).is_err());
}
