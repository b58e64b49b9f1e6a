//! Order of an epoch in which each class comes equally often.

use crate::Source;
use crate::random::Use;

/// Order of an epoch of as many images as there are, of which each class has an equal share, up to one image; images of
/// rare classes come again, those of frequent ones in part. A function of (seed, epoch): within a class all images come
/// once before one comes again.
pub(crate) fn balanced(set: &dyn Source, seed: u64, epoch: u64) -> Vec<usize> {
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); set.classes().len()];
    (0..set.len()).for_each(|index| classes[set.label(index)].push(index));
    classes.retain(|images| !images.is_empty());
    let (count, total) = (classes.len().max(1), set.len());
    let mut order = Vec::with_capacity(total);
    for (class, images) in classes.iter().enumerate() {
        // Which classes have one more goes round with the epochs.
        let turn = (class + count - epoch as usize % count) % count;
        let share = total / count + usize::from(turn < total % count);
        let mut stream = Use::Balance.key([seed, epoch, class as u64]).stream();
        let mut left = share;
        while left > 0 {
            let mut round = images.clone();
            stream.shuffle(&mut round);
            round.truncate(left);
            left -= round.len();
            order.extend(round);
        }
    }
    Use::Balance.key([seed, epoch, u64::MAX]).stream().shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, LabelledImages};

    #[test]
    fn classes_come_equally_often_and_their_images_too() {
        let image = Image::new(2, 2, 1, vec![0; 4]).unwrap();
        // 70, 20 and 10 images.
        let label = |i: usize| if i < 70 { 0 } else { usize::from(i >= 90) + 1 };
        let images = (0..100).map(|i| (image.clone(), label(i))).collect();
        let set = LabelledImages::new(["a", "b", "c"], images).unwrap();
        let mut sums = [0; 3];
        for epoch in 0..3 {
            let order = balanced(&set, 7, epoch);
            assert_eq!(order, balanced(&set, 7, epoch));
            assert_ne!(order, balanced(&set, 8, epoch));
            assert_eq!(order.len(), 100);
            let mut times = [0; 100];
            order.iter().for_each(|&index| times[index] += 1);
            for (class, all) in sums.iter_mut().enumerate() {
                let of_class = || (0..100).filter(|&i| label(i) == class).map(|i| times[i]);
                let sum: usize = of_class().sum();
                assert!((33..=34).contains(&sum), "{sum}");
                assert!(of_class().max().unwrap() - of_class().min().unwrap() <= 1);
                *all += sum;
            }
        }
        assert_eq!(sums, [100; 3]);
    }
}
