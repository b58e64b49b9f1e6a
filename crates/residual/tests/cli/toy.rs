//! Running the binary; and images, networks and weights small enough for a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use residual::weights::{Checkpoint, StateDict};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A network for 8x8 images and two classes, with all that is random in it.
pub(crate) const NETWORK: &str = r#"
name = "toy"
input = [3, 8, 8]
stochastic_depth = 0.2

[stem]
convs = [{ channels = 4, kernel = 3 }]

[[stages]]
blocks = [{ kind = "basic", channels = 4 }]

[[stages]]
blocks = [{ kind = "basic", channels = 8, stride = 2 }]

[head]
classes = 2
dropout = 0.1
"#;

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Standard output of a command that must succeed.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// Asserts exit code 2 and a message that begins with `error: ` and holds all of `parts`.
    pub(crate) fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.stderr.lines().any(|line| line.starts_with("error: ")), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in {self:?}");
        }
    }

    /// Standard output, which must be one JSON object a line and nothing else.
    pub(crate) fn json(self) -> Vec<serde_json::Map<String, serde_json::Value>> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// A folder to work in, with the network as `toy.toml` and images as `data`.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("toy.toml"), NETWORK).unwrap();
        let bench = Self { folder };
        bench.images("data", &["azure", "brick"], 10, 4);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Holds that a run ended in the bits of the one in `whole`.
    pub(crate) fn same_as_whole(&self, run: &str) {
        let path = |run: &str, file: &str| self.path(run).join(file);
        let (last, best) = ("last.safetensors", "best.safetensors");
        assert_eq!(hashes(&path(run, last)), hashes(&path("whole", last)));
        assert_eq!(file_hash(&path(run, best)), file_hash(&path("whole", best)));
    }

    /// Runs `residual`, in this folder, to its end.
    pub(crate) fn run(&self, arguments: &str) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// `residual` with these arguments, words between blanks, 80 columns wide.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residual"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).env("COLUMNS", "80");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `train/CLASS` and `test/CLASS` with this many 8x8 images, which colour tells apart.
    pub(crate) fn images(&self, name: &str, classes: &[&str], train: u32, test: u32) {
        for (split, count) in [("train", train), ("test", test)] {
            for (class, class_name) in classes.iter().enumerate() {
                let folder = self.path(name).join(split).join(class_name);
                std::fs::create_dir_all(&folder).unwrap();
                for index in 0..count {
                    picture(class as u32, index + 100 * count, 8)
                        .save(folder.join(format!("{index:02}.png")))
                        .unwrap();
                }
            }
        }
    }

    /// A network trained for an epoch: `run/best.safetensors`.
    pub(crate) fn trained(self) -> Self {
        self.run("train --model toy.toml --data data --epochs 1 --batch-size 5 --out run").ok();
        self
    }
}

/// Blue or red, with noise.
pub(crate) fn picture(class: u32, number: u32, side: u32) -> image::RgbImage {
    let mut state = (class * 1000 + number).wrapping_mul(2_654_435_761);
    image::RgbImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 24) as u8 / 4;
        if class == 0 {
            image::Rgb([40 + noise, 80, 160 + noise])
        } else {
            image::Rgb([160 + noise, 60, 40 + noise])
        }
    })
}

/// The sha256 of every tensor of a checkpoint, optimiser's included.
pub(crate) fn hashes(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let checkpoint = Checkpoint::read(path).unwrap();
    let hash = |prefix: &'static str, state: StateDict| {
        state.into_tensors().map(move |(name, tensor)| {
            let bytes: Vec<u8> = tensor.data().iter().flat_map(|value| value.to_le_bytes()).collect();
            (format!("{prefix}{name}"), Sha256::digest(bytes).to_vec())
        })
    };
    hash("", checkpoint.tensors).chain(hash("optimiser.", checkpoint.optimiser)).collect()
}

/// The sha256 of a file.
pub(crate) fn file_hash(path: &Path) -> Vec<u8> {
    Sha256::digest(std::fs::read(path).unwrap()).to_vec()
}
