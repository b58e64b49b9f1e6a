//! Files changed at random, the same ones in every run: none makes a reader panic, hang or take much memory.
//!
//! `RESIDUAL_MUTATIONS=1000000 cargo test --release -p residual-weights --test mutations` runs for longer.

mod pickler;

use pickler::{Py, archive, f32s, floats, items, legacy, torch_archive};
use residual_arch::{families::family, names::names};
use residual_weights::{Checkpoint, StateDict, Tensor, check_values, read_bytes, recognise, safetensors};

/// Mutants of every file, unless the environment asks for more.
const MUTANTS: usize = 400;

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }
}

fn files() -> Vec<Vec<u8>> {
    let tensors = || items([("module.w", floats("0", &[2, 3])), ("module.b", floats("1", &[2]))]);
    let storages = [("0", f32s(&[1.0; 6])), ("1", f32s(&[2.0; 2]))];
    let old = storages.clone().map(|(key, bytes)| (key, bytes.len() as i64 / 4, bytes));
    let nested = Py::Dict(items([
        ("epoch", Py::Int(1 << 40)),
        ("state_dict", Py::OrderedDict(tensors())),
        ("lr", Py::Float(0.1)),
        ("args", Py::Call(Box::new(Py::Global("argparse", "Namespace")), vec![Py::List(vec![Py::None])])),
    ]));
    let spec = family("cifar_resnet8").unwrap().with_classes(2);
    let state = names(&spec, spec.naming).into_iter().map(|tensor| {
        let count = tensor.shape.iter().product();
        (tensor.name, Tensor::new(tensor.shape, vec![0.5; count]).unwrap())
    });
    let state = StateDict::from_tensors(state).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let classes = vec!["cat".to_owned(), "dog".to_owned()];
    let json = Some(serde_json::json!({"epoch": 3, "losses": [0.5, 0.25], "seed": "x"}));
    let mut trained =
        Checkpoint { spec, classes, tensors: StateDict::new(), optimiser: StateDict::new(), state: json };
    // Without most of its tensors: what is changed is to be the description.
    trained.tensors.insert("fc.bias", Tensor::new(vec![2], vec![0.5; 2]).unwrap()).unwrap();
    trained.write(&path).unwrap();
    vec![
        archive(&Py::OrderedDict(tensors()), &storages),
        torch_archive(&"a".repeat(21), &nested, &storages),
        legacy(&nested, &old),
        legacy(&Py::OrderedDict(tensors()), &old),
        std::fs::read(&path).unwrap(),
        safetensors::to_bytes(&state).unwrap()[..12_000].to_vec(),
    ]
}

/// Changes a file in one to four ways.
fn mutate(file: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        let end = (at + 1 + random.below(40)).min(file.len());
        match random.below(9) {
            0 if at < file.len() => file[at] ^= 1 << random.below(8),
            1 if at < file.len() => {
                file[at] = [0, 1, 0x7f, 0x80, 0xff, b'(', b'R', b'[', b','][random.below(9)]
            }
            2 => drop(file.drain(at..end)),
            3 => file.truncate(at),
            4 => {
                let part = file[at..end].to_vec();
                let times = 1 << random.below(12);
                file.splice(at..at, part.repeat(times));
            }
            5 => {
                let huge = [u64::MAX, 1 << 40, u64::from(u32::MAX), 1 << 31, 0xffff][random.below(5)];
                let width = [1, 2, 4, 8][random.below(4)].min(file.len() - at);
                file[at..at + width].copy_from_slice(&huge.to_le_bytes()[..width]);
            }
            6 => {
                let from = random.below(other.len());
                let to = (from + 1 + random.below(200)).min(other.len());
                file.splice(at..end, other[from..to].iter().copied());
            }
            7 => {
                let digits =
                    ["99999999999", "-1", "1e999", "0", "\"\"", "null", "[[[[", "18446744073709551615"];
                file.splice(at..end, digits[random.below(8)].bytes());
            }
            _ => {
                let length = random.below(64);
                let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                file.splice(at..at, noise);
            }
        }
    }
}

#[test]
fn no_mutant_is_more_than_an_error() {
    let mutants =
        std::env::var("RESIDUAL_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(MUTANTS);
    let files = files();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0usize, 0usize);
    for number in 0..mutants {
        for file in &files {
            let mut mutant = file.clone();
            let other = &files[random.below(files.len())];
            mutate(&mut mutant, other, &mut random);
            match read_bytes(&mutant) {
                Ok(state) => {
                    read += 1;
                    let _ = (check_values(state.names(), &state), recognise(&state));
                    let _ = Checkpoint::from_state_dict(state);
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() < 100_000, "mutant {number} is quoted at length");
                }
            }
        }
    }
    assert!(
        read > mutants / 10 && refused > mutants / 10,
        "{read} read, {refused} refused: the mutants are all alike"
    );
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
        println!("{read} read, {refused} refused, peak of the process {peak} KiB");
        assert!(peak < 320 << 10, "{peak} KiB");
    }
}
