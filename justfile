# For convenience; README and .ci/run need cargo alone.

# Everything that must hold before a change lands.
check: fmt lint doc test deny

fmt:
    cargo fmt --all -- --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test:
    cargo test --workspace

# Licences, duplicate versions, sources (cargo install cargo-deny).
deny:
    cargo deny check licenses bans sources

# Train the small network on the embedded sample, then predict.
demo:
    cargo run --release -- train --model small --data sample --out runs/demo
    cargo run --release -- predict --weights runs/demo/best.safetensors assets/sample/images
