//! Sums in a fixed binary tree.

/// Sum over shards in a fixed binary tree over their numbers: shard 0 with 1, 2 with 3, then the pairs, and so on; a shard
/// without a neighbour goes up as it is. What order they come in from which rank changes no bit, as long as each rank adds
/// its shards in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct ShardSum {
    shards: usize,
    nodes: Vec<Node>,
}

/// Sum of the shards `index << level` up to the next node of its level.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    level: u32,
    index: usize,
    values: Vec<f32>,
}

impl ShardSum {
    /// Sum of nothing yet, over so many shards.
    pub fn new(shards: usize) -> Self {
        Self { shards, nodes: Vec::new() }
    }

    /// Number of all shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// Adds what a shard gave.
    ///
    /// # Panics
    /// Where the shard is not after those that were added, is none, or gives another number of values.
    pub fn add(&mut self, shard: usize, values: Vec<f32>) {
        let after = self.nodes.last().map_or(0, |node| (node.index + 1) << node.level);
        assert!((after..self.shards).contains(&shard), "shard {shard} after {after} of {}", self.shards);
        self.push(Node { level: 0, index: shard, values });
    }

    /// Partial sums, of shards that follow one another, in their order.
    pub fn parts(&self) -> impl Iterator<Item = &[f32]> {
        self.nodes.iter().map(|node| node.values.as_slice())
    }

    /// The sum; `None` where shards are missing.
    pub fn finish(mut self) -> Option<Vec<f32>> {
        let node = self.nodes.pop()?;
        (self.nodes.is_empty() && self.nodes_of(node.level) == 1).then_some(node.values)
    }

    /// Places in the tree of the partial sums of shards that follow one another.
    pub(crate) fn shape_of(shards: usize, range: std::ops::Range<usize>) -> Vec<(u32, usize)> {
        let mut sum = Self::new(shards);
        range.for_each(|shard| sum.add(shard, Vec::new()));
        sum.nodes.into_iter().map(|node| (node.level, node.index)).collect()
    }

    /// Adds a partial sum.
    pub(crate) fn add_part(&mut self, (level, index): (u32, usize), values: Vec<f32>) {
        self.push(Node { level, index, values });
    }

    fn push(&mut self, mut node: Node) {
        loop {
            let has_right = node.index.is_multiple_of(2) && node.index + 1 < self.nodes_of(node.level);
            if has_right || self.nodes_of(node.level) == 1 {
                break;
            }
            if !node.index.is_multiple_of(2) {
                let is_left = |left: &mut Node| left.level == node.level && left.index + 1 == node.index;
                let Some(left) = self.nodes.pop_if(is_left) else { break };
                let right = std::mem::replace(&mut node.values, left.values);
                assert_eq!(node.values.len(), right.len(), "shards give as many values as each other");
                node.values.iter_mut().zip(&right).for_each(|(left, right)| *left += right);
            }
            (node.level, node.index) = (node.level + 1, node.index / 2);
        }
        self.nodes.push(node);
    }

    /// Number of nodes of a level.
    fn nodes_of(&self, level: u32) -> usize {
        self.shards.div_ceil(1 << level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_that_of_pairs() {
        let mut sum = ShardSum::new(5);
        let values = [1e8f32, 1.0, -1e8, 1.0, 3.0];
        values.iter().enumerate().for_each(|(shard, &value)| sum.add(shard, vec![value]));
        let [a, b, c, d, e] = values;
        assert_eq!(sum.finish().unwrap(), [((a + b) + (c + d)) + e]);
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let mut sum = ShardSum::new(3);
        assert_eq!(sum.clone().finish(), None);
        sum.add(0, vec![1.0]);
        sum.add(1, vec![1.0]);
        assert_eq!(sum.parts().count(), 1);
        assert_eq!(sum.clone().finish(), None);
        sum.add(2, vec![1.0]);
        assert_eq!(sum.finish().unwrap(), [3.0]);
    }

    #[test]
    fn parts_of_any_ranks_make_one_sum() {
        for shards in 1..20usize {
            let value = |shard: usize| (shard as f32 * 0.7).sin() * 1e3f32.powi(shard as i32 % 3);
            let mut whole = ShardSum::new(shards);
            (0..shards).for_each(|shard| whole.add(shard, vec![value(shard)]));
            let whole = whole.finish().unwrap();
            for ranks in 1..=shards {
                let mut merged = ShardSum::new(shards);
                for rank in 0..ranks {
                    let range = crate::shards::share(rank, ranks, shards);
                    let mut own = ShardSum::new(shards);
                    range.clone().for_each(|shard| own.add(shard, vec![value(shard)]));
                    let shapes = ShardSum::shape_of(shards, range);
                    let parts: Vec<_> = own.parts().map(<[f32]>::to_vec).collect();
                    assert_eq!(parts.len(), shapes.len());
                    shapes.into_iter().zip(parts).for_each(|(shape, part)| merged.add_part(shape, part));
                }
                assert_eq!(
                    merged.finish().unwrap()[0].to_bits(),
                    whole[0].to_bits(),
                    "{shards} over {ranks}"
                );
            }
        }
    }
}
