//! What the machine has.

use crate::Error;

/// Bytes of memory that the system can still give, without swapping; `None` where it does not say (all but Linux).
///
/// The least of what is available, what the control group leaves, and what the limit on the address space leaves.
pub fn available_memory() -> Option<u64> {
    [meminfo(), control_group(), address_space()].into_iter().flatten().min()
}

/// Refusal of a task that needs more memory than [`available_memory`], before any of it is taken. Where the system
/// does not say what is available, nothing is refused but what no address space holds.
///
/// ```
/// residual_files::require_memory(1 << 20)?;
/// let error = residual_files::require_memory(u64::MAX).unwrap_err();
/// assert!(error.to_string().starts_with("needs 18.4 EB"));
/// # Ok::<(), residual_files::Error>(())
/// ```
///
/// # Errors
/// [`Error::TooLittleMemory`].
pub fn require_memory(bytes: u64) -> Result<(), Error> {
    let available = available_memory().unwrap_or(isize::MAX as u64);
    if bytes > available {
        return Err(Error::TooLittleMemory { needed: bytes, available });
    }
    Ok(())
}

/// `MemAvailable` of `/proc/meminfo`, which is in KiB.
fn meminfo() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:").map(|kib| kib * 1024)
}

/// Memory that the version 2 control group of a container leaves.
fn control_group() -> Option<u64> {
    let number = |name: &str| {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

/// Memory that `ulimit -v` leaves.
fn address_space() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
    let used = field(&std::fs::read_to_string("/proc/self/status").ok()?, "VmSize:")? * 1024;
    Some(limit.saturating_sub(used))
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn there_is_some_memory() {
        assert!(super::available_memory().unwrap() > 1 << 20);
    }
}
