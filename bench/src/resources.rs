//! What a run took of the machine.

use std::path::Path;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::outcome::{Environment, Resources};

/// Where this process stood at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    at: Instant,
    /// Processor time, in seconds.
    cpu: f64,
    written: Option<u64>,
    /// Barriers of the store.
    barriers: Option<u64>,
}

impl Stand {
    pub(crate) fn now(barriers: Option<u64>) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            cpu: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            written: number("/proc/self/io", "write_bytes:"),
            barriers,
        }
    }

    /// What it took until `now`.
    pub(crate) fn until(
        &self,
        now: &Self,
        operations: u64,
        user_written: u64,
        folder: Option<&Path>,
    ) -> Resources {
        let cpu = now.cpu - self.cpu;
        let kib = |key| number("/proc/self/status", key).unwrap_or(0) * 1_024;
        Resources {
            cpu_per_operation: cpu * 1e9 / operations.max(1) as f64,
            processors_busy: cpu / (now.at - self.at).as_secs_f64().max(1e-9),
            rss_peak: kib("VmHWM:"),
            rss: kib("VmRSS:"),
            disk_written: now.written.zip(self.written).map(|(now, before)| now - before),
            disk_size: folder.map(size),
            barriers: now.barriers.zip(self.barriers).map(|(now, before)| now - before),
            user_written,
        }
    }
}

/// The number behind a key in one of the system's lists.
fn number(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The bytes of all files in a folder. One that goes away meanwhile counts as nothing.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

impl Environment {
    /// This machine.
    #[must_use]
    pub fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = info.lines().find_map(|line| line.strip_prefix("model name"));
        let name = name.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim());
        let system = rustix::system::uname();
        let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            processor: name.unwrap_or("unknown").to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: number("/proc/meminfo", "MemTotal:").unwrap_or(0) * 1_024,
            system: format!("{} {}", part(system.sysname()), part(system.release())),
        }
    }
}
