//! The guide to adding a kernel names files that exist and shows code that is theirs.

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
