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

/// Names of the five training batches and of the test batch of CIFAR-10, and their numbers from 1.
fn batches_10() -> impl Iterator<Item = (String, u8)> {
    (1..=5).map(|batch| (format!("data_batch_{batch}"), batch)).chain([("test_batch".to_owned(), 6)])
}

/// `cifar-10-batches-bin` with these labels.
pub(crate) fn binary_10(labels: &[Vec<u8>; 6]) -> Files {
    let batch = |((name, batch), labels): ((String, u8), &Vec<u8>)| {
        let record = |(i, label): (usize, &u8)| [vec![*label], planes(batch, i)].concat();
        (format!("cifar-10-batches-bin/{name}.bin"), labels.iter().enumerate().flat_map(record).collect())
    };
    let mut files: Files = batches_10().zip(labels).map(batch).collect();
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    files.push(("cifar-10-batches-bin/batches.meta.txt".into(), names.into()));
    files.push(("cifar-10-batches-bin/readme.html".into(), b"<html>".to_vec()));
    files
}

/// A batch of CIFAR-10 as Python 2's cPickle writes it, protocol 2.
fn pickle_10(batch: u8, labels: &[u8]) -> Vec<u8> {
    let mut out =
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
            .to_vec();
    labels.iter().for_each(|&label| out.extend([b'K', label]));
    out.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08");
    out.extend(b"K\x00\x85q\x09U\x01bq\x0a\x87Rq\x0b(K\x01K");
    out.push(labels.len() as u8);
    out.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\x0cU\x02u1q\x0dK\x00K\x01\x87Rq\x0e");
    out.extend(b"(K\x03U\x01|q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    out.extend((3072 * labels.len() as u32).to_le_bytes());
    (0..labels.len()).for_each(|i| out.extend(planes(batch, i)));
    out.extend(b"tbU\x09filenamesq\x10]q\x11(U\x05a.pngq\x12U\x05b.pngq\x13U\x05c.pngq\x14eu.");
    out
}

/// `cifar-10-batches-py` with these labels; the tenth class is called `lorry`.
pub(crate) fn python_10(labels: &[Vec<u8>; 6]) -> Files {
    let batch = |((name, batch), labels): ((String, u8), &Vec<u8>)| {
        (format!("cifar-10-batches-py/{name}"), pickle_10(batch, labels))
    };
    let mut files: Files = batches_10().zip(labels).map(batch).collect();
    let mut meta = b"\x80\x02}q\x01(U\x13num_cases_per_batchq\x02M\x10'U\x0blabel_namesq\x03]q\x04(".to_vec();
    for name in ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "lorry"] {
        meta.extend(short(name));
    }
    meta.extend(b"eU\x07num_visq\x0fM\x00\x0cu.");
    files.push(("cifar-10-batches-py/batches.meta".into(), meta));
    files
}
