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

/// The most memory that this process ever had, in KiB.
#[must_use]
pub fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
