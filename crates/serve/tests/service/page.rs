//! The page.

use crate::given::{get, service};

#[test]
fn the_page_asks_nobody_else() {
    let found = get(&service(|_| {}), "/");
    let html = String::from_utf8(found.bytes).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("src=\"") && !html.contains("@import"));
    let policy = found.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && policy.contains("connect-src 'self'"), "{policy}");
}
