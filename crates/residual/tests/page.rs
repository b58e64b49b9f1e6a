//! `residual page` through the binary, and its page in Node and in Chromium: the same bits as `residual predict` on the
//! portable instruction set. What needs Node or Chromium is skipped with a notice where there is none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use residual::Model;
use residual::arch::families::family;
use residual_testkit::networks;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with two networks, `small.safetensors` and `photos.safetensors`, and a picture, `photo.png`.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.model("small.safetensors", "small", 0.9, |spec| spec);
        // A ResNet-18 for small images: each of its kernels, in a test that is fast.
        bench.model("photos.safetensors", "resnet18", 0.5, |spec| spec.with(|net| net.input = [3, 96, 96]));
        let picture =
            image::RgbImage::from_fn(130, 100, |x, y| image::Rgb([(x * 2) as u8, (y * 2) as u8, 90]));
        picture.save(bench.path("photo.png")).unwrap();
        bench
    }

    fn model(
        &self,
        file: &str,
        name: &str,
        gain: f32,
        change: impl FnOnce(residual::arch::NetSpec) -> residual::arch::NetSpec,
    ) {
        let classes = ["cat", "dog", "ship"].map(String::from);
        let spec = change(family(name).unwrap().with_classes(3));
        let model: Model = networks::model(&spec, gain).unwrap();
        model.with_classes(classes.into()).unwrap().save(self.path(file)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_residual"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).env("COLUMNS", "80");
        command.env("RESIDUAL_ISA", "portable").stdin(Stdio::null()).output().unwrap()
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The answer of `residual predict` on the portable instruction set.
    fn predicted(&self, weights: &str) -> Value {
        let line = self.ok(&format!("predict --weights {weights} --json --logits photo.png"));
        serde_json::from_str(&line).unwrap()
    }

    fn refused(&self, arguments: &str, parts: &[&str]) {
        let output = self.run(&format!("page {arguments}"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in {text}"));
        assert!(output.stdout.is_empty() && !text.contains("panicked"), "{text}");
    }
}

fn runs(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success())
}

#[test]
fn a_page_is_written_and_written_again() {
    let bench = Bench::new();
    let printed = bench.ok("page --weights small.safetensors --weights cats=photos.safetensors --out page");
    assert_eq!(printed, "page/index.html\n");
    let listed: Value =
        serde_json::from_slice(&std::fs::read(bench.path("page/models.json")).unwrap()).unwrap();
    let names: Vec<_> = listed["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert_eq!(names, ["small", "cats"]);
    assert_eq!(listed["models"][0]["file"], "weights/small-1.safetensors");
    let bytes = std::fs::metadata(bench.path("page/weights/small-1.safetensors")).unwrap().len();
    assert_eq!(listed["models"][0]["bytes"], bytes);
    let html = std::fs::read_to_string(bench.path("page/index.html")).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    // Twice the same name is two versions.
    bench.ok("page --weights a=small.safetensors --weights a=small.safetensors --out page");
    let again = std::fs::read_to_string(bench.path("page/models.json")).unwrap();
    assert!(again.contains("a-2.safetensors") && !again.contains("cats"), "{again}");
    assert_eq!(std::fs::read_dir(bench.path("page/weights")).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_a_page_is_said() {
    let bench = Bench::new();
    bench.refused("--weights none.safetensors --out page", &["none.safetensors"]);
    bench.refused("--weights small.safetensors --out .", &["is in the folder to write", "help:"]);
    std::fs::create_dir(bench.path("mine")).unwrap();
    std::fs::write(bench.path("mine/letter.txt"), "dear").unwrap();
    bench.refused("--weights small.safetensors --out mine", &["mine", "is not empty", "help:"]);
    bench.refused("--weights small.safetensors --out photo.png", &["photo.png", "cannot write"]);
    bench.refused(
        "--weights b:2=small.safetensors --weights b:2=photos.safetensors --out page",
        &["b:", "two networks"],
    );
    bench.refused("--weights a!b=small.safetensors --out page", &["a!b", "help:"]);
    assert!(!bench.path("page").exists());
}

/// Asks a network of the page about the picture, and prints what it answers.
const NODE: &str = r#"
import { readFile } from 'node:fs/promises';
import { Network, instructionSet } from './page/engine/direct.js';
for (const file of ['small-1', 'photos-1']) {
  const network = await Network.open(await readFile(`page/weights/${file}.safetensors`));
  const photo = await readFile('photo.png');
  const answer = await network.classify(photo, { logits: true });
  const embedding = await network.embed(photo);
  const shown = await network.explain(photo), part = await network.explain(photo, { layer: network.description.layers[1] });
  const pixels = { width: 2, height: 2, data: new Uint8ClampedArray(16).fill(128) };
  const errors = [];
  for (const wrong of [() => network.classify(new Uint8Array([1, 2, 3])), () => network.explain(photo, { class: 'none' }),
    () => network.explain(photo, { layer: 'stage9' }), () => network.logits(new Float32Array(3)), () => network.classify(7),
    () => network.classify({ ...pixels, width: 3 }), () => Network.open(new Uint8Array([123, 125]))]) {
    try { await wrong(); errors.push(null); } catch (error) { errors.push(error.message); }
  }
  console.log(JSON.stringify({ answer, errors, embedding: embedding.length, isa: instructionSet(),
    parameters: network.description.parameters, shown: [shown.width, shown.height, shown.data.length],
    differ: shown.data.some((value, place) => value !== part.data[place]), grey: (await network.classify(pixels)).top.length }));
  network.close();
  try { await network.classify(photo); } catch (error) { if (!error.message.includes('closed')) throw error; }
}
"#;

#[test]
fn node_computes_the_portable_bits() {
    if !runs("node") {
        eprintln!("skipped: there is no Node to run the engine in");
        return;
    }
    let bench = Bench::new();
    bench.ok("page --weights small.safetensors --weights photos.safetensors --out page");
    std::fs::write(bench.path("ask.mjs"), NODE).unwrap();
    let output = Command::new("node").arg("ask.mjs").current_dir(bench.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (weights, found) in ["small", "photos"].iter().zip(&lines) {
        let wanted = bench.predicted(&format!("{weights}.safetensors"));
        // Floats are written so that they read back to the bit.
        assert_eq!(found["answer"]["logits"], wanted["logits"], "{weights}");
        assert_eq!(found["answer"]["top"], wanted["top"], "{weights}");
        assert_eq!(found["isa"], "simd128");
        assert_eq!((&found["differ"], &found["grey"]), (&true.into(), &3.into()));
        let [width, height, bytes] = [0, 1, 2].map(|place| found["shown"][place].as_u64().unwrap());
        assert!(width >= 224 && height >= 224 && bytes == 4 * width * height, "{found}");
        let errors = found["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error.as_str().is_some_and(|text| !text.is_empty())), "{errors:?}");
    }
    assert_eq!(lines.len(), 2);
}

/// Drops a picture, waits for the class's heat map, moves the slider, and reports what is seen.
const USE: &str = r#"
(async () => {
  const until = async holds => { while (!holds()) await new Promise(done => setTimeout(done, 20)); };
  const shown = document.getElementById('shown'), layer = document.getElementById('layer');
  await until(() => document.querySelectorAll('#rows tr').length);
  const transfer = new DataTransfer();
  transfer.items.add(new File([await (await fetch('photo.png')).blob()], 'dropped.png', { type: 'image/png' }));
  document.getElementById('stage').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
  await until(() => shown.alt.includes('is seen') && shown.complete);
  const maps = [shown.src];
  for (const place of [1, 2, 0]) {
    const before = shown.alt;
    layer.value = place;
    layer.dispatchEvent(new Event('input'));
    await until(() => shown.alt !== before && shown.complete);
    maps.push(shown.src);
  }
  const { Network } = await import('./engine/index.js');
  const network = await Network.open('weights/small-1.safetensors');
  const { logits } = await network.classify(await (await fetch('photo.png')).blob(), { logits: true });
  network.close();
  const seen = { logits, classes: [...document.querySelectorAll('#classes .name')].map(name => name.textContent),
    status: document.getElementById('status').textContent, maps: new Set(maps).size, width: shown.naturalWidth,
    asked: performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith('blob:' + location.origin)) };
  REPORT;
})();
"#;

/// A static server of a folder, until the end of the test: its address, and the bodies that are posted to it.
fn serve(folder: PathBuf) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, posted) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, sender) = (folder.clone(), sender.clone());
            // A browser ends its connections as it likes.
            std::thread::spawn(move || drop(answer(stream, &folder, &sender)));
        }
    });
    (format!("http://{address}"), posted)
}

