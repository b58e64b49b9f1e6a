//! Naive references, golden files and tolerances that the other crates are held against.
