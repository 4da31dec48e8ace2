//! What the command line says about a load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use pinstate_bench::outcome::{Mode, Run};
use pinstate_bench::{Arrivals, BadWorkload, Load, Loop, Workload};
use pinstate_core::Operation;

use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::{duration, report};

/// Options of every benchmark.
#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// What is done: the name of a workload ('pinstate bench list') or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "status-read")]
    pub(super) workload: String,
    /// Pins that are there before, instead of what the workload says
    #[arg(long, value_name = "N")]
    preload: Option<u64>,
    /// How the times of operations are spread
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    arrivals: Spread,
    /// How long a run is measured
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    duration: Duration,
    /// The longest that a run goes on before it is measured
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    warmup: Duration,
    /// Most operations of a run, those before it is measured included
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    operations: Option<u64>,
    /// Most operations under way at the same time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    in_flight: usize,
    /// What all operations follow from: the same seed repeats them
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Folder to write bench.json, bench.html and histogram logs into
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// A result.json of the conformance suite: the levels that it shows stand beside the stores
    /// of its backend; may be given several times
    #[cfg(feature = "conformance")]
    #[arg(long, value_name = "FILE")]
    pub(super) conformance: Vec<PathBuf>,
    /// Leave the benchmark's namespace, with its pins
    #[arg(long)]
    pub(super) keep: bool,
}

/// How fast operations are given.
#[derive(Debug, Args)]
pub(crate) struct PaceArgs {
    /// Operations a second, instead of what the workload says
    #[arg(long, value_name = "N", conflicts_with = "closed")]
    rate: Option<f64>,
    /// So many clients instead, each of which begins the next operation when the last one has
    /// ended: shows the most that a store can do, and hides how long anybody waits
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "0")]
    closed: Option<usize>,
}

/// How the times of operations are spread.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Spread {
    /// As those of many who know nothing of each other
    #[default]
    Poisson,
    /// Evenly
    Fixed,
}

impl From<Spread> for Arrivals {
    fn from(spread: Spread) -> Self {
        match spread {
            Spread::Poisson => Self::Poisson,
            Spread::Fixed => Self::Fixed,
        }
    }
}

pub(super) fn bad(error: BadWorkload) -> Failure {
    Failure::usage(error.to_string())
}

impl WorkArgs {
    /// Sees to it that a report can be written, if there is to be one.
    pub(super) fn prepare_report(&self) -> Outcome<()> {
        report::prepare(self.report.as_deref(), Operation::Bench)
    }

    /// The workload, as the command line wants it.
    pub(super) fn workload(&self) -> Outcome<Workload> {
        let path = Path::new(&self.workload);
        let mut workload = if path.extension().is_some() || path.components().count() > 1 {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let what = format!("the workload {} cannot be read", path.display());
                Failure::file(Operation::Bench, what, error)
            })?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let unfit = |error| Failure::usage(format!("{}: {error}", path.display()));
            Workload::parse(&name, &text).map_err(unfit)?
        } else {
            Workload::preset(&self.workload).map_err(bad)?
        };
        if let Some(preload) = self.preload {
            workload.preload = preload;
        }
        workload.check().map_err(Failure::usage)?;
        Ok(workload)
    }

    /// The load of one run at a pace.
    pub(super) fn load(&self, workload: &Workload, pace: &PaceArgs) -> Outcome<Load> {
        let rate = pace.rate.unwrap_or(workload.rate);
        if !(rate > 0.0 && rate <= 10_000_000.0) {
            return Err(Failure::usage("--rate is more than 0 and at most 10,000,000 a second"));
        }
        let how = match pace.closed {
            None => Loop::Open { rate, arrivals: self.arrivals.into() },
            Some(0) => Loop::Closed { clients: workload.clients },
            Some(clients) => Loop::Closed { clients },
        };
        let mut load = Load::new(how);
        if self.duration < Duration::from_millis(100) {
            return Err(Failure::usage("--duration is 100ms at least"));
        }
        load.measured = self.duration;
        load.warmup = self.warmup;
        load.in_flight = self.in_flight.max(1);
        load.operations = self.operations.unwrap_or(u64::MAX);
        // Sixty windows, none so short that nothing ends in it.
        load.window = (self.duration / 60).clamp(Duration::from_millis(20), Duration::from_secs(1));
        Ok(load)
    }
}

/// Tells of a run that has ended.
pub(super) fn tell(name: &str, run: &Run, out: Output) {
    let Some(all) = run.kinds.first() else { return };
    let time = |nanos: u64| format!("{:.2} ms", nanos as f64 / 1e6);
    let mode = match run.mode {
        Mode::Open { .. } => "",
        Mode::Closed { .. } => ", closed loop",
    };
    let mut line = format!(
        "round {}, {name}: {:.0} operations a second, p50 {}, p99 {}{mode}",
        run.round,
        run.throughput,
        time(all.latency.p50),
        time(all.latency.p99),
    );
    if let Some(why) = &run.saturated {
        line.push_str(&format!("; SATURATED: {why}"));
    }
    if run.wrong_count > 0 {
        line.push_str(&format!("; {} WRONG ANSWERS", run.wrong_count));
    }
    out.note(line);
}
