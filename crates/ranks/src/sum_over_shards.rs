//! Sums over the shards of all ranks.

use std::ops::Range;

use crate::shards::share;
use crate::{Communicator, Error, ShardSum, shards_of};

/// Sum over the shards of all ranks, on each of them, with the same bits for any number of ranks. `own` has the shards of
/// this rank ([`shards_of`]), `len` values each.
///
/// Each rank adds up one part of the values, of the partial sums that all ranks send it, and sends the result to all (a
/// reduce-scatter and an all-gather). Where every rank's shards make one partial sum, as 2, 4 or 8 ranks of 8 shards do,
/// a rank sends `2 (R - 1) / R` times the values, the least that is possible; else up to twice the logarithm of its shards
/// times as much in the first half.
///
/// # Errors
/// Those of [`Communicator::exchange`].
///
/// # Panics
/// Where `own` has other shards, or another number of values.
pub fn sum_over_shards(of: &dyn Communicator, own: ShardSum, len: usize) -> Result<Vec<f32>, Error> {
    let ranks = of.ranks();
    let shards = own.shards();
    if ranks == 1 {
        let sum = own.finish().unwrap_or_else(|| panic!("all {shards} shards are added"));
        assert_eq!(sum.len(), len, "values of a shard");
        return Ok(sum);
    }
    let mine = ShardSum::shape_of(shards, shards_of(of, shards));
    assert_eq!(own.parts().count(), mine.len(), "the shards of the rank are added");
    let part = sum_of_part(of, &own, shards, len)?;
    drop(own);
    gather_parts(of, part, len)
}

/// The sum of this rank's part of the values.
fn sum_of_part(of: &dyn Communicator, own: &ShardSum, shards: usize, len: usize) -> Result<Vec<f32>, Error> {
    let (ranks, rank) = (of.ranks(), of.rank());
    let of_rank = |rank: usize| share(rank, ranks, len);
    let to = |rank: usize| -> Vec<f32> {
        let mut all = Vec::new();
        own.parts().for_each(|part| all.extend_from_slice(&part[of_rank(rank)]));
        all
    };
    let send: Vec<Vec<f32>> =
        (0..ranks).map(|other| if other == rank { Vec::new() } else { to(other) }).collect();
    let (shapes, width) = (
        (0..ranks).map(|rank| ShardSum::shape_of(shards, share(rank, ranks, shards))).collect::<Vec<_>>(),
        of_rank(rank).len(),
    );
    let mut found: Vec<Vec<f32>> = (0..ranks)
        .map(|other| if other == rank { to(rank) } else { vec![0.0; shapes[other].len() * width] })
        .collect();
    exchange(of, &send, &mut found)?;
    let mut sum = ShardSum::new(shards);
    for (shapes, found) in shapes.into_iter().zip(found) {
        for (number, shape) in shapes.into_iter().enumerate() {
            sum.add_part(shape, found[number * width..(number + 1) * width].to_vec());
        }
    }
    Ok(sum.finish().unwrap_or_else(|| panic!("the ranks have all {shards} shards")))
}

/// The sums of all parts, one after the other.
fn gather_parts(of: &dyn Communicator, own: Vec<f32>, len: usize) -> Result<Vec<f32>, Error> {
    let (ranks, rank) = (of.ranks(), of.rank());
    let parts: Vec<Range<usize>> = (0..ranks).map(|rank| share(rank, ranks, len)).collect();
    let mut all = vec![0.0f32; len];
    let (mut receive, mut rest) = (Vec::with_capacity(ranks), &mut all[..]);
    for (other, part) in parts.iter().enumerate() {
        let (one, after) = rest.split_at_mut(part.len());
        rest = after;
        if other == rank {
            one.copy_from_slice(&own);
        }
        receive.push(bytemuck::cast_slice_mut(if other == rank { &mut [] } else { one }));
    }
    let bytes: &[u8] = bytemuck::cast_slice(&own);
    let send: Vec<&[u8]> = (0..ranks).map(|other| if other == rank { &[][..] } else { bytes }).collect();
    of.exchange(&send, &mut receive)?;
    Ok(all)
}

/// Exchange of numbers; what a rank keeps for itself stays.
fn exchange(of: &dyn Communicator, send: &[Vec<f32>], receive: &mut [Vec<f32>]) -> Result<(), Error> {
    let rank = of.rank();
    let send: Vec<&[u8]> = send.iter().map(|values| bytemuck::cast_slice(values)).collect();
    let own = |other: usize| other == rank;
    let mut receive: Vec<&mut [u8]> = receive
        .iter_mut()
        .enumerate()
        .map(|(other, values)| if own(other) { &mut [][..] } else { bytemuck::cast_slice_mut(values) })
        .collect();
    of.exchange(&send, &mut receive)
}
