//! Groups of threads.

use std::time::{Duration, Instant};

use residual_ranks::{
    Alone, Communicator, Error, ShardSum, ThreadRank, all_gather, barrier, broadcast, shards_of,
    sum_over_shards,
};

const LONG: Duration = Duration::from_secs(30);

/// Results of `body` on each rank of a group.
fn on<T: Send>(ranks: usize, limit: Duration, body: impl Fn(ThreadRank) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            ThreadRank::group(ranks, limit).into_iter().map(|rank| scope.spawn(|| body(rank))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Values of a shard, of sizes whose sum depends on the order.
fn values(shard: usize, len: usize) -> Vec<f32> {
    let of = |place: usize| ((shard * 31 + place * 7) as f32).sin() * 10f32.powi((shard % 5) as i32 - 2);
    (0..len).map(of).collect()
}

fn sum(of: &dyn Communicator, shards: usize, len: usize) -> Vec<u32> {
    let mut own = ShardSum::new(shards);
    shards_of(of, shards).for_each(|shard| own.add(shard, values(shard, len)));
    sum_over_shards(of, own, len).unwrap().into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_sum_has_the_same_bits_for_any_number_of_ranks() {
    for (shards, len) in [(8, 1000), (7, 13), (12, 1), (5, 0)] {
        let expected = sum(&Alone, shards, len);
        for ranks in 1..=shards {
            for found in on(ranks, LONG, |rank| sum(&rank, shards, len)) {
                assert_eq!(found, expected, "{shards} shards on {ranks} ranks");
            }
        }
    }
}

#[test]
fn bytes_are_gathered_in_the_order_of_the_ranks() {
    let gathered = on(3, LONG, |rank| {
        barrier(&rank).unwrap();
        all_gather(&rank, &vec![rank.rank() as u8; rank.rank()]).unwrap()
    });
    assert!(gathered.iter().all(|all| *all == [vec![], vec![1], vec![2, 2]]), "{gathered:?}");
    assert_eq!(all_gather(&Alone, b"me").unwrap(), [b"me"]);
}

#[test]
fn bytes_of_one_rank_reach_all() {
    let found = on(4, LONG, |rank| broadcast(&rank, 2, vec![rank.rank() as u8; 5]).unwrap());
    assert!(found.iter().all(|found| *found == [2; 5]), "{found:?}");
    assert_eq!(broadcast(&Alone, 0, vec![7]).unwrap(), [7]);
}

#[test]
fn nobody_waits_for_a_rank_that_has_ended() {
    let begun = Instant::now();
    let found = on(3, LONG, |rank| match rank.rank() {
        1 => Ok(()),
        _ => barrier(&rank),
    });
    assert_eq!(found[0], Err(Error::Ended { rank: 1, reason: "it is done".into() }));
    assert!(found[2].is_err(), "{found:?}");
    let found = on(3, LONG, |rank| {
        if rank.rank() == 2 {
            rank.abort("its disk is full");
        }
        barrier(&rank)
    });
    assert!(
        found.iter().all(|found| found.as_ref().unwrap_err().to_string().contains("its disk is full")),
        "{found:?}"
    );
    assert!(begun.elapsed() < LONG);
}

#[test]
fn a_rank_that_does_not_answer_is_named() {
    let found = on(2, Duration::from_millis(50), |rank| {
        if rank.rank() == 1 {
            std::thread::sleep(Duration::from_millis(400));
            return Ok(());
        }
        barrier(&rank)
    });
    let error = found[0].clone().unwrap_err();
    assert!(matches!(error, Error::TimedOut { rank: 0, other: 1, .. }), "{error}");
    assert!(error.to_string().contains("--rank-timeout"), "{error}");
}

#[test]
fn lengths_that_do_not_fit_are_an_error() {
    let found = on(2, LONG, |rank| {
        let (send, mut receive) = (vec![1u8; 3 + rank.rank()], vec![0u8; 3]);
        let other = 1 - rank.rank();
        let mut sends: Vec<&[u8]> = vec![&[]; 2];
        let mut receives: Vec<&mut [u8]> = vec![&mut [], &mut []];
        sends[other] = &send;
        receives[other] = &mut receive;
        rank.exchange(&sends, &mut receives)
    });
    assert_eq!(found[0], Err(Error::Length { rank: 1, found: 4, expected: 3 }));
}
