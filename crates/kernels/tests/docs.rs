//! The guide to adding a kernel names files that exist and shows code that is theirs; unsafe code is where the rules
//! say.

use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The guide; `None` where the crate stands alone.
fn guide() -> Option<String> {
    std::fs::read_to_string(repository().join("docs/adding-a-kernel.md")).ok()
}

#[test]
fn files_that_the_guide_names_exist() {
    let Some(guide) = guide() else { return };
    let named =
        guide.split('`').filter(|word| word.starts_with("crates/") && !word.contains(char::is_whitespace));
    let named: Vec<_> = named.collect();
    assert!(named.len() >= 10, "{named:?}");
    for path in named {
        assert!(repository().join(path).is_file(), "{path} does not exist");
    }
}

#[test]
fn code_in_the_guide_is_that_of_the_file() {
    let Some(guide) = guide() else { return };
    let blocks: Vec<_> =
        guide.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6);
    for block in blocks {
        let (path, code) = block.split_once('\n').unwrap();
        let path = path.strip_prefix("// ").unwrap_or_else(|| panic!("no file is named: {block}"));
        let source = std::fs::read_to_string(repository().join(path)).unwrap();
        let mut lines = source.lines();
        for line in code.lines().filter(|line| !line.is_empty()) {
            assert!(
                lines.any(|found| found == line),
                "{path} has no such line, or not in this order: {line}"
            );
        }
    }
}

/// Test of a line of Rust for unsafe code, comments and strings aside.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe(", "unsafe trait"]
        .iter()
        .any(|text| code.contains(text))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn unsafe_code_is_where_contributing_says() {
    let Ok(rules) = std::fs::read_to_string(repository().join("CONTRIBUTING.md")) else { return };
    let rule = rules.split("- `unsafe` is forbidden").nth(1).unwrap().split("\n- ").next().unwrap();
    let mut named: Vec<&str> = rule.split('`').skip(1).step_by(2).collect();
    let mut found = Vec::new();
    for folder in std::fs::read_dir(repository().join("crates")).unwrap().map(|entry| entry.unwrap().path()) {
        let (mut files, name) = (Vec::new(), folder.file_name().unwrap().to_owned());
        if folder.join("src").is_dir() {
            sources(&folder.join("src"), &mut files);
        }
        if files.iter().any(|file| std::fs::read_to_string(file).unwrap().lines().any(is_unsafe)) {
            found.push(name.into_string().unwrap());
        }
    }
    named.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, named, "crates with unsafe code, and those that CONTRIBUTING.md names");
}
