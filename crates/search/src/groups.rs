//! Groups of what is connected by pairs.

/// Sets of numbers that pairs connect: a union-find (Tarjan 1975) in which the least number of a set stands for it, so
/// that the groups do not depend on the order of the pairs.
///
/// ```
/// use residual_search::Groups;
///
/// let mut groups = Groups::new(6);
/// groups.join(4, 1);
/// groups.join(5, 4);
/// groups.join(0, 2);
/// assert_eq!(groups.several(), [vec![0, 2], vec![1, 4, 5]]);
/// ```
#[derive(Clone, Debug)]
pub struct Groups {
    parents: Vec<u32>,
}

impl Groups {
    /// Numbers from 0, each alone.
    ///
    /// # Panics
    /// For more than `u32` counts.
    pub fn new(count: usize) -> Self {
        assert!(u32::try_from(count).is_ok(), "{count} numbers are more than groups have");
        Self { parents: (0..count as u32).collect() }
    }

    /// Puts the groups of two numbers together.
    ///
    /// # Panics
    /// For a number that there is not.
    pub fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.first(one), self.first(other));
        let (least, greatest) = (one.min(other), one.max(other));
        self.parents[greatest as usize] = least;
    }

    /// The least number of the group of one.
    fn first(&mut self, mut number: u32) -> u32 {
        while self.parents[number as usize] != number {
            let parent = self.parents[number as usize];
            self.parents[number as usize] = self.parents[parent as usize];
            number = parent;
        }
        number
    }

    /// Groups of several, each in order, by their first.
    pub fn several(mut self) -> Vec<Vec<u32>> {
        let mut members: Vec<Vec<u32>> = vec![Vec::new(); self.parents.len()];
        for number in 0..self.parents.len() as u32 {
            members[self.first(number) as usize].push(number);
        }
        members.into_iter().filter(|group| group.len() > 1).collect()
    }
}