fn answer(mut stream: TcpStream, folder: &Path, posted: &Sender<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.trim().is_empty()) {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    if lines[0].starts_with("POST") {
        let _ = posted.send(String::from_utf8_lossy(&body).into_owned());
    }
    let path = lines[0].split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let mut bytes = Vec::new();
    let found = std::fs::File::open(folder.join(path)).and_then(|mut file| file.read_to_end(&mut bytes));
    let status = if found.is_ok() || path == "seen" { "200 OK" } else { "404 Not Found" };
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let length = bytes.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&bytes)
}

/// Goes through the presets of the playground, breaks a text, measures gradients, and writes what is seen.
const PLAY: &str = r#"
(async () => {
  const until = async holds => { while (!holds()) await new Promise(done => setTimeout(done, 20)); };
  const at = id => document.getElementById(id), seen = { presets: {} };
  await until(() => document.querySelectorAll('#rows tr').length);
  for (const option of at('preset').options) {
    at('preset').value = option.value;
    at('preset').dispatchEvent(new Event('change'));
    seen.presets[option.text] = at('fault').hidden ? at('status').textContent : at('line').textContent + ': ' + at('found').textContent + '; ' + at('help').textContent;
  }
  at('text').value = at('text').value.replace('[head]', '[hat]');
  at('text').dispatchEvent(new Event('input'));
  seen.typo = at('line').textContent + ': ' + at('found').textContent;
  at('preset').value = 0;
  at('preset').dispatchEvent(new Event('change'));
  seen.rows = document.querySelectorAll('#rows tr').length;
  seen.drawing = at('drawing').querySelectorAll('svg').length;
  at('measure').click();
  await until(() => at('flow').querySelector('svg'));
  seen.flow = at('flow').textContent;
  REPORT;
})();
"#;

