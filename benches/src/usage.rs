//! What a run cost, as Linux counts it.

use std::fs;
use std::time::Duration;

/// The processor time of all threads of this process but the server's, so far.
#[must_use]
pub fn client_cpu() -> Duration {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let of_task = |path: std::path::PathBuf| -> Option<u64> {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        if name.trim() == crate::server::THREAD {
            return None;
        }
        fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    let nanos: u64 = tasks.filter_map(|task| of_task(task.ok()?.path())).sum();
    Duration::from_nanos(nanos)
}

fn number(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The most memory that this process ever had, in KiB.
#[must_use]
pub fn peak_memory() -> u64 {
    number("/proc/self/status", "VmHWM:")
}

/// The memory that this process has, in KiB.
#[must_use]
pub fn memory() -> u64 {
    number("/proc/self/status", "VmRSS:")
}

/// The bytes that this process has caused to be written to a disk so far, less those that were deleted before they
/// were. What the file system writes for itself (its journal) is not in it.
#[must_use]
pub fn written() -> u64 {
    let of = |name| number("/proc/self/io", name);
    of("write_bytes:").saturating_sub(of("cancelled_write_bytes:"))
}
