//! The formula that stands in for stored weights: values from a tensor's name alone.

/// FNV-1a, 64 bits, of a name.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// SplitMix64's output function.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `n` values in `[-1, 1)`: SplitMix64 started at the name's hash, top 53 bits.
pub fn uniform(name: &str, n: usize) -> impl Iterator<Item = f64> {
    let start = fnv1a(name);
    (1..=n as u64).map(move |i| {
        let z = mix(start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        (z >> 11) as f64 * (2.0 / (1u64 << 53) as f64) - 1.0
    })
}

/// The values of the tensor `name` (its PyTorch state-dict name) of `shape`, row-major: computed in
/// float64, rounded to float32.
///
/// | tensor | value |
/// | --- | --- |
/// | 4-D weight `[out, in, kh, kw]` | `u sqrt(6 / (in kh kw))` |
/// | 2-D weight `[out, in]` | `u sqrt(3 / in)` |
/// | `*running_var` | `1 + 0.5 u` |
/// | `*running_mean`, `*bias` | `0.1 u` |
/// | any other | `1 + 0.1 u` |
pub fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let (offset, scale) = match shape {
        [_, i, h, w] => (0.0, (6.0 / (i * h * w) as f64).sqrt()),
        [_, i] => (0.0, (3.0 / *i as f64).sqrt()),
        _ if name.ends_with("running_var") => (1.0, 0.5),
        _ if name.ends_with("running_mean") || name.ends_with("bias") => (0.0, 0.1),
        _ => (1.0, 0.1),
    };
    uniform(name, shape.iter().product()).map(|u| (offset + scale * u) as f32).collect()
}

/// The input of `shape`: the values called `input`.
pub fn input(shape: &[usize]) -> Vec<f32> {
    uniform("input", shape.iter().product()).map(|u| u as f32).collect()
}

/// The weights of a block's loss, `sum(output * loss_weights)`: the values called `loss`.
pub fn loss_weights(n: usize) -> Vec<f32> {
    uniform("loss", n).map(|u| u as f32).collect()
}

/// The label of each of `batch` samples: `i mod classes`.
pub fn labels(batch: usize, classes: usize) -> Vec<usize> {
    (0..batch).map(|i| i % classes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_fnv1a() {
        // Test vectors of the FNV reference code.
        assert_eq!(fnv1a(""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a("a"), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_F739_67E8);
    }

    #[test]
    fn values_are_where_they_should_be() {
        let values: Vec<f64> = uniform("input", 10_000).collect();
        assert!(values.iter().all(|u| (-1.0..1.0).contains(u)));
        let mean = values.iter().sum::<f64>() / 10_000.0;
        let variance = values.iter().map(|u| u * u).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0 / 3.0).abs() < 0.01, "{variance}");
        assert_ne!(uniform("a", 4).collect::<Vec<_>>(), uniform("b", 4).collect::<Vec<_>>());
    }

    #[test]
    fn scale_follows_the_role() {
        let bound = |name: &str, shape: &[usize]| {
            tensor(name, shape).iter().fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)))
        };
        let (lo, hi) = bound("conv1.weight", &[8, 6, 3, 3]);
        assert!(lo >= -1.0 / 3.0 && hi <= 1.0 / 3.0 && hi > 0.32);
        let (lo, hi) = bound("bn1.running_var", &[64]);
        assert!(lo >= 0.5 && hi <= 1.5 && hi > 1.3);
        let (lo, hi) = bound("bn1.weight", &[64]);
        assert!(lo >= 0.9 && hi <= 1.1);
        let (lo, hi) = bound("fc.bias", &[64]);
        assert!(lo >= -0.1 && hi <= 0.1);
    }
}
