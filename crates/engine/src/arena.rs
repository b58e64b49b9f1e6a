//! Places in one piece of memory, given and taken back.

use std::ops::Range;

/// Floats of a cache line: every place starts on one.
const LINE: usize = 16;

/// Free parts of a piece of memory. It grows where no free part is large enough.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    /// Sorted, never touching each other.
    free: Vec<Range<usize>>,
    end: usize,
}

impl Arena {
    /// A place of `len` floats: the smallest free part that holds it, else memory past the end.
    pub(crate) fn take(&mut self, len: usize) -> Range<usize> {
        let room = len.next_multiple_of(LINE);
        let fits = self.free.iter().enumerate().filter(|(_, part)| part.len() >= room);
        if let Some((index, part)) = fits.min_by_key(|(_, part)| part.len()) {
            let start = part.start;
            self.free[index].start += room;
            if self.free[index].is_empty() {
                self.free.remove(index);
            }
            return start..start + len;
        }
        // A free part at the end is the beginning of the new one.
        let start = match self.free.last() {
            Some(part) if part.end == self.end => self.free.pop().map_or(self.end, |part| part.start),
            _ => self.end,
        };
        self.end = start + room;
        start..start + len
    }

    /// Gives a place back.
    pub(crate) fn give(&mut self, place: &Range<usize>) {
        let mut part = place.start..place.start + place.len().next_multiple_of(LINE);
        let at = self.free.partition_point(|free| free.start < part.start);
        if self.free.get(at).is_some_and(|next| next.start == part.end) {
            part.end = self.free.remove(at).end;
        }
        match at.checked_sub(1).map(|before| &mut self.free[before]) {
            Some(before) if before.end == part.start => before.end = part.end,
            _ => self.free.insert(at, part),
        }
    }

    /// Floats in all.
    pub(crate) fn len(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_never_overlap() {
        let mut arena = Arena::default();
        let mut live: Vec<Range<usize>> = Vec::new();
        // Sizes and order of release from a linear congruential generator.
        let mut state = 7_usize;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for _ in 0..2000 {
            if live.len() > 6 {
                let place = live.swap_remove(next(live.len()));
                arena.give(&place);
            }
            let place = arena.take(next(500) + 1);
            assert!(place.start % LINE == 0 && place.end <= arena.len());
            assert!(live.iter().all(|other| other.end <= place.start || place.end <= other.start));
            live.push(place);
        }
        assert!(arena.len() < 16 * 512, "{} floats for at most 7 places of 512", arena.len());
        live.iter().for_each(|place| arena.give(place));
        assert_eq!((arena.free.len(), &arena.free[0]), (1, &(0..arena.len())), "all parts join again");
    }

    #[test]
    fn a_free_part_at_the_end_grows() {
        let mut arena = Arena::default();
        let (first, second) = (arena.take(32), arena.take(16));
        arena.give(&second);
        assert_eq!((first, arena.take(64), arena.len()), (0..32, 32..96, 96));
    }
}
