//! What is set when a mirror is opened.

use std::time::Duration;

use pinstate_core::clock::DEFAULT_WRITER;

/// When a write is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// When both stores have it. A write that only the primary took fails, with an unknown
    /// outcome: it is visible, and is repaired.
    #[default]
    Strict,
    /// When the primary has it. While the secondary fails, keys pile up in the journal, about
    /// 200 bytes of memory each, and are repaired once it works again.
    Journal,
}

/// Options of [`Mirror::open`](super::Mirror::open).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MirrorOptions {
    /// When a write is acknowledged.
    pub policy: Policy,
    /// Longest time that a write waits for a flip; it is refused then, certainly not applied.
    pub fence_wait: Duration,
    /// Pause between two rounds of repair; `None` where nothing is repaired but by steps.
    pub repair_pause: Option<Duration>,
    /// How long a store of many nodes may still work on a write of a process that has died.
    pub settle: Duration,
    /// Of every hundred reads in the phases shadow and reverse, how many are made on both.
    pub shadow_percent: u8,
    /// The clock's writer.
    pub writer: String,
    /// Begin although the target's namespace has records. What the source has not is deleted
    /// there.
    pub overwrite: bool,
    /// Parts that a comparison reads at the same time, at least 1.
    pub workers: usize,
}

impl MirrorOptions {
    /// Strict; 5 s of waiting; repairs each 200 ms; one read in ten is compared.
    #[must_use]
    pub fn new() -> Self {
        Self {
            policy: Policy::default(),
            fence_wait: Duration::from_secs(5),
            repair_pause: Some(Duration::from_millis(200)),
            settle: Duration::from_secs(5),
            shadow_percent: 10,
            writer: DEFAULT_WRITER.to_owned(),
            overwrite: false,
            workers: 2,
        }
    }

    /// Sets when a write is acknowledged.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

impl Default for MirrorOptions {
    fn default() -> Self {
        Self::new()
    }
}
