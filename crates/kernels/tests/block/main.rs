//! Residual blocks, forward and backward, against the same computed step by step in float64, on every
//! instruction set that the machine has.

mod case;
mod differences;
mod errors;
mod images;
mod naive;

use residual_kernels::block::{BlockShape, Bottleneck, Memory, Order, Shortcut};
use residual_kernels::{Cpu, Isa};

use case::Case;

/// Both.
const ORDERS: [Order; 2] = [Order::PostActivation, Order::PreActivation];

#[test]
fn basic_blocks_of_every_shortcut() {
    for order in ORDERS {
        for (channels, size) in [(3, [5, 4]), (17, [6, 7]), (32, [8, 8])] {
            let input = [3, channels, size[0], size[1]];
            Case::new(BlockShape::basic(channels, 1, Shortcut::Identity, order), input).check();
            Case::new(BlockShape::basic(channels + 5, 1, Shortcut::None, order), input).check();
            for stride in [1, 2] {
                let shortcut = Shortcut::Projection { stride };
                Case::new(BlockShape::basic(2 * channels, stride, shortcut, order), input).check();
            }
        }
    }
}

#[test]
fn shortcuts_without_parameters() {
    for order in ORDERS {
        for (ins, outs, stride) in [(16, 32, 2), (3, 8, 1), (33, 40, 2), (17, 17, 3)] {
            let shortcut = Shortcut::ZeroPad { stride };
            Case::new(BlockShape::basic(outs, stride, shortcut, order), [2, ins, 7, 8]).check();
        }
    }
}

#[test]
fn bottlenecks_with_and_without_groups() {
    for order in ORDERS {
        for groups in [1, 4] {
            let identity = BlockShape::bottleneck(
                Bottleneck { width: 16, groups, out_channels: 40, stride: 1 },
                Shortcut::Identity,
                order,
            );
            Case::new(identity, [2, 40, 7, 6]).check();
            let shortcut = Shortcut::Projection { stride: 2 };
            Case::new(
                BlockShape::bottleneck(
                    Bottleneck { width: 20, groups, out_channels: 33, stride: 2 },
                    shortcut,
                    order,
                ),
                [2, 24, 9, 7],
            )
            .check();
        }
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    for order in ORDERS {
        let case =
            Case::new(BlockShape::basic(48, 2, Shortcut::Projection { stride: 2 }, order), [5, 33, 13, 14]);
        for isa in Isa::available() {
            let of = |threads| case.run(&Cpu::with_isa(isa, threads).unwrap(), [1, 1], Memory::Keep);
            let one = of(1);
            assert!([2, 3, 5].into_iter().all(|threads| of(threads) == one), "{isa} {order:?}");
            // Five groups, of which each has a thread of its own, or all threads one after the other.
            let of = |threads| case.run_by(&Cpu::with_isa(isa, threads).unwrap(), [1, 1], 1);
            let one = of(1);
            assert!([2, 3, 5].into_iter().all(|threads| of(threads) == one), "{isa} {order:?} by groups");
        }
    }
}

#[test]
fn an_identity_block_of_no_branch_hands_the_gradient_on_unchanged() {
    let shape = BlockShape::basic(16, 1, Shortcut::Identity, Order::PreActivation);
    let mut case = Case::new(shape, [2, 16, 6, 6]);
    case.parameters[1][0].fill(0.0);
    let found = case.run(&Cpu::new(2).unwrap(), [1, 1], Memory::Keep);
    assert!(found[0] == case.x && found[1] == case.dy);
}

#[test]
fn squeeze_and_excitation() {
    for order in ORDERS {
        for (channels, middle) in [(17, 3), (32, 8)] {
            let basic = BlockShape::basic(channels, 1, Shortcut::Identity, order).with_squeeze(middle);
            Case::new(basic.clone(), [3, channels, 6, 7]).check();
            Case::new(basic, [4, channels, 5, 5]).dropping().check();
        }
        let shortcut = Shortcut::Projection { stride: 2 };
        let bottleneck = BlockShape::bottleneck(
            Bottleneck { width: 20, groups: 4, out_channels: 33, stride: 2 },
            shortcut,
            order,
        )
        .with_squeeze(5);
        Case::new(bottleneck, [2, 24, 9, 7]).check();
        Case::new(BlockShape::basic(24, 1, Shortcut::None, order).with_squeeze(4), [2, 16, 6, 6]).check();
        let padded = BlockShape::basic(40, 2, Shortcut::ZeroPad { stride: 2 }, order).with_squeeze(2);
        Case::new(padded, [2, 16, 7, 8]).check();
    }
}

#[test]
fn pooled_projections() {
    for order in ORDERS {
        for (size, stride) in [([7, 8], 2), ([5, 5], 2), ([7, 7], 3)] {
            let shortcut = Shortcut::PooledProjection { stride };
            let input = [2, 19, size[0], size[1]];
            Case::new(BlockShape::basic(33, stride, shortcut, order), input).check();
            let bottleneck = BlockShape::bottleneck(
                Bottleneck { width: 16, groups: 1, out_channels: 40, stride },
                shortcut,
                order,
            );
            Case::new(bottleneck.with_squeeze(6), input).dropping().check();
        }
    }
}

#[test]
fn stochastic_depth() {
    for order in ORDERS {
        let identity = BlockShape::basic(17, 1, Shortcut::Identity, order);
        Case::new(identity, [4, 17, 6, 5]).dropping().check();
        let shortcut = Shortcut::Projection { stride: 2 };
        Case::new(
            BlockShape::bottleneck(
                Bottleneck { width: 16, groups: 1, out_channels: 40, stride: 2 },
                shortcut,
                order,
            ),
            [5, 24, 7, 6],
        )
        .dropping()
        .check();
    }
}
