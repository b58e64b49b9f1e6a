//! PyTorch checkpoints, zip and legacy: what is read, and what is refused.

mod pickler;

use ::zip::CompressionMethod;
use pickler::{Py, archive, f32s, floats, ints, items, legacy, pickle, storage, tensor, text, zip};
use residual_weights::{Error, StateDict, read_bytes};

/// `{"w": [[1, 2, 3], [4, 5, 6]], "b": [7, 8]}` as a state dict.
fn two_tensors() -> Vec<(Py, Py)> {
    items([("w", floats("0", &[2, 3])), ("b", floats("1", &[2]))])
}

fn two_storages() -> [(&'static str, Vec<u8>); 2] {
    [("0", f32s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), ("1", f32s(&[7.0, 8.0]))]
}

fn two_legacy_storages() -> [(&'static str, i64, Vec<u8>); 2] {
    two_storages().map(|(key, bytes)| (key, bytes.len() as i64 / 4, bytes))
}

fn assert_two_tensors(state: &StateDict) {
    assert_eq!(state.names().collect::<Vec<_>>(), ["b", "w"]);
    assert_eq!(state.get("w").unwrap().shape(), [2, 3]);
    assert_eq!(state.get("w").unwrap().data(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(state.get("b").unwrap().data(), [7.0, 8.0]);
}

/// A zip checkpoint of one tensor `t`.
fn one(value: Py, storages: &[(&str, Vec<u8>)]) -> Result<StateDict, Error> {
    read_bytes(&archive(&Py::Dict(items([("t", value)])), storages))
}

#[test]
fn a_state_dict_is_found_plain_and_wrapped() {
    let namespace = Py::Call(Box::new(Py::Global("argparse", "Namespace")), vec![]);
    let scalar = Py::Call(
        Box::new(Py::Global("numpy.core.multiarray", "scalar")),
        vec![Py::Call(Box::new(Py::Global("numpy", "dtype")), vec![text("f8"), Py::Int(0)])],
    );
    let optimiser = Py::Dict(items([("state", Py::Dict(vec![(Py::Int(0), floats("1", &[2]))]))]));
    let objects = [
        Py::OrderedDict(two_tensors()),
        Py::Dict(items([
            ("epoch", Py::Int(90)),
            ("args", namespace),
            ("best", scalar),
            ("optimizer", optimiser),
            ("state_dict", Py::OrderedDict(two_tensors())),
        ])),
        Py::Dict(items([("model", Py::Dict(two_tensors())), ("lr", Py::Float(0.1))])),
        Py::Dict(items([("model", Py::Dict(items([("state_dict", Py::OrderedDict(two_tensors()))])))])),
    ];
    for object in &objects {
        assert_two_tensors(&read_bytes(&archive(object, &two_storages())).unwrap());
        assert_two_tensors(&read_bytes(&legacy(object, &two_legacy_storages())).unwrap());
    }
}

#[test]
fn newer_pickle_protocols_are_read() {
    let mut entries = vec![("data.pkl", pickle(&Py::OrderedDict(two_tensors()), 4))];
    let storages = two_storages();
    entries.extend([("data/0", storages[0].1.clone()), ("data/1", storages[1].1.clone())]);
    assert_two_tensors(&read_bytes(&zip(&entries, CompressionMethod::Stored)).unwrap());
}

#[test]
fn the_ordered_dict_of_python_2_is_read() {
    let pairs = two_tensors().into_iter().map(|(key, value)| Py::List(vec![key, value])).collect();
    let object = Py::Call(Box::new(Py::Global("collections", "OrderedDict")), vec![Py::List(pairs)]);
    assert_two_tensors(&read_bytes(&legacy(&object, &two_legacy_storages())).unwrap());
}

#[test]
fn parameters_are_tensors() {
    let parameter = |name: &'static str| {
        let function = Box::new(Py::Global("torch._utils", name));
        Py::Call(function, vec![floats("1", &[2]), Py::Bool(true), Py::OrderedDict(vec![])])
    };
    for name in ["_rebuild_parameter", "_rebuild_parameter_with_state"] {
        assert_eq!(one(parameter(name), &two_storages()).unwrap().get("t").unwrap().data(), [7.0, 8.0]);
    }
}

#[test]
fn strides_are_gathered_and_storages_shared() {
    let data = || storage("FloatStorage", "0", 6);
    let object = Py::Dict(items([
        ("transposed", tensor(data(), 0, &[3, 2], &[1, 3])),
        ("column", tensor(data(), 1, &[2], &[3])),
        ("row", tensor(data(), 3, &[1, 3], &[99, 1])),
        ("expanded", tensor(data(), 5, &[2, 2], &[0, 0])),
        ("scalar", tensor(data(), 2, &[], &[])),
        ("empty", tensor(data(), 0, &[0, 3], &[3, 1])),
    ]));
    let state = read_bytes(&archive(&object, &two_storages())).unwrap();
    let data = |name| state.get(name).unwrap().data().to_vec();
    assert_eq!(data("transposed"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(data("column"), [2.0, 5.0]);
    assert_eq!(data("row"), [4.0, 5.0, 6.0]);
    assert_eq!(data("expanded"), [6.0; 4]);
    assert_eq!(data("scalar"), [3.0]);
    assert_eq!(state.get("empty").unwrap().shape(), [0, 3]);
}

#[test]
fn other_element_types_become_f32() {
    let cases: [(&'static str, Vec<u8>, f32); 9] = [
        ("DoubleStorage", 0.1f64.to_le_bytes().to_vec(), 0.1),
        ("HalfStorage", vec![0x00, 0x3e], 1.5),
        ("BFloat16Storage", vec![0xc0, 0xbf], -1.5),
        ("LongStorage", 391i64.to_le_bytes().to_vec(), 391.0),
        ("IntStorage", (-5i32).to_le_bytes().to_vec(), -5.0),
        ("ShortStorage", 300i16.to_le_bytes().to_vec(), 300.0),
        ("CharStorage", vec![0xfe], -2.0),
        ("ByteStorage", vec![0xfe], 254.0),
        ("BoolStorage", vec![1], 1.0),
    ];
    for (class, bytes, expected) in cases {
        let object = Py::Dict(items([("t", tensor(storage(class, "k", 1), 0, &[1], &[1]))]));
        for file in [archive(&object, &[("k", bytes.clone())]), legacy(&object, &[("k", 1, bytes.clone())])] {
            assert_eq!(read_bytes(&file).unwrap().get("t").unwrap().data(), [expected], "{class}");
        }
    }
}

#[test]
fn untyped_storages_take_the_type_beside_them() {
    let id = vec![
        text("storage"),
        Py::Global("torch.storage", "UntypedStorage"),
        text("0"),
        text("cpu"),
        Py::Int(24),
    ];
    let arguments = vec![
        Py::Persistent(Box::new(Py::Tuple(id))),
        Py::Int(1),
        ints(&[2]),
        ints(&[1]),
        Py::Bool(false),
        Py::OrderedDict(vec![]),
        Py::Global("torch", "float32"),
    ];
    let v3 = Py::Call(Box::new(Py::Global("torch._utils", "_rebuild_tensor_v3")), arguments.clone());
    assert_eq!(one(v3, &two_storages()).unwrap().get("t").unwrap().data(), [2.0, 3.0]);
}

#[test]
fn big_endian_archives_are_read() {
    let entries = [
        ("data.pkl", pickle(&Py::Dict(items([("t", floats("0", &[1]))])), 2)),
        ("byteorder", b"big".to_vec()),
        ("data/0", 1.5f32.to_be_bytes().to_vec()),
    ];
    let state = read_bytes(&zip(&entries, CompressionMethod::Stored)).unwrap();
    assert_eq!(state.get("t").unwrap().data(), [1.5]);
}

#[test]
fn legacy_storages_may_be_parts_of_others() {
    let view = Py::Tuple(vec![text("v"), Py::Int(2), Py::Int(3)]);
    let id =
        vec![text("storage"), Py::Global("torch", "FloatStorage"), text("0"), text("cpu"), Py::Int(6), view];
    let part = tensor(Py::Persistent(Box::new(Py::Tuple(id))), 1, &[2], &[1]);
    let object = Py::Dict(items([("t", part)]));
    let state = read_bytes(&legacy(&object, &two_legacy_storages()[..1])).unwrap();
    assert_eq!(state.get("t").unwrap().data(), [4.0, 5.0]);
}

#[test]
fn nothing_is_executed() {
    let marker = std::env::temp_dir().join(format!("residual-weights-executed-{}", std::process::id()));
    let command = Py::Call(
        Box::new(Py::Global("posix", "system")),
        vec![Py::Text(format!("touch {}", marker.display()))],
    );
    let object = Py::Dict(items([("evil", command.clone()), ("b", floats("1", &[2]))]));
    let state = read_bytes(&archive(&object, &two_storages())).unwrap();
    assert_eq!(state.names().collect::<Vec<_>>(), ["b"]);
    assert!(!marker.exists());

    let error = read_bytes(&archive(&command, &[])).unwrap_err();
    assert!(matches!(&error, Error::NoTensors { found } if found.contains("posix.system")), "{error}");
}

#[test]
fn a_pickled_model_is_explained() {
    let model = Py::Call(Box::new(Py::Global("torchvision.models.resnet", "ResNet")), vec![]);
    let error = read_bytes(&archive(&model, &[])).unwrap_err().to_string();
    assert!(error.contains("an object of class torchvision.models.resnet.ResNet"), "{error}");
    let error = read_bytes(&archive(&Py::Dict(items([("net", model)])), &[])).unwrap_err().to_string();
    assert!(error.contains("a dict of `net`") && error.contains("`state_dict`"), "{error}");
}

#[test]
fn unsupported_tensors_are_named() {
    let sparse = Py::Call(Box::new(Py::Global("torch._utils", "_rebuild_sparse_tensor")), vec![]);
    let complex = tensor(storage("ComplexFloatStorage", "0", 1), 0, &[1], &[1]);
    for value in [sparse, complex] {
        let error = one(value, &two_storages()).unwrap_err();
        assert!(matches!(&error, Error::UnsupportedType { name, .. } if name == "t"), "{error}");
    }
}

#[test]
fn tensors_that_contradict_their_storage_are_refused() {
    let data = || storage("FloatStorage", "0", 6);
    let cases = [
        tensor(data(), 0, &[7], &[1]),
        tensor(data(), 5, &[2], &[1]),
        tensor(data(), -1, &[2], &[1]),
        tensor(data(), 0, &[-2], &[1]),
        tensor(data(), 0, &[2], &[-1]),
        tensor(data(), 0, &[2, 3], &[1]),
        tensor(data(), 0, &[1; 65], &[1; 65]),
        tensor(data(), 0, &[2, 2], &[i64::MAX, i64::MAX]),
        tensor(data(), 0, &[i64::MAX, i64::MAX], &[0, 0]),
        tensor(data(), i64::MAX, &[2], &[i64::MAX]),
        tensor(storage("FloatStorage", "absent", 6), 0, &[2], &[1]),
        tensor(Py::None, 0, &[2], &[1]),
        tensor(Py::Persistent(Box::new(text("module"))), 0, &[2], &[1]),
        Py::Call(Box::new(Py::Global("torch._utils", "_rebuild_tensor_v2")), vec![data()]),
        Py::Call(Box::new(Py::Global("torch._utils", "_rebuild_parameter")), vec![]),
    ];
    for value in cases {
        let error = one(value.clone(), &two_storages()).unwrap_err();
        assert!(matches!(&error, Error::BadTensor { name, .. } if name == "t"), "{value:?}: {error}");
    }
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    // A stride of zero makes a tensor of any size of one element.
    let huge = tensor(storage("FloatStorage", "0", 6), 0, &[1 << 40], &[0]);
    let error = one(huge, &two_storages()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    // Many names for one storage.
    let shared = tensor(storage("FloatStorage", "0", 4096), 0, &[4096], &[1]);
    let many = (0..2000).map(|i| (text(&format!("t{i}")), shared.clone())).collect();
    let object = Py::Dict(many);
    let bytes = f32s(&[0.0; 4096]);
    let error = read_bytes(&archive(&object, &[("0", bytes.clone())])).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let error = read_bytes(&legacy(&object, &[("0", 4096, bytes)])).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    // A storage whose declared length is beyond the file.
    let object = Py::Dict(items([("t", floats("0", &[1]))]));
    for count in [i64::MAX, i64::MAX / 4, 1 << 40] {
        let error = read_bytes(&legacy(&object, &[("0", count, f32s(&[1.0]))])).unwrap_err();
        assert!(matches!(error, Error::Truncated { .. }), "{error}");
    }
    let error = read_bytes(&legacy(&object, &[("0", -1, f32s(&[1.0]))])).unwrap_err();
    assert!(matches!(error, Error::Pickle { .. }), "{error}");
}

/// A legacy file whose object is this raw pickle.
fn raw(pickle: &[u8]) -> Result<StateDict, Error> {
    let template = legacy(&Py::None, &[]);
    let end = template.len() - self::pickle(&Py::None, 2).len() - self::pickle(&Py::List(vec![]), 2).len();
    read_bytes(&[&template[..end], pickle, b"\x80\x02]."].concat())
}

#[test]
fn malformed_pickles_are_refused() {
    let cases: [&[u8]; 16] = [
        b"\x80\x02.",
        b"\x80\x09N.",
        b"\x80\x020.",
        b"\x80\x02(0.",
        b"\x80\x02t.",
        b"\x80\x02K\x01e.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02(K\x01d.",
        b"\x80\x02K\x01K\x02K\x03s.",
        b"\x80\x02h\x07.",
        b"\x80\x02K\x01K\x02\x93.",
        b"\x80\x02NR.",
        b"\x80\x02Q.",
        b"\x80\x02i42\n.",
        b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.",
    ];
    for case in cases {
        let error = raw(case).unwrap_err();
        assert!(matches!(error, Error::Pickle { .. }), "{:?}: {error}", String::from_utf8_lossy(case));
    }
    for case in [
        &b"\x80\x02X\xff\xff\xff\xff"[..],
        b"\x80\x02cno line",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        // Whatever follows, the text is longer than the file.
        assert!(matches!(raw(case), Err(Error::Truncated { .. } | Error::Pickle { .. })));
    }
}

#[test]
fn deep_and_large_pickles_neither_overflow_nor_exhaust() {
    // A million nested tuples: building, describing and dropping them must not recurse.
    let nested = [b"\x80\x02)".as_slice(), &b"\x85".repeat(1_000_000), b"."].concat();
    assert!(matches!(raw(&nested), Err(Error::NoTensors { .. })));
    for opcode in [b"N", b"(", b")"] {
        let many = [b"\x80\x02".as_slice(), &opcode.repeat(12_000_000), b"."].concat();
        assert!(matches!(raw(&many), Err(Error::TooLarge { .. })));
    }
    // One list of a thousand pairs, passed to OrderedDict a million times.
    let pair = b"K\x01K\x02\x86".repeat(1000);
    let call = b"ccollections\nOrderedDict\nq\x020".to_vec();
    let calls = b"h\x02h\x01\x85R0".repeat(1_000_000);
    let copies = [b"\x80\x02](".as_slice(), &pair, b"eq\x01", &call, &calls, b"."].concat();
    assert!(matches!(raw(&copies), Err(Error::TooLarge { .. })));
    // A dict that contains itself.
    let cyclic = b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.";
    assert!(matches!(raw(cyclic), Err(Error::TooLarge { .. })));
}

#[test]
fn other_pickles_and_archives_are_told_apart() {
    let plain = pickle(&Py::Dict(items([("data", Py::None)])), 2);
    assert!(matches!(read_bytes(&plain), Err(Error::NotTorchPickle)));
    let not_torch = zip(&[("a.txt", b"hello".to_vec())], CompressionMethod::Stored);
    assert!(matches!(read_bytes(&not_torch), Err(Error::NotTorchArchive { seems: None })));
    let script = [("data.pkl", pickle(&Py::None, 2)), ("constants.pkl", pickle(&Py::None, 2))];
    assert!(matches!(read_bytes(&zip(&script, CompressionMethod::Stored)), Err(Error::TorchScript)));
    let version = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02K\x07.";
    assert!(matches!(read_bytes(version), Err(Error::Pickle { .. })));
}

#[test]
fn broken_archives_are_refused() {
    let object = pickle(&Py::OrderedDict(two_tensors()), 2);
    let packed = zip(&[("data.pkl", object.clone())], CompressionMethod::Deflated);
    assert!(matches!(read_bytes(&packed), Err(Error::Archive { .. })));

    let order = [("data.pkl", object), ("byteorder", b"middle".to_vec())];
    assert!(matches!(read_bytes(&zip(&order, CompressionMethod::Stored)), Err(Error::Archive { .. })));

    // A flipped bit in a storage fails its checksum.
    let mut file = archive(&Py::OrderedDict(two_tensors()), &two_storages());
    let at = file.windows(8).position(|window| window == f32s(&[7.0, 8.0])).unwrap();
    file[at] ^= 1;
    assert!(matches!(read_bytes(&file), Err(Error::Archive { .. })));
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for file in [
        archive(&Py::OrderedDict(two_tensors()), &two_storages()),
        legacy(&Py::OrderedDict(two_tensors()), &two_legacy_storages()),
    ] {
        assert_two_tensors(&read_bytes(&file).unwrap());
        for length in 0..file.len() {
            let error = read_bytes(&file[..length]).unwrap_err();
            if length > 8 {
                assert!(matches!(error, Error::Truncated { .. }), "cut at {length}: {error}");
            }
        }
    }
}

#[test]
fn a_file_damaged_anywhere_does_not_panic() {
    for file in [
        archive(&Py::OrderedDict(two_tensors()), &two_storages()),
        legacy(&Py::OrderedDict(two_tensors()), &two_legacy_storages()),
    ] {
        for at in 0..file.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff, b'(', b'.', file[at] ^ 0x10] {
                let mut damaged = file.clone();
                damaged[at] = value;
                // Either answer is right; the point is that one comes.
                if let Ok(state) = read_bytes(&damaged) {
                    assert!(!state.is_empty());
                }
            }
        }
    }
}
