//! Links of the Markdown files: every file and every heading that one points at is there, and the book's contents are
//! whole.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Root of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Markdown files below `folder`, by their paths from there.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let hidden = name.to_string_lossy().starts_with('.');
            // What was built, downloaded or trained here is not the project's.
            let foreign = ["target", "node_modules", "runs", "venv"].iter().any(|other| name == *other);
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !hidden && !foreign => folders.push(path),
                kind if kind.is_file() && path.extension().is_some_and(|ending| ending == "md") => {
                    found.push(path);
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Lines of a document outside blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fence = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fence ^= is_fence;
        !fence && !is_fence
    })
}

/// Line without its spans of code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Addresses that a document links to or shows: `](address)`, `src="address"`, `href="address"`, `[name]: address`.
fn addresses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text).map(without_code) {
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            let parts = line.split(open).skip(1);
            found.extend(parts.filter_map(|rest| Some(rest.split_once(close)?.0.to_owned())));
        }
        let defined = line.split_once("]: ").filter(|_| line.starts_with('['));
        found.extend(defined.map(|(_, address)| address.trim().to_owned()));
    }
    found
}

/// Anchors of a document's headings, as GitHub and mdBook write them: lower case, spaces as hyphens, no punctuation; a
/// number behind a repeated one.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = seen.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    };
    headings.map(anchor).collect()
}

/// Fault of a link; `None` where it resolves or leads out of the project.
fn fault(root: &Path, file: &Path, address: &str) -> Option<String> {
    let outside = ["http://", "https://", "mailto:", "data:"];
    if outside.iter().any(|scheme| address.starts_with(scheme)) {
        return None;
    }
    let (path, anchor) = address.split_once('#').unwrap_or((address, ""));
    let target = if path.is_empty() { file.to_owned() } else { file.parent()?.join(path) };
    let Ok(target) = target.canonicalize() else { return Some("no such file".to_owned()) };
    if !target.starts_with(root) {
        return Some("outside the project".to_owned());
    }
    let is_markdown = target.extension().is_some_and(|ending| ending == "md");
    if anchor.is_empty() || !is_markdown {
        return None;
    }
    let known = anchors(&std::fs::read_to_string(target).ok()?);
    (!known.iter().any(|known| known == anchor)).then(|| format!("no such heading; there are {known:?}"))
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let (mut faults, mut links) = (Vec::new(), 0);
    for file in markdown(&root) {
        let text = std::fs::read_to_string(&file).unwrap();
        for address in addresses(&text) {
            links += 1;
            let found = fault(&root, &file, &address);
            faults.extend(found.map(|fault| format!("{}: {address}: {fault}", file.display())));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(links > 100, "only {links} links were found");
}

#[test]
fn the_contents_name_every_page_once() {
    let docs = root().join("docs");
    let contents = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut named: Vec<PathBuf> = addresses(&contents).into_iter().map(|page| docs.join(page)).collect();
    named.sort();
    let mut pages = markdown(&docs);
    pages.retain(|page| page.file_name().is_some_and(|name| name != "SUMMARY.md"));
    assert_eq!(named, pages);
}

/// A page of the book links to no page outside docs/: the book has none. Programs and folders are linked to the repository
/// by `.ci/site`.
#[test]
fn pages_of_the_book_stay_in_it() {
    let docs = root().join("docs");
    for page in markdown(&docs) {
        for address in addresses(&std::fs::read_to_string(&page).unwrap()) {
            let path = page.parent().unwrap().join(address.split('#').next().unwrap());
            let Ok(relative) = path.strip_prefix(&docs) else { continue };
            let depth = relative.components().try_fold(0usize, |depth, part| match part {
                Component::ParentDir => depth.checked_sub(1),
                _ => Some(depth + 1),
            });
            let repository = ["../examples/", "../crates/", "../bench/", "../assets/", "../deploy/"];
            let known = repository.iter().any(|folder| address.starts_with(folder));
            assert!(depth.is_some() || known, "{}: {address}", page.display());
        }
    }
}

#[test]
fn broken_links_are_found() {
    let root = root();
    let readme = root.join("README.md");
    let fault = |address: &str| fault(&root, &readme, address);
    assert_eq!(fault("docs/serve.md#limits"), None);
    assert_eq!(fault("https://example.org/nowhere"), None);
    assert!(fault("docs/nowhere.md").is_some() && fault("docs/serve.md#limitless").is_some());
    assert!(fault("../../../etc").is_some());
    let text = "[a](b.md) `[c](d.md)` <img src=\"e.png\">\n```\n[f](g.md)\n```\n[h]: i.md\n";
    assert_eq!(addresses(text), ["b.md", "e.png", "i.md"]);
    assert_eq!(anchors("# A `b`, c\n## D-e\n# A b c\n```\n# f\n```"), ["a-b-c", "d-e", "a-b-c-1"]);
}
