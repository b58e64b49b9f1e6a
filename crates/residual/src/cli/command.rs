//! Commands as a shell takes them.

#[cfg(feature = "train")]
use std::path::Path;

/// Path as a shell takes it.
#[cfg(feature = "train")]
pub(crate) fn quoted(path: &Path) -> String {
    word(&path.display().to_string())
}

/// Command that this process was started with.
pub(crate) fn own_command() -> String {
    let words = std::env::args_os().skip(1).map(|argument| word(&argument.to_string_lossy()));
    ["residual".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// Word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(word("runs/small-1"), "runs/small-1");
        assert_eq!(word("my runs/it's"), r"'my runs/it'\''s'");
        assert_eq!((word(""), word("a*b")), ("''".to_owned(), "'a*b'".to_owned()));
    }
}
