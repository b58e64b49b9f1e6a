//! Files that are damaged or mean harm: an error in bounded time and memory.

use std::fmt::Write as _;
use std::path::Path;

use peak_alloc::PeakAlloc;
use residual_onnx::{Error, ImportOptions, import, import_bytes};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// A field of bytes.
fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = varint(number << 3 | 2);
    bytes.extend(varint(content.len() as u64));
    bytes.extend(content);
    bytes
}

/// A field of a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// `OP`, the names that it reads and that which it gives.
fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input)).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| field(5, attribute)).collect();
    field(1, [inputs, field(2, output), field(4, op), attributes].concat())
}

fn ints(name: &str, values: &[u64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&value| number(8, value)).collect();
    [field(1, name), values, number(20, 7)].concat()
}

/// A constant of f32 with these extents and bytes.
fn constant(name: &str, extents: &[u64], bytes: &[u8]) -> Vec<u8> {
    let extents: Vec<u8> = extents.iter().flat_map(|&extent| number(1, extent)).collect();
    field(5, [extents, number(2, 1), field(8, name), field(9, bytes)].concat())
}

/// A constant that lies in another file.
fn elsewhere(name: &str, location: &str, range: [u64; 2]) -> Vec<u8> {
    let entry = |key: &str, value: &str| field(13, [field(1, key), field(2, value)].concat());
    let entries = [
        entry("location", location),
        entry("offset", &range[0].to_string()),
        entry("length", &range[1].to_string()),
    ];
    let extents = [4, 3, 1, 1].iter().flat_map(|&extent| number(1, extent)).collect::<Vec<u8>>();
    field(5, [extents, number(2, 1), field(8, name), entries.concat(), number(14, 1)].concat())
}

/// The input `x` or the output `y` of a graph, with these extents.
fn value(kind: u64, name: &str, extents: &[u64]) -> Vec<u8> {
    let extents: Vec<u8> = extents.iter().flat_map(|&extent| field(1, number(1, extent))).collect();
    let tensor = [number(1, 1), field(2, extents)].concat();
    field(kind, [field(1, name), field(2, field(1, tensor))].concat())
}

/// A file whose graph takes `x`, three channels of 8x8, and gives `y`.
fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    graph([parts, &[value(11, "x", &[1, 3, 8, 8]), value(12, "y", &[1, 2])]].concat().concat())
}

fn graph(content: Vec<u8>) -> Vec<u8> {
    [number(1, 8), field(7, content), field(8, number(2, 18))].concat()
}

fn refusal(bytes: Vec<u8>) -> Error {
    import_bytes(bytes, &ImportOptions::default()).unwrap_err()
}

/// Refused in as many bytes of memory, in these words.
fn refused(bytes: Vec<u8>, limit: usize, words: &str) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let error = refusal(bytes).to_string();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(error.contains(words), "{error}");
    assert!(taken < limit, "{taken} bytes: {error}");
}

/// In one test: memory is counted for the whole process.
#[test]
fn hostile_files_are_refused_in_bounded_memory() {
    cycles();
    claims();
    depth();
    amplification();
    surroundings();
}

fn cycles() {
    refused(
        file(&[node("Relu", &["b"], "y", &[]), node("Relu", &["y"], "b", &[])]),
        1 << 20,
        "made of itself",
    );
    refused(file(&[node("Add", &["x", "y"], "y", &[])]), 1 << 20, "made of itself");
    refused(file(&[node("Relu", &["x"], "y", &[]), node("Relu", &["x"], "y", &[])]), 1 << 20, "two nodes");
    refused(file(&[node("Conv", &["x", "w"], "y", &[])]), 1 << 20, "nothing gives `w`");
    refused(file(&[]), 1 << 20, "not made of the input");
}

fn claims() {
    let conv =
        |extents: &[u64]| file(&[constant("w", extents, &[0; 48]), node("Conv", &["x", "w"], "y", &[])]);
    refused(conv(&[1 << 40, 3, 1, 1]), 1 << 20, "`w`");
    refused(conv(&[u64::MAX, 3, 1, 1]), 1 << 20, "beyond reason");
    refused(conv(&[1 << 62, 1 << 62, 1 << 62, 1 << 62]), 1 << 20, "beyond reason");
    refused(conv(&[1; 200]), 1 << 20, "beyond reason");
    refused(conv(&[4, 3, 2, 2]), 1 << 20, "expected 192 bytes for its shape, found 48");
    let input = |extents: &[u64]| {
        graph([value(11, "x", extents), value(12, "y", &[1]), node("Relu", &["x"], "y", &[])].concat())
    };
    refused(input(&[1, 3, 1 << 40, 1 << 40]), 1 << 20, "no image");
    refused(input(&[1, 1 << 40, 8, 8]), 1 << 20, "no image");
    let pool = |attributes: &[Vec<u8>]| file(&[node("MaxPool", &["x"], "y", attributes)]);
    refused(pool(&[ints("kernel_shape", &[1 << 40, 1 << 40])]), 1 << 20, "larger than its map");
    refused(pool(&[ints("kernel_shape", &[2, 2]), ints("strides", &[0, 0])]), 1 << 20, "strides");
    refused(pool(&[ints("kernel_shape", &[2, 2]), ints("pads", &[u64::MAX; 4])]), 1 << 20, "pads");
}

