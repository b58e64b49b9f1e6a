//! The page: what it may do, and in Chromium what it does.
//!
//! The latter needs Chromium (Debian's `chromium`); it is skipped with a notice where there is none.

use std::process::{Command, Output};

use axum::response::Html;
use axum::routing::get as route;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use residual_serve::{Service, router};
use serde_json::Value;

use crate::given::{get, offline, picture, service};

#[test]
fn the_page_asks_nobody_else() {
    let found = get(&service(|_| {}), "/");
    let policy = found.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(policy.contains("connect-src 'self'"), "{policy}");
    let html = String::from_utf8(found.bytes).unwrap();
    for outside in ["http://", "https://", "src=\"", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// Drops a picture, waits for the class's heat map, moves the slider, and writes what is seen where `--dump-dom` shows it.
const USE: &str = r#"<script>
(async () => {
  const until = async holds => { while (!holds()) await new Promise(done => setTimeout(done, 20)); };
  const shown = document.getElementById('shown'), layer = document.getElementById('layer');
  await until(() => document.querySelector('#model option'));
  const transfer = new DataTransfer();
  transfer.items.add(new File([await (await fetch('/picture')).blob()], 'dropped.png', { type: 'image/png' }));
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
  const seen = { classes: [...document.querySelectorAll('#classes .name')].map(name => name.textContent),
    status: document.getElementById('status').textContent, maps: new Set(maps).size, width: shown.naturalWidth,
    rows: document.querySelectorAll('#rows tr').length,
    asked: performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !name.startsWith('blob:' + location.origin)) };
  document.body.setAttribute('data-seen', JSON.stringify(seen));
})();
</script></body>"#;

fn browser() -> Option<&'static str> {
    let runs =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}

fn open(browser: &str, address: &str) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"];
    Command::new(browser)
        .args(flags)
        .arg("--virtual-time-budget=60000")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(address)
        .output()
        .unwrap()
}

/// Serves the service, the page with the script above in it, and a picture, until the end of the test.
fn harness(service: &Service) -> String {
    let html = String::from_utf8(get(service, "/").bytes).unwrap().replace("</body>", USE);
    let app = router(service)
        .route("/harness", route(move || async move { Html(html) }))
        .route("/picture", route(|| async { picture(3, [64, 48]) }));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        crate::given::run(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let app = TowerToHyperService::new(app.clone());
                tokio::spawn(async move {
                    // A browser ends its connections as it likes.
                    let _ =
                        Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), app).await;
                });
            }
        });
    });
    format!("http://{address}")
}

#[test]
fn a_picture_is_dropped_and_its_heat_maps_are_seen() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium to open the page in (Debian's `chromium`)");
        return;
    };
    let base = harness(&service(|options| options.deadline = std::time::Duration::from_secs(60)));
    let log = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    // As it is, with its policy: its script runs.
    let plain = open(browser, &format!("{base}/"));
    assert!(!log(&plain).contains("CONSOLE"), "{}", log(&plain));
    assert!(String::from_utf8_lossy(&plain.stdout).contains("photos, version 1</option>"), "{plain:?}");

    let used = open(browser, &format!("{base}/harness"));
    assert!(!log(&used).contains("CONSOLE"), "{}", log(&used));
    let dom = String::from_utf8_lossy(&used.stdout);
    let attribute = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    let json = attribute.unwrap_or_else(|| panic!("nothing seen: {dom}")).replace("&quot;", "\"");
    let seen: Value = serde_json::from_str(&json).unwrap();
    let wanted = offline(1.0).classify(picture(3, [64, 48])).unwrap();
    let classes: Vec<&str> = wanted.top(10).map(|score| score.class).collect();
    assert_eq!(seen["classes"], serde_json::json!(classes), "{seen}");
    assert!(seen["status"].as_str().unwrap().starts_with(classes[0]), "{seen}");
    // The class's, two layers', and the picture itself.
    assert_eq!(seen["maps"], 4, "{seen}");
    assert!(seen["rows"].as_u64().unwrap() >= 5, "{seen}");
    let outside = |url: &&Value| !url.as_str().unwrap().starts_with(&base);
    assert_eq!(seen["asked"].as_array().unwrap().iter().find(outside), None, "{seen}");
}
