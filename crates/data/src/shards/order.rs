//! Shuffling of data of which only a part is in memory at a time.

use crate::random::Use;

/// Bytes of the parts among whose images an epoch is shuffled at a time: of 110 kB an image, 2,400 images. Part of what
/// makes a batch: runs are resumed by later builds, so that it stays as it is.
pub(crate) const WINDOW: u64 = 256 << 20;

/// Images with consecutive numbers that are read as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Number of the first image; the last is that before the next part.
    pub(crate) first: u32,
    /// Bytes that it takes in memory.
    pub(crate) bytes: u64,
}

/// Order of an epoch, keyed (seed, epoch): the parts are shuffled and taken together to windows of [`WINDOW`] bytes at
/// most, one part at least; within a window, the images are shuffled. So each part is read once where a window and the
/// next fit into memory. `numbers` are those of the images, ascending; the order is of places among them.
pub(super) fn in_windows(numbers: &[u32], parts: &[Part], [seed, epoch]: [u64; 2]) -> Vec<usize> {
    // Place 0 is that of a global shuffle.
    let stream = |place: u64| Use::Shuffle.key([seed, epoch, place]).stream();
    let place = |part: usize| match parts.get(part) {
        Some(part) => numbers.partition_point(|&number| number < part.first),
        None => numbers.len(),
    };
    // Parts of other splits are of no matter.
    let mut shuffled: Vec<usize> = (0..parts.len()).filter(|&part| place(part) < place(part + 1)).collect();
    stream(1).shuffle(&mut shuffled);
    let mut order = Vec::with_capacity(numbers.len());
    let (mut begun, mut bytes, mut windows) = (0, 0u64, 0);
    for part in shuffled {
        bytes = bytes.saturating_add(parts[part].bytes);
        if bytes > WINDOW && order.len() > begun {
            windows += 1;
            stream(1 + windows).shuffle(&mut order[begun..]);
            (begun, bytes) = (order.len(), parts[part].bytes);
        }
        order.extend(place(part)..place(part + 1));
    }
    stream(2 + windows).shuffle(&mut order[begun..]);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of four images each.
    fn parts(count: u32, bytes: u64) -> Vec<Part> {
        (0..count).map(|part| Part { first: 4 * part, bytes }).collect()
    }

    #[test]
    fn an_order_has_every_image_once_and_is_keyed() {
        let numbers: Vec<u32> = (0..160).filter(|number| number % 7 != 0).collect();
        let parts = parts(40, WINDOW / 6);
        let of = |key| in_windows(&numbers, &parts, key);
        let mut order = of([3, 1]);
        assert_eq!(order, of([3, 1]));
        assert!(order != of([3, 2]) && order != of([4, 1]));
        order.sort_unstable();
        assert_eq!(order, (0..numbers.len()).collect::<Vec<_>>());
    }

    #[test]
    fn each_part_is_asked_for_in_one_window() {
        let numbers: Vec<u32> = (0..400).collect();
        let order = in_windows(&numbers, &parts(100, WINDOW / 5), [0, 0]);
        // Five parts of four images are a window.
        let mut seen = std::collections::BTreeSet::new();
        for window in order.chunks(20) {
            let of_window: std::collections::BTreeSet<usize> = window.iter().map(|place| place / 4).collect();
            assert_eq!(of_window.len(), 5);
            assert!(of_window.into_iter().all(|part| seen.insert(part)), "a part in two windows");
            assert!(window.windows(2).any(|pair| pair[1] != pair[0] + 1), "not shuffled within");
        }
    }

    #[test]
    fn a_part_beyond_a_window_stands_alone_and_empty_ones_do_no_harm() {
        let numbers: Vec<u32> = (0..8).collect();
        let mut order = in_windows(&numbers, &parts(3, 3 * WINDOW), [5, 0]);
        assert!(order[..4].iter().max().unwrap() - order[..4].iter().min().unwrap() == 3);
        order.sort_unstable();
        assert_eq!(order, (0..8).collect::<Vec<_>>());
        assert!(in_windows(&[], &parts(3, 1), [5, 0]).is_empty());
    }
}
