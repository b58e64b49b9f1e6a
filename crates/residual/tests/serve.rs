//! `residual serve` through the binary: its answers beside those of `residual predict`, its signals, and what it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use residual::Model;
use residual::arch::families::family;
use residual_testkit::networks;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a model of three classes, `photos.safetensors`, and a picture, `photo.png`.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write("photos.safetensors", 1.0);
        let picture = image::RgbImage::from_fn(50, 40, |x, y| image::Rgb([x as u8 * 5, y as u8 * 6, 90]));
        picture.save(bench.path("photo.png")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the weights beside the file, and puts them in its place.
    fn write(&self, name: &str, gain: f32) {
        let classes = ["cat", "dog", "ship"].map(String::from);
        let model: Model = networks::model(&family("cifar_resnet8").unwrap().with_classes(3), gain).unwrap();
        model.with_classes(classes.into()).unwrap().save(self.path(name)).unwrap();
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residual"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).env("COLUMNS", "80");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn serve(&self, arguments: &str) -> Served {
        Served::start(self.command(&format!("serve --port 0 {arguments}")))
    }

    fn photo(&self) -> Vec<u8> {
        std::fs::read(self.path("photo.png")).unwrap()
    }

    /// The answer of `residual predict --json`, whose file is `name`.
    fn predicted(&self, flags: &str, name: &str) -> Value {
        let output = self.command(&format!("predict {flags} --json photo.png")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["file"] = name.into();
        answer
    }

    fn refused(&self, arguments: &str, parts: &[&str]) {
        let output = self.command(&format!("serve {arguments}")).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in {text}"));
        assert!(output.stdout.is_empty() && !text.contains("panicked"), "{text}");
    }
}

/// A service that runs.
struct Served {
    child: Child,
    address: String,
    log: Receiver<String>,
}

impl Served {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).unwrap();
        let address = address
            .trim()
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("no address: {:?}", log.try_iter().collect::<Vec<_>>()));
        Self { child, address: address.to_owned(), log }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn send(&self, head: &str, body: &[u8]) -> String {
        let mut stream = self.connect();
        let head =
            format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn classify(&self, image: &[u8]) -> Value {
        let answer = self.send("POST /v1/classify HTTP/1.1", image);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for a line of the log that holds `part`.
    fn says(&self, part: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(60)) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("`{part}` is not in {seen:?}");
    }

    fn ends(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_service_answers_as_the_command_does() {
    let bench = Bench::new();
    let served = bench.serve("--weights photos.safetensors --batch 1 --log json");
    assert_eq!(served.classify(&bench.photo()), bench.predicted("--weights photos.safetensors", ""));
    let line: Value = serde_json::from_str(&served.says("/v1/classify")).unwrap();
    assert_eq!(
        (&line["event"], &line["status"], &line["method"]),
        (&"request".into(), &200.into(), &"POST".into())
    );
    assert!(line["id"].is_string() && line["milliseconds"].is_number() && line["time"].is_string(), "{line}");
    served.signal("TERM");
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn weights_are_loaded_again_and_broken_ones_are_not_taken() {
    let bench = Bench::new();
    let served = bench.serve("--weights pets=photos.safetensors");
    served.says("serving pets, version 1");
    let first = served.classify(&bench.photo());
    // As an editor or a copy would break it: another file in its place.
    std::fs::write(bench.path("broken"), "no weights").unwrap();
    std::fs::rename(bench.path("broken"), bench.path("photos.safetensors")).unwrap();
    served.signal("HUP");
    let line = served.says("kept the old weights");
    assert!(line.contains("photos.safetensors"), "{line}");
    assert_eq!(served.classify(&bench.photo()), first);
    bench.write("photos.safetensors", 0.8);
    served.signal("HUP");
    served.says("loaded pets, version 1, again");
    let second = served.classify(&bench.photo());
    assert!(second != first && second["top"][0]["class"].is_string());
    served.signal("INT");
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn the_end_waits_for_what_was_begun() {
    let bench = Bench::new();
    let served = bench.serve("--weights photos.safetensors");
    let image = bench.photo();
    let mut stream = served.connect();
    let head = format!("POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", image.len());
    stream.write_all(&[head.as_bytes(), &image[..10]].concat()).unwrap();
    served.classify(&image);
    served.signal("TERM");
    served.says("answering what was accepted");
    stream.write_all(&image[10..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"top\""), "{answer}");
    assert_eq!(served.ends(), Some(0));
}

#[test]
fn tokens_are_read_from_a_file() {
    let bench = Bench::new();
    std::fs::write(bench.path("tokens"), "one\n\n two \n").unwrap();
    let served = bench.serve("--weights photos.safetensors --tokens tokens");
    let with = |token: &str| {
        served.send(&format!("POST /v1/classify HTTP/1.1\r\nAuthorization: Bearer {token}"), &bench.photo())
    };
    assert!(with("two").starts_with("HTTP/1.1 200") && with("three").starts_with("HTTP/1.1 401"));
    assert!(served.send("GET /v2/health/ready HTTP/1.1", b"").starts_with("HTTP/1.1 200"));
}

#[test]
fn what_cannot_be_served_is_said_in_a_line() {
    let bench = Bench::new();
    bench.refused("", &["--weights"]);
    bench.refused("--weights nowhere.safetensors", &["error: nowhere, version 1: nowhere.safetensors"]);
    bench.refused("--weights a:x=photos.safetensors", &["version `x`"]);
    bench.refused("--weights a:1=photos.safetensors --weights a:1=photos.safetensors", &["twice", "help:"]);
    bench.refused("--weights photos.safetensors --batch 0", &["batch: found 0"]);
    bench.refused("--weights photos.safetensors --deadline-ms 0", &["deadline"]);
    bench.refused("--weights photos.safetensors --tokens nowhere", &["nowhere"]);
    std::fs::write(bench.path("empty"), "\n").unwrap();
    bench.refused("--weights photos.safetensors --tokens empty", &["empty: no token"]);
    bench.refused("--weights photos.safetensors --tls-certificate a.pem", &["--tls-key"]);
    bench
        .refused("--weights photos.safetensors --tls-certificate empty --tls-key empty", &["no certificate"]);
    bench.refused("--weights photos.safetensors --host 203.0.113.7", &["203.0.113.7", "cannot listen"]);
    let served = bench.serve("--weights photos.safetensors");
    let port = served.address.rsplit(':').next().unwrap();
    bench.refused(&format!("--weights photos.safetensors --port {port}"), &["cannot listen", "--port"]);
    assert!(Path::new(&bench.path("photos.safetensors")).is_file());
}

/// Arguments of the container in a manifest: the list under `args:`.
fn arguments_of(manifest: &str) -> Vec<String> {
    let list = manifest.split("args:\n").nth(1).unwrap().lines().map(str::trim);
    let items = list.take_while(|line| line.starts_with(['-', '#']));
    items.filter_map(|line| Some(line.strip_prefix("- ")?.to_owned())).collect()
}

/// Arguments of the image: the list behind `CMD`.
fn arguments_of_image(containerfile: &str) -> Vec<String> {
    let list = containerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    serde_json::from_str(list).unwrap()
}

#[test]
fn the_image_and_the_manifests_start_a_service_whose_probes_answer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let [image, deployment, kserve] =
        ["Containerfile", "deploy/kubernetes.yaml", "deploy/kserve.yaml"].map(read);
    let cases = [
        (arguments_of_image(&image), &image, "model"),
        (arguments_of(&deployment), &deployment, "photos"),
        (arguments_of(&kserve), &kserve, "photos"),
    ];
    let bench = Bench::new();
    for (arguments, file, model) in cases {
        let line = arguments.join(" ").replace("--host 0.0.0.0", "").replace("--host=0.0.0.0", "");
        let line = line.strip_prefix("serve").unwrap();
        let served = line.split(' ').map(|word| match word {
            word if word.starts_with("--port") => String::new(),
            word => {
                word.split_once("/m").map_or(word.to_owned(), |(name, _)| format!("{name}photos.safetensors"))
            }
        });
        let served = bench.serve(&served.collect::<Vec<_>>().join(" "));
        let probes: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("path: ")).collect();
        for path in probes.into_iter().chain([format!("/v2/models/{model}/ready").as_str()]) {
            let answer = served.send(&format!("GET {path} HTTP/1.1"), b"");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
        served.signal("TERM");
        assert_eq!(served.ends(), Some(0));
    }
}
