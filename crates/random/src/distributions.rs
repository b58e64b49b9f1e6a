//! Normal, beta and Dirichlet draws of a stream.

use crate::Random;

impl Random {
    /// Normal number, of mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let [u, v] = [self.uniform(), self.uniform()];
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Beta number: between 0 and 1, of mean `a / (a + b)`. Both parameters are positive.
    pub fn beta(&mut self, a: f64, b: f64) -> f64 {
        let [first, second] = [self.ln_gamma(a), self.ln_gamma(b)];
        1.0 / (1.0 + (second - first).exp())
    }

    /// Dirichlet numbers, `count` of them with a sum of 1, of one concentration, which is positive.
    pub fn dirichlet(&mut self, concentration: f64, count: usize) -> Vec<f64> {
        let drawn: Vec<f64> = (0..count).map(|_| self.ln_gamma(concentration)).collect();
        let greatest = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = drawn.iter().map(|ln| (ln - greatest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        shares.iter().map(|share| share / sum).collect()
    }

    /// Logarithm of a gamma number of this shape and scale 1 (Marsaglia and Tsang 2000), which for a small shape is
    /// itself too small for a float.
    fn ln_gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let larger = self.ln_gamma(shape + 1.0);
            return larger + (1.0 - self.uniform()).ln() / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                return (d * v).ln();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Key;

    fn moments(values: &[f64]) -> [f64; 2] {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        [mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64]
    }

    #[test]
    fn beta_numbers_have_their_mean_and_variance() {
        for (a, b) in [(0.2, 0.2), (1.0, 1.0), (0.8, 0.8), (4.0, 4.0), (2.0, 5.0), (1e-3, 1e-3)] {
            let mut random = Key::named("beta").stream();
            let values: Vec<f64> = (0..20_000).map(|_| random.beta(a, b)).collect();
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)), "{a}, {b}");
            let [mean, variance] = moments(&values);
            let wanted: f64 = a * b / ((a + b).powi(2) * (a + b + 1.0));
            assert!((mean - a / (a + b)).abs() < 0.015, "{a}, {b}: mean {mean}");
            assert!((variance - wanted).abs() < 0.01, "{a}, {b}: variance {variance}, not {wanted}");
        }
    }

    #[test]
    fn dirichlet_numbers_are_shares() {
        let mut random = Key::named("dirichlet").stream();
        let mut firsts = Vec::new();
        for _ in 0..5000 {
            let shares = random.dirichlet(1.0, 3);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            firsts.push(shares[0]);
        }
        let [mean, variance] = moments(&firsts);
        // Of three shares: a (A - a) / (A^2 (A + 1)) with a = 1, A = 3.
        assert!((mean - 1.0 / 3.0).abs() < 0.015 && (variance - 2.0 / 36.0).abs() < 0.005);
        assert!(random.dirichlet(1e-4, 2).iter().all(|share| share.is_finite()));
    }

    #[test]
    fn normal_numbers_are_normal() {
        let mut random = Key::named("normal").stream();
        let values: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let [mean, variance] = moments(&values);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean}, {variance}");
    }
}
