//! The code in README.md and docs/, compiled and run as documentation tests.
//!
//! A crate of its own, so that no published crate reads a file outside its folder.

#![deny(missing_docs)]

/// A guide whose blocks of Rust are documentation tests.
macro_rules! guide {
    ($name:ident, $file:literal) => {
        #[doc = include_str!(concat!("../../../", $file))]
        pub mod $name {}
    };
}

guide!(readme, "README.md");
guide!(blocks, "docs/blocks.md");
guide!(get, "docs/get.md");
guide!(library, "docs/library.md");
guide!(checkpoints, "docs/checkpoints.md");
guide!(evaluation, "docs/evaluation.md");
guide!(augmentation, "docs/augmentation.md");
guide!(finetune, "docs/finetune.md");
guide!(quantize, "docs/quantize.md");
guide!(search, "docs/search.md");
guide!(interop, "docs/interop.md");
guide!(browser, "docs/browser.md");
guide!(serve, "docs/serve.md");
guide!(adding_a_block, "docs/adding-a-block.md");
