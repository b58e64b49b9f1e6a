//! Parts of a network that can be looked at, and the maps of them.

use residual_arch::Place;
use residual_arch::shape::flow;

use crate::options::usual_size;
use crate::{Classifier, FeatureMap, HeatMap};

impl Classifier {
    /// `[channels, height, width]` of most images as the network sees them.
    pub fn input(&self) -> [usize; 3] {
        let spec = self.model().spec();
        let [height, width] = usual_size(spec);
        [spec.input[0], height, width]
    }

    /// Parts of the network whose maps [`Classifier::features`] gives: the stem, if its result exists, and the blocks.
    pub fn places(&self) -> Vec<String> {
        let rows = flow(self.model().spec(), self.input()).map(|flow| flow.rows).unwrap_or_default();
        let named = rows.into_iter().map(|row| row.path);
        named.filter(|path| path.parse::<Place>().is_ok_and(|place| place != Place::Head)).collect()
    }

    /// Number of the class of that name, or of the class that has the name as its number.
    pub fn class_number(&self, name: &str) -> Option<usize> {
        let by_name = self.classes().iter().position(|class| class == name);
        by_name.or_else(|| name.parse().ok().filter(|&number| number < self.classes().len()))
    }
}

impl FeatureMap {
    /// Strength of the maps at each place: the root of the mean of their squares, above the least.
    pub fn strength(&self) -> HeatMap {
        let [channels, height, width] = self.shape;
        let mut values = vec![0.0_f32; height * width];
        for map in self.values.chunks_exact((height * width).max(1)) {
            values.iter_mut().zip(map).for_each(|(sum, value)| *sum += value * value);
        }
        values.iter_mut().for_each(|sum| *sum = (*sum / channels.max(1) as f32).sqrt());
        let least = values.iter().fold(f32::INFINITY, |least, &value| least.min(value));
        values.iter_mut().for_each(|value| *value -= least);
        HeatMap { size: [height, width], values }
    }
}
