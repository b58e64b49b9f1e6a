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

# The documentation as a site: target/site/index.html (cargo install mdbook --version 0.5.4 --locked).
site:
    .ci/site

# Train the small network on the embedded sample, then predict.
demo:
    cargo run --release -- train --model small --data sample --out runs/demo
    cargo run --release -- predict --weights runs/demo/best.safetensors assets/sample/images

# The kernels' tests under AddressSanitizer.
asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p residual-kernels \
        --target x86_64-unknown-linux-gnu --target-dir target/asan --lib --tests

# The kernels' tests on NEON, emulated (apt-get install qemu-user gcc-aarch64-linux-gnu).
neon:
    rustup target add aarch64-unknown-linux-gnu
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
        cargo test -p residual-kernels --release --target aarch64-unknown-linux-gnu --lib --tests

# Single layers beside PyTorch, ONNX Runtime and OpenVINO (pip install -r bench/peers/requirements.txt).
[positional-arguments]
peers *ARGUMENTS:
    python bench/peers/layers.py "$@"

# Whole networks beside the same.
[positional-arguments]
peers-infer *ARGUMENTS:
    python bench/peers/infer.py "$@"

# Training steps beside PyTorch (the same requirements; cargo build --release first).
[positional-arguments]
peers-train *ARGUMENTS:
    python bench/peers/train.py "$@"
