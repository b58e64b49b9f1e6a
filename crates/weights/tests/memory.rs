//! Memory that hostile files take: bounded, whatever they claim. One test, since the process's peak is measured.
#![cfg(target_os = "linux")]

mod pickler;

use std::fs;

use pickler::{Py, archive, f32s, floats, items, legacy, pickle, storage, tensor, torch_zip};
use residual_arch::families::family;
use residual_weights::{Checkpoint, Error, StateDict, read_bytes};

/// Bytes over those of the file itself: 256 MiB.
const ALLOWED: u64 = 256 << 20;

fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// What `body` gives, and the bytes by which the process grew meanwhile, at the most.
fn measured<T>(body: impl FnOnce() -> T) -> (T, u64) {
    // Makes the peak what is resident now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let value = body();
    (value, status("VmHWM:").saturating_sub(before))
}

/// `{"w": tensor}` as a pickle, with `hostile` before it on the stack.
fn with_prefix(hostile: &[u8]) -> Vec<u8> {
    let sound = pickle(&Py::Dict(items([("w", floats("0", &[3]))])), 2);
    [b"\x80\x02".as_slice(), hostile, &sound[2..]].concat()
}

fn hostile_pickles() -> Vec<Vec<u8>> {
    const BYTES: usize = 12 << 20;
    let opcodes: [&[u8]; 12] = [
        b"N",
        b"(",
        b")",
        b"}",
        b"2",
        b"]K\x01a",
        b"K\x01\x85",
        b"K\x01K\x02\x86",
        b"}K\x01K\x02s",
        b"U\x00",
        b"h\x01",
        b"}(K\x01K\x02u",
    ];
    let mut pickles: Vec<Vec<u8>> = opcodes
        .iter()
        .map(|opcode| with_prefix(&[b"Nq\x01".as_slice(), &opcode.repeat(BYTES / opcode.len())].concat()))
        .collect();
    // A memo of distinct keys, a list that grows, a list that is copied, one list in a million tuples.
    let puts = (0..(BYTES / 5) as u32).flat_map(|key| [b"r".as_slice(), &key.to_le_bytes()].concat());
    pickles.push(with_prefix(&[b"N".as_slice(), &puts.collect::<Vec<_>>()].concat()));
    pickles.push(with_prefix(&[b"](".as_slice(), &b"N".repeat(BYTES), b"e"].concat()));
    let pairs = b"K\x01K\x02\x86".repeat(1000);
    let call = b"ccollections\nOrderedDict\nq\x020".to_vec();
    let calls = b"h\x02h\x01\x85R".repeat(BYTES / 6);
    pickles.push(with_prefix(&[b"](".as_slice(), &pairs, b"eq\x01", &call, &calls].concat()));
    // Tensors with a name of 4,000 characters, in a dict that the root is.
    let name = "n".repeat(4000);
    let named = [b"\x80\x02}(X\xa0\x0f\0\0".as_slice(), name.as_bytes(), b"q\x01"].concat();
    let value = pickle(&floats("0", &[3]), 2);
    let value = [&value[2..value.len() - 1], b"q\x02"].concat();
    pickles.push([&named, value.as_slice(), &b"h\x01h\x02".repeat(BYTES / 4), b"u."].concat());
    pickles
}

/// A safetensors file with this header and no data.
fn header(json: &str) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat()
}

fn hostile_headers() -> Vec<Vec<u8>> {
    let mut headers = vec![
        header(&format!(
            r#"{{"a":{{"dtype":"F32","shape":[{}0],"data_offsets":[0,0]}}}}"#,
            "0,".repeat(8 << 20)
        )),
        header(&"[".repeat(8 << 20)),
        header(&format!("{{\"a\":[{}0]}}", "{},".repeat(4 << 20))),
    ];
    let tensors: String = (0..120_000)
        .map(|i| format!(r#""{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},"#))
        .collect();
    headers.push(header(&format!("{{{}}}", tensors.trim_end_matches(','))));
    let metadata: String = (0..1_500_000).map(|i| format!("\"{i}\":\"\",")).collect();
    headers.push(header(&format!(r#"{{"__metadata__":{{{}}}}}"#, metadata.trim_end_matches(','))));
    headers
}

#[test]
fn memory_is_bounded_whatever_a_file_claims() {
    for (number, pickle) in hostile_pickles().into_iter().enumerate() {
        let entries = [("a/data.pkl".to_owned(), pickle.clone()), ("a/data/0".to_owned(), f32s(&[1.0; 3]))];
        let template = legacy(&Py::None, &[]);
        let end =
            template.len() - self::pickle(&Py::None, 2).len() - self::pickle(&Py::List(vec![]), 2).len();
        let old = [&template[..end], &pickle, b"\x80\x02]."].concat();
        // Both containers have the same machine: each case in one of them.
        let file = if number % 2 == 0 { torch_zip(&entries) } else { old };
        let (result, grown) = measured(|| read_bytes(&file));
        assert!(result.is_err(), "pickle {number}");
        assert!(grown < ALLOWED, "pickle {number}: {grown}");
    }
    for (number, file) in hostile_headers().into_iter().enumerate() {
        let (result, grown) = measured(|| read_bytes(&file).map(|state| state.len()));
        assert!(grown < ALLOWED, "header {number}: {grown}, {result:?}");
    }

    // Metadata of a checkpoint: arrays of nothing take many times their text.
    let spec = serde_json::to_string(&family("cifar_resnet8").unwrap()).unwrap();
    let texts =
        ["[".to_owned() + &"0,".repeat(6 << 20) + "0]", "[".to_owned() + &"[],".repeat(4 << 20) + "0]"];
    for text in texts {
        for (key, text) in [("residual.state", &text), ("residual.spec", &text), ("residual.classes", &text)]
        {
            let mut state = StateDict::new();
            state.metadata.insert("residual.version".to_owned(), "1".to_owned());
            state.metadata.insert("residual.spec".to_owned(), spec.clone());
            state.metadata.insert("residual.classes".to_owned(), "[]".to_owned());
            state.metadata.insert(key.to_owned(), text.clone());
            let (result, grown) = measured(|| Checkpoint::from_state_dict(state));
            assert!(result.is_err() && grown < ALLOWED, "{key}: {grown}");
        }
    }

    // Many names for one storage, storages that claim terabytes, a directory of very many entries.
    let shared = tensor(storage("FloatStorage", "0", 1 << 20), 0, &[1 << 20], &[1]);
    let many = Py::Dict((0..1000).map(|i| (pickler::text(&format!("t{i}")), shared.clone())).collect());
    let bytes = f32s(&vec![0.0; 1 << 20]);
    let claims = Py::Dict(items([("t", floats("0", &[1 << 40]))]));
    let entries: Vec<_> = (0..200_000).map(|i| (format!("a/{i}"), Vec::new())).collect();
    for (number, file) in [
        archive(&many, &[("0", bytes.clone())]),
        legacy(&many, &[("0", 1 << 20, bytes)]),
        archive(&claims, &[("0", f32s(&[1.0]))]),
        legacy(&claims, &[("0", 1 << 40, f32s(&[1.0]))]),
        torch_zip(&entries),
    ]
    .into_iter()
    .enumerate()
    {
        let (result, grown) = measured(|| read_bytes(&file));
        assert!(result.is_err() && grown < ALLOWED, "archive {number}: {grown}");
    }
    let many_words = read_bytes(&with_prefix(b"N")).unwrap_err();
    assert!(matches!(many_words, Error::NotTorchPickle), "{many_words}");
}