/// Graphs in attributes of nodes of graphs, and groups in groups.
fn depth() {
    let mut inner = node("Relu", &["x"], "y", &[]);
    for _ in 0..2000 {
        inner = field(1, field(5, [field(1, "body"), field(6, inner)].concat()));
    }
    refused(file(&[inner]), 16 << 20, "");
    refused([vec![0x0b; 100_000], vec![0x0c; 100_000]].concat(), 1 << 20, "not an ONNX file");
}

/// Small files that stand for much.
fn amplification() {
    // Maps that grow at each node.
    let mut parts = Vec::new();
    let mut last = "x".to_owned();
    for at in 0..2000 {
        let next = format!("v{at}");
        parts.push(node("Pad", &[&last], &next, &[ints("pads", &[0, 65_536, 0, 0, 0, 65_536, 0, 0])]));
        last = next;
    }
    parts.push(node("Relu", &[&last], "y", &[]));
    refused(file(&parts), 64 << 20, "a map of");
    // Constants made of one large one, over and over.
    let mut parts = vec![constant("c", &[1 << 20], &vec![0; 4 << 20])];
    let mut last = "c".to_owned();
    for at in 0..2000 {
        let next = format!("v{at}");
        parts.push(node("Add", &[&last, "c"], &next, &[]));
        last = next;
    }
    parts.push(node("Add", &["x", &last], "y", &[]));
    refused(file(&parts), 1300 << 20, "needs more than");
    // A long chain is followed in time.
    let mut parts = Vec::new();
    let mut last = "x".to_owned();
    for at in 0..100_000 {
        let mut next = String::new();
        write!(next, "v{at}").unwrap();
        parts.push(node("Relu", &[&last], &next, &[]));
        last = next;
    }
    parts.push(node("Relu", &[&last], "y", &[]));
    refused(file(&parts), 400 << 20, "where a linear layer of pooled features was expected");
}

/// Weights beside a file, which lie in its folder or nowhere.
fn surroundings() {
    let folder = tempfile::tempdir().unwrap();
    let within = folder.path().join("models");
    std::fs::create_dir(&within).unwrap();
    std::fs::write(folder.path().join("secret"), [0; 64]).unwrap();
    std::fs::write(within.join("weights"), [0; 64]).unwrap();
    let try_at = |location: &str, range: [u64; 2], words: &str| {
        let path = within.join("x.onnx");
        let parts = [elsewhere("w", location, range), node("Conv", &["x", "w"], "y", &[])];
        std::fs::write(&path, file(&parts)).unwrap();
        let error = import(&path, &ImportOptions::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{location}: {error}");
    };
    let absolute = folder.path().join("secret");
    for location in ["../secret", "a/../../secret", "", "..", absolute.to_str().unwrap()] {
        try_at(location, [0, 48], "outside the file's folder");
    }
    try_at("none", [0, 48], "none");
    try_at("weights", [60, 48], "which has 64");
    try_at("weights", [u64::MAX, 48], "which has 64");
    try_at("weights", [0, 1 << 40], "expected 48 bytes for its shape");
    // What is there is read: the graph is no network, and that is what is said.
    try_at("weights", [0, 48], "linear layer");
    #[cfg(unix)]
    unix(&within, &try_at);
    let parts = [elsewhere("w", "weights", [0, 48]), node("Conv", &["x", "w"], "y", &[])];
    assert!(refusal(file(&parts)).to_string().contains("it lies in another file"));
}

#[cfg(unix)]
fn unix(within: &Path, try_at: &dyn Fn(&str, [u64; 2], &str)) {
    std::os::unix::fs::symlink("../secret", within.join("link")).unwrap();
    try_at("link", [0, 48], "outside the file's folder");
    std::os::unix::fs::symlink("/dev/zero", within.join("zero")).unwrap();
    try_at("zero", [0, 48], "outside the file's folder");
    assert!(std::process::Command::new("mkfifo").arg(within.join("fifo")).status().unwrap().success());
    try_at("fifo", [0, 48], "a FIFO, not a regular file");
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let spec = residual_arch::families::family("cifar_resnet8").unwrap().with_classes(2);
    let network = spec.check(spec.input).unwrap();
    let tensors = network.tensors().map(|(path, tensor)| {
        let count = tensor.shape.iter().product();
        (path, residual_weights::Tensor::new(tensor.shape, vec![0.5; count]).unwrap())
    });
    let model = residual_weights::Model::new(network.clone(), tensors.collect::<Vec<_>>()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    residual_onnx::export(&model, &path, &residual_onnx::ExportOptions::default()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // Metadata lie behind the graph: a cut there is a cut within a field as well.
    for length in (0..bytes.len()).step_by(997) {
        let cut = import_bytes(bytes[..length].to_vec(), &ImportOptions::default());
        assert!(cut.is_err(), "{length} of {} bytes", bytes.len());
    }
    assert!(import_bytes(bytes, &ImportOptions::default()).is_ok());
}
