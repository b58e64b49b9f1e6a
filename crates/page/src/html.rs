//! The page's text, for a service and for a folder.

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const TABLE: &str = include_str!("table.js");
const SCRIPT: &str = include_str!("page.js");
const PLAYGROUND: &str = include_str!("playground.html");
const PLAYGROUND_SCRIPT: &str = include_str!("playground.js");
const SERVICE: &str = include_str!("service.js");
const BROWSER: &str = include_str!("browser.js");

/// Policy of the folder's page: its own files alone, and the engine's compilation.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
                      style-src 'unsafe-inline'; img-src blob: data:; media-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'";

/// Page of a service: one file, whose script is [`service_script`].
pub fn service_page() -> String {
    let script = format!("<script>{}</script>", service_script());
    filled(&script, "", "It goes to this service and nowhere else.")
}

/// Script of the page of a service, as it stands between its tags: for the hash in a policy.
pub fn service_script() -> String {
    format!("\n'use strict';\n{SERVICE}\n{TABLE}\n{SCRIPT}")
}

/// Page of a folder.
pub(crate) fn folder_page() -> String {
    filled(
        "<script type=\"module\" src=\"page.js\"></script>",
        &policy(),
        "It stays in this browser: the network runs here.",
    )
}

/// Page of the playground.
pub(crate) fn playground_page() -> String {
    PLAYGROUND.replace("{{style}}", STYLE).replace("{{policy}}", &policy())
}

/// Script of the playground, a module.
pub(crate) fn playground_script() -> String {
    format!("{PLAYGROUND_SCRIPT}\n{TABLE}")
}

/// Worker of the playground, a module.
pub(crate) const PLAYGROUND_WORKER: &str = include_str!("flow.js");

fn policy() -> String {
    format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n")
}

/// Script of a folder's page, a module.
pub(crate) fn folder_script() -> String {
    format!("{BROWSER}\n{TABLE}\n{SCRIPT}")
}

fn filled(script: &str, policy: &str, destination: &str) -> String {
    // The script comes last: its text is not looked at for places to fill.
    let page = PAGE.replace("{{style}}", STYLE).replace("{{policy}}", policy);
    page.replace("{{where}}", destination).replace("{{script}}", script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_page_is_filled() {
        for page in [service_page(), folder_page(), playground_page()] {
            assert!(!page.contains("{{") && page.contains("<title>"), "{page}");
        }
        assert!(service_page().contains("/v1/classify") && !service_page().contains("engine/index.js"));
        assert!(folder_script().contains("./engine/index.js") && !folder_script().contains("/v1/classify"));
    }
}
