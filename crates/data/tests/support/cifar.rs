//! CIFAR's own files, made small: the same names, the same pickles, fewer images.

#![allow(dead_code, reason = "each test file uses its part")]

use super::Files;

/// Planes of red, green and blue of an image, each its own gradient.
pub(crate) fn planes(batch: u8, i: usize) -> Vec<u8> {
    let start = usize::from(batch) * 40 + i * 11;
    (0..3072).map(|k| (start + k % 1024 / 8 + k / 1024 * 3) as u8).collect()
}

/// A key and its text as Python 2's cPickle writes them.
fn short(text: &str) -> Vec<u8> {
    [&[b'U', text.len() as u8], text.as_bytes()].concat()
}

/// A list of small numbers.
fn numbers(values: &[u8]) -> Vec<u8> {
    let items = values.iter().flat_map(|&value| [b'K', value]);
    b"](".iter().copied().chain(items).chain(*b"e").collect()
}

/// A list of texts.
fn texts(values: &[String]) -> Vec<u8> {
    let items = values.iter().flat_map(|value| short(value));
    b"](".iter().copied().chain(items).chain(*b"e").collect()
}

/// A pickle, protocol 2, of a batch of CIFAR-100: these fine labels, and a fifth of each as the coarse one.
pub(crate) fn batch_100(batch: u8, fine: &[u8]) -> Vec<u8> {
    let coarse: Vec<u8> = fine.iter().map(|label| label / 5).collect();
    let mut out = b"\x80\x02}(".to_vec();
    out.extend([short("fine_labels"), numbers(fine), short("coarse_labels"), numbers(&coarse)].concat());
    out.extend(short("data"));
    out.extend(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K");
    out.push(fine.len() as u8);
    out.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    out.extend((3072 * fine.len() as u32).to_le_bytes());
    (0..fine.len()).for_each(|i| out.extend(planes(batch, i)));
    out.extend(b"tbu.");
    out
}

/// Names of fine and coarse classes.
pub(crate) fn names_100() -> [Vec<String>; 2] {
    [(100, "fine"), (20, "coarse")].map(|(count, kind)| (0..count).map(|i| format!("{kind}{i:02}")).collect())
}

/// `cifar-100-python` with these fine labels in `train` and `test`.
pub(crate) fn python_100(train: &[u8], test: &[u8]) -> Files {
    let [fine, coarse] = names_100();
    let mut meta = b"\x80\x02}(".to_vec();
    meta.extend(
        [short("fine_label_names"), texts(&fine), short("coarse_label_names"), texts(&coarse)].concat(),
    );
    meta.extend(b"u.");
    [("train", batch_100(1, train)), ("test", batch_100(2, test)), ("meta", meta), ("file.txt~", Vec::new())]
        .map(|(name, bytes)| (format!("cifar-100-python/{name}"), bytes))
        .into()
}

/// `cifar-100-binary` with these fine labels in `train.bin` and `test.bin`.
pub(crate) fn binary_100(train: &[u8], test: &[u8]) -> Files {
    let records = |batch: u8, labels: &[u8]| {
        let record = |(i, label): (usize, &u8)| [vec![label / 5, *label], planes(batch, i)].concat();
        labels.iter().enumerate().flat_map(record).collect::<Vec<u8>>()
    };
    let [fine, coarse] = names_100().map(|names| names.join("\n").into_bytes());
    [
        ("train.bin", records(1, train)),
        ("test.bin", records(2, test)),
        ("fine_label_names.txt", fine),
        ("coarse_label_names.txt", coarse),
    ]
    .map(|(name, bytes)| (format!("cifar-100-binary/{name}"), bytes))
    .into()
}
