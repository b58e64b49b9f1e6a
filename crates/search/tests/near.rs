//! Near duplicates: by embedding and by perceptual hash.

use residual_data::Image;
use residual_kernels::Cpu;
use residual_search::{Error, Groups, Hash64, Vectors, near_hashes, near_pairs, near_pairs_approximately};

fn noise(count: usize, seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

/// 3,000 vectors, of which row 2,900 + i is nearly row 7 i.
fn planted() -> Vectors {
    let mut rows: Vec<f32> = noise(3000 * 32, 1).collect();
    for pair in 0..100 {
        let copy: Vec<f32> =
            rows[7 * pair * 32..][..32].iter().zip(noise(32, 2)).map(|(x, y)| x + 0.01 * y).collect();
        rows[(2900 + pair) * 32..][..32].copy_from_slice(&copy);
    }
    Vectors::new(rows, 32).unwrap()
}

#[test]
fn all_pairs_above_a_threshold_are_found() {
    let vectors = planted();
    let cpu = Cpu::new(2).unwrap();
    let pairs = near_pairs(&cpu, &vectors, 0.99, |_| true).unwrap();
    let found: Vec<[u32; 2]> = pairs.iter().map(|pair| [pair.first, pair.second]).collect();
    assert_eq!(found, (0..100).map(|pair| [7 * pair, 2900 + pair]).collect::<Vec<_>>());
    assert_eq!(pairs, near_pairs(&Cpu::new(1).unwrap(), &vectors, 0.99, |_| true).unwrap());
    let approximately = near_pairs_approximately(&cpu, &vectors, 0.99, |_| true).unwrap();
    assert!(approximately.len() >= 98 && approximately.iter().all(|pair| pairs.contains(pair)));
    assert!(near_pairs(&cpu, &vectors, 0.99, |_| false).unwrap().is_empty());
    for wrong in [f32::NAN, 1.5, -2.0] {
        assert!(matches!(near_pairs(&cpu, &vectors, wrong, |_| true), Err(Error::Option { .. })));
    }
}

#[test]
fn a_threshold_that_everything_reaches_is_an_error_and_not_all_of_the_memory() {
    let vectors = Vectors::new(vec![1.0; 6000], 1).unwrap();
    let found = near_pairs(&Cpu::new(2).unwrap(), &vectors, 0.5, |_| true);
    assert!(found.unwrap_err().to_string().contains("help: raise it"));
}

/// A picture of waves of many lengths.
fn picture(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let waves: Vec<f32> = noise(90, seed).collect();
    let value = |x: f32, y: f32| {
        let wave = |w: &[f32]| (20.0 * (w[0] * x + w[1] * y) + 9.0 * w[2]).sin();
        let sum: f32 = waves.chunks(3).map(wave).sum();
        (127.5 + 10.0 * sum) as u8
    };
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| [value((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32); 3])
        .collect()
}

fn hash(width: usize, height: usize, pixels: Vec<u8>) -> Option<Hash64> {
    Hash64::of(&Image::new(width, height, 3, pixels).unwrap())
}

#[test]
fn a_hash_survives_scaling_and_brightness_and_tells_pictures_apart() {
    for seed in 1..30 {
        let own = hash(300, 200, picture(300, 200, seed)).unwrap();
        let scaled = hash(96, 64, picture(96, 64, seed)).unwrap();
        let darker =
            picture(300, 200, seed).iter().map(|&value| (f32::from(value) * 0.8) as u8 + 10).collect();
        assert!(own.distance(scaled) <= 4, "{seed}: {own} {scaled}");
        assert!(own.distance(hash(300, 200, darker).unwrap()) <= 4);
        let other = hash(300, 200, picture(300, 200, seed + 100)).unwrap();
        assert!(own.distance(other) > 8, "{seed}: {own} {other}");
    }
    assert_eq!(hash(64, 64, vec![200; 64 * 64 * 3]), None);
    assert_eq!(hash(1, 1, vec![9; 3]), None);
}

#[test]
fn pairs_of_hashes_are_those_of_all_comparisons() {
    let base: Vec<u64> = noise(400, 5)
        .zip(noise(400, 6))
        .map(|(a, b)| (u64::from(a.to_bits()) << 32) ^ (u64::from(b.to_bits()) * 77))
        .collect();
    let mut hashes: Vec<Option<Hash64>> = base.iter().map(|&bits| Some(Hash64(bits))).collect();
    for (number, &bits) in base.iter().enumerate().take(60) {
        hashes.push(Some(Hash64(
            bits ^ ((1 << (number % 64)) | (1 << (number * 7 % 64)) | (1 << (number * 13 % 64))),
        )));
    }
    hashes.push(None);
    hashes.push(None);
    for distance in [0, 1, 4, 8] {
        let found = near_hashes(&hashes, distance).unwrap();
        let mut expected = Vec::new();
        for (first, one) in hashes.iter().enumerate() {
            for (second, other) in hashes.iter().enumerate().skip(first + 1) {
                if let (Some(one), Some(other)) = (one, other)
                    && one.distance(*other) <= distance
                {
                    expected.push((first as u32, second as u32, one.distance(*other)));
                }
            }
        }
        assert_eq!(found.len() >= 20, distance >= 4, "{distance}: {}", found.len());
        // As groups: of equal hashes only the first is paired.
        let groups = |pairs: &[(u32, u32, u32)]| {
            let mut groups = Groups::new(hashes.len());
            pairs.iter().for_each(|&(first, second, _)| groups.join(first, second));
            groups.several()
        };
        assert_eq!(groups(&found), groups(&expected), "{distance}");
    }
    assert!(matches!(near_hashes(&hashes, 16), Err(Error::Option { .. })));
}
