//! The machine that a page was made on.

/// Machine in a line: processor, instruction set, threads, system, and the release of this software.
pub fn machine(threads: usize) -> String {
    let isa = residual_kernels::Isa::detect().map_or_else(|_| "no kernels".to_owned(), |isa| isa.to_string());
    let threads = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    format!(
        "{} ({isa}), {threads}, {} {}, residual {}",
        residual_engine::processor(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        env!("CARGO_PKG_VERSION")
    )
}
