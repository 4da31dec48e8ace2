//! A process that starts others all the time.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Starts processes, one after the other, until it is dropped.
///
/// A process that is being started has a copy of every file that its parent has open, until it
/// has become the program that it is to be. That moment is made long here: the program is
/// looked for in many folders, and is in none of them, so that none ever runs.
pub(crate) struct Starting {
    enough: Arc<AtomicBool>,
    processes: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Starting {
    pub(crate) fn begin() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let processes = Arc::new(AtomicU64::new(0));
        let begun = Arc::clone(&processes);
        let thread = std::thread::spawn(move || {
            // As long as one string of an environment may be (128 KiB in Linux).
            let folders = "/-:".repeat(40_000);
            while !told.load(Ordering::Relaxed) {
                let mut command = Command::new("a-program-that-is-not-there");
                command.env_clear().env("PATH", &folders);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                begun.fetch_add(1, Ordering::Relaxed);
                drop(command.spawn());
            }
        });
        Self { enough, processes, thread: Some(thread) }
    }

    /// How many it has begun to start.
    pub(crate) fn processes(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
