//! The best of many scores, kept while they come.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Row of an index and its similarity to a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Number of the row, from 0.
    pub row: u32,
    /// Cosine similarity.
    pub score: f32,
}

impl Hit {
    /// Order of hits, the best first: by score, and of equal ones by row.
    pub fn order(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

/// Hit in a heap whose greatest is the worst.
#[derive(Clone, Copy, Debug)]
struct Worst(Hit);

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

/// The `most` best hits of those that were offered, in whatever order they came.
///
/// ```
/// use residual_search::{Hit, Top};
///
/// let mut top = Top::new(2);
/// for (row, score) in [(0, 0.5), (1, 0.9), (2, 0.5), (3, 0.1)] {
///     top.offer(Hit { row, score });
/// }
/// let rows: Vec<u32> = top.into_sorted().iter().map(|hit| hit.row).collect();
/// assert_eq!(rows, [1, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Top {
    most: usize,
    heap: BinaryHeap<Worst>,
}

impl Top {
    /// No hits yet, and at most so many.
    pub fn new(most: usize) -> Self {
        Self { most, heap: BinaryHeap::new() }
    }

    /// Offers a hit.
    pub fn offer(&mut self, hit: Hit) {
        if self.heap.len() < self.most {
            self.heap.push(Worst(hit));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit.order(&worst.0) == Ordering::Less
        {
            *worst = Worst(hit);
        }
    }

    /// Offers rows one behind the other, from row `first` on.
    pub(crate) fn offer_all(&mut self, first: u32, scores: &[f32]) {
        for (row, &score) in (first..).zip(scores) {
            // Most are below the worst that is kept; those that are equal come later.
            if score > self.least() {
                self.offer(Hit { row, score });
            }
        }
    }

    /// Score that a later row must exceed to be among the hits.
    fn least(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.most => worst.0.score,
            _ if self.most == 0 => f32::INFINITY,
            _ => f32::NEG_INFINITY,
        }
    }

    /// The hits, the best first.
    pub fn into_sorted(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|Worst(hit)| hit).collect()
    }
}