/// Opens a page of the folder with a script in it, under the page's own policy, and gives what the script has seen and the
/// page's address. It gets two minutes.
fn seen(browser: &str, page: &Path, script: &str) -> (Value, String) {
    let html = std::fs::read_to_string(page.join("index.html")).unwrap();
    let used = html.replace("</body>", "<script src=\"use.js\"></script></body>");
    std::fs::write(page.join("used.html"), used).unwrap();
    let report = "fetch('seen', { method: 'POST', body: JSON.stringify(seen) });";
    std::fs::write(page.join("use.js"), script.replace("REPORT;", report)).unwrap();
    let (base, posted) = serve(page.to_owned());
    let profile = tempfile::tempdir().unwrap();
    let log = profile.path().join("log");
    let mut open = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{base}/used.html"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let seen = posted.recv_timeout(Duration::from_secs(120));
    open.kill().unwrap();
    open.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains("CONSOLE"), "{log}");
    let seen = seen.unwrap_or_else(|_| panic!("nothing seen: {log}"));
    (serde_json::from_str(&seen).unwrap(), base)
}

fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| runs(name));
    if found.is_none() {
        eprintln!("skipped: there is no Chromium to open the page in (Debian's `chromium`)");
    }
    found
}

#[test]
fn the_playground_answers_as_the_text_changes() {
    let Some(browser) = browser() else { return };
    let bench = Bench::new();
    assert_eq!(bench.ok("page --playground --out play"), "play/index.html\n");
    bench.refused("--playground --weights small.safetensors --out play", &["--playground", "--weights"]);
    bench.refused("--out play", &["--weights"]);
    let (seen, _) = seen(browser, &bench.path("play"), PLAY);
    let said = |preset: &str| seen["presets"][preset].as_str().unwrap_or_else(|| panic!("{preset}: {seen}"));
    assert!(
        said("resnet18").starts_with("resnet18: 11,689,512 parameters, 1,814,073,344 multiply"),
        "{seen}"
    );
    assert!(said("plain twin").starts_with("plain twin: "), "{seen}");
    for mistake in ["forgotten stride", "channels that do not match"] {
        let said = said(mistake);
        assert!(said.starts_with("line ") && said.contains(": stage2.block0: branch gives"), "{said}");
        assert!(said.contains("; Help: use a projection shortcut"), "{said}");
    }
    assert!(seen["typo"].as_str().unwrap().contains("hat"), "{seen}");
    assert_eq!(seen["drawing"], 1, "{seen}");
    assert!(seen["rows"].as_u64().unwrap() >= 5, "{seen}");
    let flow = seen["flow"].as_str().unwrap();
    assert!(
        ["with shortcuts", "without shortcuts, without norms"].iter().all(|name| flow.contains(name)),
        "{flow}"
    );
}

#[test]
fn the_page_runs_in_chromium_without_a_service() {
    let Some(browser) = browser() else { return };
    let bench = Bench::new();
    bench.ok("page --weights small.safetensors --weights photos.safetensors --out page");
    let page = bench.path("page");
    std::fs::copy(bench.path("photo.png"), page.join("photo.png")).unwrap();
    let (seen, base) = seen(browser, &page, USE);
    let wanted = bench.predicted("small.safetensors");
    assert_eq!(seen["logits"], wanted["logits"]);
    let top = wanted["top"].as_array().unwrap();
    let classes: Vec<_> = top.iter().map(|score| score["class"].clone()).collect();
    assert_eq!(seen["classes"], Value::from(classes), "{seen}");
    // The class's, two layers', and the picture itself.
    assert_eq!(seen["maps"], 4, "{seen}");
    let outside = |url: &&Value| !url.as_str().unwrap().starts_with(&base);
    assert_eq!(seen["asked"].as_array().unwrap().iter().find(outside), None, "{seen}");
}
