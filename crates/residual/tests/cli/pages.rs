//! Reports in a browser: no error, every figure visible, both colour schemes legible.
//!
//! Needs Chromium (Debian's `chromium`); skipped with a notice where there is none.

use std::path::Path;
use std::process::{Command, Output};

use crate::toy::Bench;

const STUDIES: [(&str, &str); 5] = [
    ("depth", "--depths 8,14 --steps 2 --seeds 2 --batch-size 5 --data data --evaluations 2"),
    ("gradflow", "--model toy.toml --data data --batch-size 4"),
    ("lesion", "--weights run/best.safetensors --data data --images 8"),
    ("landscape", "--weights run/best.safetensors --data data --side 3 --images 8"),
    ("bottleneck", "--depths 8 --runs 1 --batch 1"),
];

/// Measures what is seen, and writes it where `--dump-dom` shows it: the scheme, and for each figure its size, and
/// the least contrast of a text and of a line against the background.
const MEASURE: &str = r#"<script>
const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const light = css => { const [r, g, b] = css.match(/[\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
const contrast = (a, b) => { const [x, y] = [light(a), light(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
document.querySelectorAll('details').forEach(folded => folded.open = true);
const least = (found, of) => found.reduce((low, e) => Math.min(low, of(e)), 99);
const figures = [...document.querySelectorAll('svg')].map(svg => {
  const ground = getComputedStyle(svg.querySelector('.bg')).fill, box = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll('text:not(.cell)')], lines = [...svg.querySelectorAll('.line')];
  const inside = texts.every(t => { const r = t.getBoundingClientRect();
    return r.width > 0 && r.left >= box.left - 1 && r.right <= box.right + 1 && r.bottom <= box.bottom + 1; });
  const letters = 13 * box.width / svg.viewBox.baseVal.width;
  return { letters, width: box.width, height: box.height, texts: texts.length, inside,
    text: least(texts, t => contrast(getComputedStyle(t).fill, ground)),
    line: least(lines, l => contrast(getComputedStyle(l).stroke, ground)) }; });
const body = getComputedStyle(document.body);
const seen = { dark: matchMedia('(prefers-color-scheme: dark)').matches, figures,
  body: contrast(body.color, body.backgroundColor), wide: document.documentElement.scrollWidth };
document.body.innerHTML = '';
document.body.setAttribute('data-seen', JSON.stringify(seen));
</script>"#;

fn browser() -> Option<&'static str> {
    let runs =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}

fn open(browser: &str, page: &Path, dark: bool, width: u32) -> Output {
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let profile = page.with_extension("profile");
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"];
    let mut command = Command::new(browser);
    command
        .args(flags)
        .arg(scheme)
        .arg(format!("--window-size={width},1200"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--dump-dom");
    command.arg(format!("file://{}", page.display())).output().unwrap()
}

/// Measurements of the script.
fn seen(output: &Output) -> serde_json::Value {
    let dom = String::from_utf8_lossy(&output.stdout);
    let attribute = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    let json = attribute.unwrap_or_else(|| panic!("nothing measured: {output:?}")).replace("&quot;", "\"");
    serde_json::from_str(&json).unwrap()
}

#[test]
fn reports_are_seen_in_light_and_dark() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium to open the reports in (Debian's `chromium`)");
        return;
    };
    let bench = Bench::new().trained();
    for (study, flags) in STUDIES {
        bench.run(&format!("study {study} {flags} --out {study}")).ok();
        let html = std::fs::read_to_string(bench.path(study).join("report.html")).unwrap();
        assert!(!html.contains("<script"), "{study}");
        let page = bench.path(&format!("{study}.html"));
        std::fs::write(&page, html.replace("</main>", &format!("</main>{MEASURE}"))).unwrap();
        for dark in [false, true] {
            let output = open(browser, &page, dark, 1000);
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(!log.contains("CONSOLE"), "{study}: {log}");
            check(study, dark, &seen(&output));
        }
    }
}

/// Widest page of a phone, and of a desk.
const WIDTHS: [u32; 2] = [390, 1280];

#[test]
fn reports_of_runs_and_evaluations_are_seen_on_a_phone_and_on_a_desk() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium to open the reports in (Debian's `chromium`)");
        return;
    };
    let bench = Bench::new().trained();
    bench.run("eval --weights run --data data --tta flip+crops --report eval.html").ok();
    bench.run("train --model toy.toml --data data --epochs 3 --batch-size 5 --out run2").ok();
    bench.run("runs run run2 --out runs.html").ok();
    // The same for several labels: each image has one of the two here.
    list_of_labels(&bench);
    let labels = "--data labels.csv --task multi-label";
    bench.run(&format!("train --model toy.toml {labels} --epochs 2 --batch-size 5 --out labels")).ok();
    bench.run("eval --weights labels --data labels.csv --split val --report labels.html").ok();
    let numbers = "--data labels.csv --task regression --label warmth,count";
    bench.run(&format!("train --model toy.toml {numbers} --epochs 2 --batch-size 5 --out numbers")).ok();
    bench.run("eval --weights numbers --data labels.csv --split val --report numbers.html").ok();
    std::fs::copy(bench.path("run/report.html"), bench.path("training.html")).unwrap();
    bench.run("summary resnet50d --html summary.html").ok();
    // Loss, accuracy, rate, gradients, the network; confusion, reliability. All four test images of each class are worst or best ones.
    let pages = [
        ("training", 7, 8),
        ("eval", 2, 8),
        ("runs", 2, 0),
        ("labels", 2, 8),
        ("numbers", 4, 8),
        ("summary", 1, 0),
    ];
    for (name, figures, pictures) in pages {
        let html = std::fs::read_to_string(bench.path(&format!("{name}.html"))).unwrap();
        assert!(!html.contains("<script") && html.matches("<img ").count() == pictures, "{name}");
        let page = bench.path(&format!("{name}-seen.html"));
        // A window of headless Chromium is no narrower than 500 pixels; a frame is.
        for (width, dark) in WIDTHS.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            let narrow = format!(
                "<style>html{{max-width:{width}px}}body{{max-width:{}px}}</style></head>",
                width - 32
            );
            let html = html.replace("</head>", &narrow).replace("</main>", &format!("</main>{MEASURE}"));
            std::fs::write(&page, html).unwrap();
            let output = open(browser, &page, dark, width);
            let log = String::from_utf8_lossy(&output.stderr);
            assert!(!log.contains("CONSOLE"), "{name}: {log}");
            let seen = seen(&output);
            assert_eq!(seen["dark"], dark, "{name}: the browser has the other scheme");
            let drawn = seen["figures"].as_array().unwrap();
            assert_eq!(drawn.len(), figures, "{name}: {seen}");
            assert!(seen["body"].as_f64().unwrap() >= 7.0, "{name}: {seen}");
            for figure in drawn {
                let number = |name: &str| figure[name].as_f64().unwrap();
                assert!(number("width") > 300.0 && number("width") < f64::from(width), "{name}: {figure}");
                assert!(number("texts") >= 4.0 && figure["inside"] == true, "{name}, {width}: {figure}");
                assert!(number("text") >= 4.5 && number("line") >= 3.0, "{name}, dark {dark}: {figure}");
                // Letters of 13 pixels in the drawing, and 9 at the least where they are seen.
                assert!(number("letters") >= 9.0, "{name}, {width}: {figure}");
            }
        }
    }
}

/// A list of the toy's images with a label, and two numbers.
fn list_of_labels(bench: &Bench) {
    let mut text = "path,label,warmth,count,split\n".to_owned();
    for (split, folder, images) in [("train", "train", 10), ("val", "test", 4)] {
        for (class, name) in ["azure", "brick"].into_iter().enumerate() {
            for index in 0..images {
                let path = format!("data/{folder}/{name}/{index:02}.png");
                text += &format!("{path},{name},{},{},{split}\n", 20 + 10 * class + index, index % 3);
            }
        }
    }
    std::fs::write(bench.path("labels.csv"), text).unwrap();
}

fn check(study: &str, dark: bool, seen: &serde_json::Value) {
    assert_eq!(seen["dark"], dark, "{study}: the browser has the other scheme");
    let figures = seen["figures"].as_array().unwrap();
    assert!(!figures.is_empty() && seen["body"].as_f64().unwrap() >= 7.0, "{study}: {seen}");
    assert!(seen["wide"].as_f64().unwrap() <= 1000.0, "{study} is too wide: {seen}");
    for figure in figures {
        let number = |name: &str| figure[name].as_f64().unwrap();
        assert!(number("width") > 300.0 && number("height") > 200.0, "{study}: {figure}");
        assert!(number("texts") >= 4.0 && figure["inside"] == true, "{study}, dark {dark}: {figure}");
        // WCAG 2.2: 4.5 for text, 3 for graphics.
        assert!(number("text") >= 4.5 && number("line") >= 3.0, "{study}, dark {dark}: {figure}");
    }
}
