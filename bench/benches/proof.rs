//! Whether the tool can be trusted, shown on stores of which the truth is known.
//!
//! * **idle**: a subject that does nothing, at 200,000 operations a second in an open loop. The
//!   schedule must be kept.
//! * **stall**: a store that does nothing for the first 100 ms of each second. That must show in
//!   the latencies' p99.9.
//! * **same**: 40 comparisons of a store with one like it. At most 5 may find a difference.
//! * **slower**: 20 comparisons of a store with one of which each operation works for 1.1 ms and
//!   not for 1.0, so that what the way to the store takes is little beside it. At least 18 must
//!   find it.
//!
//! `cargo bench -p pinstate-bench --bench proof [-- idle|stall|same|slower]` (ten minutes)

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use pinstate_bench::outcome::{Report, Run, Verdict};
use pinstate_bench::stats::Options;
use pinstate_bench::{Arrivals, Contest, Load, Loop, Pins, Session, Subject, Workload};
use pinstate_core::transfer::StopFlag;
use support::{Idle, Odd, memory};

fn workload(text: &str) -> Workload {
    let head = "about = \"\"\nrate = 1\nclients = 1\n";
    Workload::parse("proof", &format!("{head}{text}")).unwrap()
}

fn open(rate: f64, measured: Duration) -> Load {
    let mut load = Load::new(Loop::Open { rate, arrivals: Arrivals::Poisson });
    load.warmup = Duration::from_millis(500);
    load.window = Duration::from_millis(50);
    load.measured = measured;
    load
}

async fn run(subject: Arc<dyn Subject>, workload: &Workload, load: &Load) -> Run {
    let stop = StopFlag::new();
    let mut session = Session::begin(subject, workload, 1, &stop).await.unwrap();
    session.run(load, 0, 1, &stop).await.unwrap()
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

async fn idle() {
    let load = open(200_000.0, Duration::from_secs(10));
    let workload = workload("preload = 1\nmix = { get = 1 }");
    let pin = Pins::new(1, workload.pins).pin(0, 0);
    let run = run(Arc::new(Idle(Some(pin))), &workload, &load).await;
    assert_eq!(run.wrong_count, 0);
    let latency = &run.kinds[0].latency;
    println!(
        "idle: {:.0} of 200,000 operations a second, {}; p50 {:.0} µs, p99 {:.0} µs; {:.2} \
         processors, {:.2} µs an operation; {} MiB resident",
        run.throughput,
        run.saturated.as_deref().unwrap_or("its schedule kept"),
        micros(latency.p50),
        micros(latency.p99),
        run.resources.processors_busy,
        run.resources.cpu_per_operation / 1_000.0,
        run.resources.rss_peak >> 20,
    );
}

async fn stall() {
    let load = open(2_000.0, Duration::from_secs(10));
    let store = memory("stalls", Odd::Stalls(Duration::from_millis(100))).await;
    let run = run(store, &workload("preload = 1_000\nmix = { get = 1 }"), &load).await;
    let kind = &run.kinds[0];
    println!(
        "stall: latency p50 {:.2} ms, p99.9 {:.1} ms; service time p99.9 {:.1} ms; {}",
        micros(kind.latency.p50) / 1e3,
        micros(kind.latency.p999) / 1e3,
        micros(kind.service.p999) / 1e3,
        run.saturated.as_deref().unwrap_or("its schedule kept"),
    );
}

async fn contest(seed: u64, one: Odd, two: Odd, rate: f64) -> Report {
    let workload = workload("preload = 2_000\nkeys = \"zipfian\"\nmix = { get = 8, replace = 2 }");
    let stop = StopFlag::new();
    let mut sessions = Vec::new();
    for (name, odd) in [("one", one), ("two", two)] {
        let subject = memory(name, odd).await;
        sessions.push(Session::begin(subject, &workload, seed, &stop).await.unwrap());
    }
    let load = open(rate, Duration::from_millis(1_000));
    let options = Options::default();
    let contest = Contest { workload: &workload, load, rounds: 5, seed, options };
    contest.run(&mut sessions, &stop, |_| {}).await.unwrap()
}

/// The figures that a comparison called different.
fn differing(report: &Report, verdict: Option<Verdict>) -> Vec<String> {
    let metrics = report.comparisons[0].metrics.iter();
    let wanted = |found: Verdict| match verdict {
        Some(verdict) => found == verdict,
        None => found != Verdict::NoDifference,
    };
    metrics.filter(|m| wanted(m.verdict)).map(|m| format!("{} {:.2}", m.name, m.ratio)).collect()
}

async fn same() {
    let mut found = Vec::new();
    for seed in 0..40 {
        let report = contest(seed, Odd::No, Odd::No, 2_000.0).await;
        let differing = differing(&report, None);
        assert!(!report.comparisons[0].metrics.is_empty(), "nothing was compared");
        if !differing.is_empty() {
            found.push(differing.join(", "));
        }
    }
    println!("same: {} of 40 found a difference: {found:?}", found.len());
}

async fn slower() {
    let slow = |micros| Odd::Slower(Duration::from_micros(micros));
    let mut found = 0;
    let mut ratios = Vec::new();
    for seed in 0..20 {
        let report = contest(100 + seed, slow(1_000), slow(1_100), 200.0).await;
        found += usize::from(!differing(&report, Some(Verdict::Slower)).is_empty());
        let p50 = report.comparisons[0].metrics.iter().find(|m| m.name == "p50");
        ratios.push(p50.map_or(0.0, |m| m.ratio));
    }
    ratios.sort_by(f64::total_cmp);
    println!("slower: {found} of 20 found it; p50 {:.3} to {:.3} times", ratios[0], ratios[19]);
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let all = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    if all("idle") {
        idle().await;
    }
    if all("stall") {
        stall().await;
    }
    if all("same") {
        same().await;
    }
    if all("slower") {
        slower().await;
    }
}
