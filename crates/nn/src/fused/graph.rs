//! Operations with a backward pass of their own in Burn's graph.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};

use super::profile::{self, Entry};

/// A tensor with its node of the graph.
type Node = FloatTensor<Autodiff<Flex>>;

/// State that an operation leaves for its backward pass.
pub(super) trait Saved: Send + Debug {
    /// Description of the operation, for a person to read.
    fn what(&self) -> String;

    /// The gradients with respect to the operation's inputs, from that by its output; those that are not `wanted` may
    /// be left out.
    fn backward(self: Box<Self>, dy: FlexTensor, wanted: &[bool]) -> Vec<Option<FlexTensor>>;
}

/// The inputs of an operation, in the order of its gradients.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Time at which the operation began.
    start: Instant,
    /// Contiguous.
    pub(super) values: Vec<FlexTensor>,
    nodes: Vec<NodeGuard>,
    /// Presence of an input on an autodiff device.
    recording: bool,
}

impl Default for Inputs {
    fn default() -> Self {
        Self { start: Instant::now(), values: Vec::new(), nodes: Vec::new(), recording: false }
    }
}

/// Check that `x` is of the kind that the kernels compute on: f32 on a Flex device.
pub(crate) fn is_ours<const D: usize>(x: &Tensor<D>) -> bool {
    primitive(x.clone()).is_some_and(|(node, _)| node.primitive().dtype() == DType::F32)
}

/// Check that a gradient with respect to `x`, which [`is_ours`], will be asked for.
pub(crate) fn is_tracked<const D: usize>(x: &Tensor<D>) -> bool {
    let Some((node, true)) = primitive(x.clone()) else { return false };
    let prepared = Backward::<Flex, 1>::prepare::<NoCheckpointing>(Operation, [node.node()]);
    matches!(prepared.compute_bound().stateful(), OpsKind::Tracked(_))
}

/// The values of a tensor that [`is_ours`], without its graph.
pub(super) fn constant<const D: usize>(x: Tensor<D>) -> FlexTensor {
    let mut inputs = Inputs::default();
    inputs.push(x);
    inputs.values.swap_remove(0)
}

/// The tensor with its node, and whether it is on an autodiff device.
fn primitive<const D: usize>(x: Tensor<D>) -> Option<(Node, bool)> {
    if let Ok(node) = x.clone().try_into_primitive::<Autodiff<Flex>>() {
        return Some((node, true));
    }
    let value = x.try_into_primitive::<Flex>().ok()?;
    Some((Node::new(value), false))
}

impl Inputs {
    /// Adds a tensor that [`is_ours`].
    pub(super) fn push<const D: usize>(&mut self, x: Tensor<D>) {
        let Some((node, recording)) = primitive(x) else {
            panic!("a fused layer has tensors of several devices: move them to one");
        };
        self.recording |= recording;
        let (value, node) = node.into_parts();
        self.values.push(if value.is_contiguous() { value } else { value.to_contiguous() });
        self.nodes.push(node);
    }

    /// Adds a tensor that [`is_ours`], for which no gradient is asked.
    pub(super) fn push_constant<const D: usize>(&mut self, x: Tensor<D>) {
        self.push(x);
        self.nodes.pop();
    }

    /// The tensor that the operation gives, for which no gradient will come.
    pub(super) fn finish_constant<const D: usize>(self, output: FlexTensor) -> Tensor<D> {
        match self.recording {
            true => Tensor::from_primitive::<Autodiff<Flex>>(Node::new(output)),
            false => Tensor::from_primitive::<Flex>(output),
        }
    }

    /// The tensor that the operation gives, with `saved` in the graph where a gradient will come.
    pub(super) fn finish<const D: usize>(self, output: FlexTensor, saved: Box<dyn Saved>) -> Tensor<D> {
        let entry = profile::forward(self.start, || saved.what());
        if !self.recording {
            return Tensor::from_primitive::<Flex>(output);
        }
        Tensor::from_primitive::<Autodiff<Flex>>(record(self.nodes, output, (entry, saved)))
    }
}

/// State of an operation in the graph: its graph is a type for every number of inputs.
type State = Arc<Mutex<Option<Recorded>>>;

/// An operation, and where its times are recorded.
type Recorded = (Option<Entry>, Box<dyn Saved>);

#[derive(Debug)]
struct Operation;

impl<const N: usize> Backward<Flex, N> for Operation {
    type State = State;

    fn backward(self, ops: Ops<State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        // A step of the graph runs once.
        let Some((entry, saved)) = ops.state.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let gradients_of = profile::backward(entry, || saved.backward(dy, &wanted));
        for (parent, gradient) in ops.parents.iter().zip(gradients_of) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

fn record(nodes: Vec<NodeGuard>, output: FlexTensor, saved: Recorded) -> Node {
    macro_rules! by_count {
        ($($n:literal)*) => {
            match nodes.len() {
                $($n => record_n::<$n>(nodes, output, saved),)*
                n => panic!("an operation with {n} inputs"),
            }
        };
    }
    by_count!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)
}

fn record_n<const N: usize>(nodes: Vec<NodeGuard>, output: FlexTensor, saved: Recorded) -> Node {
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else { panic!("there are {N} nodes") };
    match Backward::<Flex, N>::prepare::<NoCheckpointing>(Operation, nodes).compute_bound().stateful() {
        OpsKind::Tracked(preparation) => preparation.finish(Arc::new(Mutex::new(Some(saved))), output),
        OpsKind::UnTracked(preparation) => preparation.finish(output),
    }
}
