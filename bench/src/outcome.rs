//! What was measured: what reports are made of, and `bench.json` as it is written.
//!
//! Times are in nanoseconds, sizes in bytes, where a name says nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Changes whenever a reader of `bench.json` would have to.
pub const SCHEMA: u32 = 1;

/// Everything that is known about one or more stores under one workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of what measured.
    pub version: String,
    /// When it began, as RFC 3339.
    pub began: String,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// What all operations follow from.
    pub seed: u64,
    /// The workload, as it was used.
    pub workload: Described,
    /// The machine.
    pub environment: Environment,
    /// What was measured, in the order it was named.
    pub subjects: Vec<Setup>,
    /// Each run, in the order they were made.
    pub runs: Vec<Run>,
    /// Each store against the first one; empty where there is only one.
    pub comparisons: Vec<Comparison>,
}

/// A workload, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Its text, as a file could have it.
    pub toml: String,
    /// A hash of that, so that reports can be told apart.
    pub hash: String,
}

/// The machine that the load came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// The processor's name.
    pub processor: String,
    /// How many there are.
    pub processors: usize,
    /// In all.
    pub memory: u64,
    /// Operating system and kernel.
    pub system: String,
}

/// What was measured, and what it promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What it is called here.
    pub name: String,
    /// The kind of store.
    pub backend: String,
    /// Where it is, without secrets.
    pub location: String,
    /// What an acknowledged write is safe from.
    pub durability: String,
    /// What readers see.
    pub consistency: String,
    /// Whatever else matters for its speed, such as the size of a cache.
    pub details: BTreeMap<String, String>,
}

/// One run of the workload on one store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Which of the subjects.
    pub subject: usize,
    /// Which round, counted from 1.
    pub round: usize,
    /// How the load was given.
    pub mode: Mode,
    /// Seconds of load before it was measured.
    pub warmup_seconds: f64,
    /// Whether the last windows of the warm-up were alike.
    pub warm: bool,
    /// Measured seconds.
    pub seconds: f64,
    /// Measured operations that were answered.
    pub operations: u64,
    /// Answered operations a second.
    pub throughput: f64,
    /// Why the latencies of this run mean nothing, where they do not.
    pub saturated: Option<String>,
    /// All kinds together, and then each of them.
    pub kinds: Vec<Kind>,
    /// Pieces of the run, in order.
    pub windows: Vec<Window>,
    /// What it took.
    pub resources: Resources,
    /// Answers that no right store gives: some of them, as text.
    pub wrong: Vec<String>,
    /// How many there were.
    pub wrong_count: u64,
}

/// How the load was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "loop")]
pub enum Mode {
    /// Operations begin when it is their time.
    Open {
        /// Operations a second.
        rate: f64,
        /// `fixed` or `poisson`.
        arrivals: String,
    },
    /// So many clients, each of which waits for its answer.
    Closed {
        /// How many.
        clients: usize,
    },
}

/// One kind of operation in a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kind {
    /// `all`, or as workloads name it.
    pub name: String,
    /// From when it was to begin. In a closed loop the same as the service time.
    pub latency: Latencies,
    /// From when it did begin.
    pub service: Latencies,
    /// How many failed, by kind of error.
    pub errors: BTreeMap<String, u64>,
}

/// A distribution of times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// 50 in 100 took no longer.
    pub p50: u64,
    /// 90 in 100.
    pub p90: u64,
    /// 99 in 100.
    pub p99: u64,
    /// 999 in 1,000.
    pub p999: u64,
    /// The longest.
    pub max: u64,
    /// Percentile (0 to 100) and time, rising: enough points to draw it.
    pub curve: Vec<(f64, u64)>,
}

/// A piece of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// When it began, in seconds of the measured time.
    pub at: f64,
    /// How long it was, in seconds.
    pub seconds: f64,
    /// Operations that were answered in it.
    pub operations: u64,
    /// Errors in it.
    pub errors: u64,
    /// How long those took, from when they were to begin: each time, and how many. Three
    /// significant digits.
    pub times: Vec<(u64, u32)>,
}

/// What a run took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time of this process, user and system, per operation.
    pub cpu_per_operation: f64,
    /// How many processors that kept busy.
    pub processors_busy: f64,
    /// Resident memory at its highest, since the process began.
    pub rss_peak: u64,
    /// Resident memory at the end.
    pub rss: u64,
    /// What this process handed to the disk.
    pub disk_written: Option<u64>,
    /// What the store takes on the disk of this machine at the end.
    pub disk_size: Option<u64>,
    /// How often the store has made durable what was written, where it counts that: with
    /// power-durable acknowledgements, its waits for the disk.
    #[serde(default)]
    pub barriers: Option<u64>,
    /// Bytes of keys and values that were written.
    pub user_written: u64,
}

impl Resources {
    /// Bytes on the disk for each byte written, where that is known.
    #[must_use]
    pub fn write_amplification(&self) -> Option<f64> {
        let written = self.disk_written?;
        (self.user_written > 0).then(|| written as f64 / self.user_written as f64)
    }
}

/// One store against another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The subject that is the measure.
    pub base: usize,
    /// The subject that is measured by it.
    pub other: usize,
    /// Promises of the two that are not the same: it is no contest among equals.
    pub unequal: Vec<String>,
    /// What was compared.
    pub metrics: Vec<Metric>,
    /// Runs that were left out, and why.
    pub left_out: Vec<String>,
}

/// One figure of two stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Metric {
    /// `throughput`, `p50`, `p99` or `p999`.
    pub name: String,
    /// Of the measure: operations a second, or nanoseconds.
    pub base: f64,
    /// Of the other.
    pub other: f64,
    /// `other / base`.
    pub ratio: f64,
    /// Where the true ratio lies in 95 of 100 cases, as [`crate::stats`] has it.
    pub interval: (f64, f64),
    /// How likely chance alone would be as far from 1, corrected for the number of metrics.
    pub p: f64,
    /// What follows.
    pub verdict: Verdict,
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The other one is better.
    Faster,
    /// The other one is worse.
    Slower,
    /// No difference was shown: there may be a small one.
    NoDifference,
}
