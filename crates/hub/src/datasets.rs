//! Datasets that everybody uses, with the hashes that are published for them.

use crate::{Digest, Error, Remote};

/// A published dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dataset {
    /// Name by which it is asked for.
    pub name: &'static str,
    /// What it holds, in a few words.
    pub content: &'static str,
    /// Size of its files together, in megabytes.
    pub megabytes: u64,
    /// Address of the folder that its files are in.
    base: &'static str,
    /// Its files, with their MD5.
    files: &'static [(&'static str, &'static str)],
}

/// Files and hashes as torchvision 0.29 publishes them (`torchvision/datasets/cifar.py`, `mnist.py`, `imagenette.py`).
const DATASETS: [Dataset; 5] = [
    Dataset {
        name: "cifar10",
        content: "60,000 photographs of 32x32, 10 classes",
        megabytes: 171,
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")],
    },
    Dataset {
        name: "cifar100",
        content: "60,000 photographs of 32x32, 100 classes",
        megabytes: 169,
        base: "https://www.cs.toronto.edu/~kriz/",
        files: &[("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")],
    },
    Dataset {
        name: "mnist",
        content: "70,000 handwritten digits of 28x28, grey",
        megabytes: 12,
        base: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ],
    },
    Dataset {
        name: "fashion-mnist",
        content: "70,000 pieces of clothing of 28x28, grey",
        megabytes: 31,
        base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        files: &[
            ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ],
    },
    Dataset {
        name: "imagenette",
        content: "13,394 photographs of 10 classes, shorter side 320",
        megabytes: 342,
        base: "https://s3.amazonaws.com/fast-ai-imageclas/",
        files: &[("imagenette2-320.tgz", "3df6f0d01a2c9592104656642f5e78a3")],
    },
];

/// The most bytes of a dataset's file.
const MAX_FILE: u64 = 2 << 30;

/// Every dataset.
pub fn datasets() -> &'static [Dataset] {
    &DATASETS
}

/// The dataset called `name`.
///
/// # Errors
/// [`Error::UnknownDataset`].
pub fn dataset(name: &str) -> Result<Dataset, Error> {
    DATASETS.into_iter().find(|dataset| dataset.name == name).ok_or_else(|| Error::UnknownDataset {
        name: name.chars().take(64).collect(),
        known: DATASETS.iter().map(|dataset| dataset.name).collect(),
    })
}

impl Dataset {
    /// Its files. One lies in the cache's `data` folder, several in a folder of the dataset's name in there.
    pub fn files(&self) -> impl ExactSizeIterator<Item = Remote> + use<> {
        let folder = match self.files.len() {
            1 => "data".to_owned(),
            _ => format!("data/{}", self.name),
        };
        let Self { name, base, files, .. } = *self;
        files.iter().map(move |(file, md5)| {
            Remote::new(name, format!("{base}{file}"), format!("{folder}/{file}"))
                .with(|remote| (remote.digest, remote.limit) = (Some(Digest::Md5((*md5).into())), MAX_FILE))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_hash_and_a_place_of_its_own() {
        let files: Vec<Remote> = DATASETS.iter().flat_map(Dataset::files).collect();
        let mut places: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!((files.len(), places.len()), (11, 11));
        for file in &files {
            let Some(Digest::Md5(md5)) = &file.digest else { panic!("{}", file.path) };
            assert!(md5.len() == 32 && md5.bytes().all(|b| b.is_ascii_hexdigit()), "{}: {md5}", file.path);
        }
        assert!(dataset("cifar11").unwrap_err().to_string().contains("cifar10, cifar100, mnist"));
    }
}
