//! Dot products of rows with queries, on every instruction set of this machine.

use residual_kernels::{Cpu, DotProducts, Error, Isa};

/// Values of a formula, between -1 and 1.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn naive(sizes: DotProducts, rows: &[f32], queries: &[f32]) -> Vec<f64> {
    let DotProducts { rows: count, queries: asked, length } = sizes;
    let dot = |q: usize, r: usize| {
        (0..length).map(|i| f64::from(queries[q * length + i]) * f64::from(rows[r * length + i])).sum()
    };
    (0..asked).flat_map(|q| (0..count).map(move |r| (q, r))).map(|(q, r)| dot(q, r)).collect()
}

fn run(cpu: &Cpu, sizes: DotProducts, rows: &[f32], queries: &[f32]) -> Vec<f32> {
    let mut y = vec![f32::NAN; sizes.queries * sizes.rows];
    sizes.run(cpu, rows, queries, &mut y).unwrap();
    y
}

#[test]
fn products_are_those_of_the_formula() {
    for isa in Isa::available() {
        let cpu = Cpu::with_isa(isa, 2).unwrap();
        for rows in [0, 1, 5, 6, 7, 97, 200] {
            for queries in [0, 1, 2, 3, 4, 5, 9] {
                for length in [0, 1, 15, 16, 17, 63, 512] {
                    let sizes = DotProducts { rows, queries, length };
                    let (x, q) = (values(rows * length, 1), values(queries * length, 2));
                    let found = run(&cpu, sizes, &x, &q);
                    for (found, expected) in found.iter().zip(naive(sizes, &x, &q)) {
                        let off = (f64::from(*found) - expected).abs();
                        assert!(off <= 2e-6 * (length as f64).sqrt().max(1.0), "{isa} {sizes:?}: {off}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_has_the_same_bits_whatever_is_beside_it() {
    let (rows, queries, length) = (301, 7, 131);
    let (x, q) = (values(rows * length, 3), values(queries * length, 4));
    for isa in Isa::available() {
        let all = run(&Cpu::with_isa(isa, 1).unwrap(), DotProducts { rows, queries, length }, &x, &q);
        let cpu = Cpu::with_isa(isa, 3).unwrap();
        assert_eq!(all, run(&cpu, DotProducts { rows, queries, length }, &x, &q));
        for query in 0..queries {
            let one = &q[query * length..][..length];
            let alone =
                run(&cpu, DotProducts { rows: 40, queries: 1, length }, &x[17 * length..57 * length], one);
            assert_eq!(alone, all[query * rows + 17..][..40]);
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let (cpu, sizes) = (Cpu::new(1).unwrap(), DotProducts { rows: 2, queries: 3, length: 4 });
    for [rows, queries, y] in [[7, 12, 6], [8, 11, 6], [8, 12, 5]] {
        let found = sizes.run(&cpu, &vec![0.0; rows], &vec![0.0; queries], &mut vec![0.0; y]);
        assert!(matches!(found, Err(Error::Length { .. })), "{found:?}");
    }
    let huge = DotProducts { rows: usize::MAX, queries: 1, length: usize::MAX };
    assert!(matches!(huge.run(&cpu, &[], &[], &mut []), Err(Error::Length { .. })));
}
