//! Reports as benchmarks make them, from a seed.

use std::collections::BTreeMap;

use fastrand::Rng;
use hdrhistogram::Histogram;
use pinstate_bench::outcome::{
    Comparison, Described, Environment, Kind, Latencies, Metric, Mode, Report, Resources, Run,
    SCHEMA, Setup, Verdict, Window,
};

pub(crate) const HOSTILE: &str = "<script>alert(\"sled\")</script>";
const WINDOWS: usize = 12;
const SECONDS: f64 = 2.5;
const RATE: f64 = 800.0;
const KINDS: [(&str, f64); 3] = [("get", 0.6), ("put", 0.35), ("delete", 0.05)];

/// How fast a made-up store is.
struct Speed {
    /// Nanoseconds that half of its operations do not exceed.
    middle: f64,
    /// How wide the rest spreads: a factor.
    spread: f64,
    /// The part of its operations that meet a stall, and how long one is.
    stalls: (f64, f64),
}

const SPEEDS: [Speed; 3] = [
    Speed { middle: 9e3, spread: 1.25, stalls: (0.0005, 9e5) },
    Speed { middle: 4e4, spread: 1.6, stalls: (0.004, 2.4e7) },
    Speed { middle: 9e5, spread: 1.35, stalls: (0.008, 1.1e7) },
];

fn setup(place: usize) -> Setup {
    let (name, backend, location, durability, consistency) = match place {
        0 => ("memory", "memory", "this process", "none: gone with the process", "linearizable"),
        1 => (HOSTILE, "sled", "/tmp/<b>&\"pins\"", "each write is on the disk", "linearizable"),
        _ => ("scylla", "cql", "127.0.0.1:9042/pins", "two of three nodes", "quorum reads"),
    };
    let mut details = BTreeMap::new();
    if place == 1 {
        details.insert("cache".to_owned(), "64 MiB".to_owned());
    }
    if place != 0 {
        details.insert("conformance".to_owned(), "core, durable".to_owned());
    }
    Setup {
        name: name.to_owned(),
        backend: backend.to_owned(),
        location: location.to_owned(),
        durability: durability.to_owned(),
        consistency: consistency.to_owned(),
        details,
    }
}

/// Something near a normal distribution around 0.
fn bell(rng: &mut Rng) -> f64 {
    (0..6).map(|_| rng.f64()).sum::<f64>() * 2.0 - 6.0
}

fn latencies(histogram: &Histogram<u64>) -> Latencies {
    let at = |quantile| histogram.value_at_quantile(quantile);
    let point = |value: hdrhistogram::iterators::IterationValue<u64>| {
        (value.quantile_iterated_to() * 100.0, value.value_iterated_to())
    };
    Latencies {
        count: histogram.len(),
        mean: histogram.mean(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: histogram.max(),
        curve: histogram.iter_quantiles(5).map(point).collect(),
    }
}

fn run(rng: &mut Rng, subject: usize, round: usize, saturated: bool) -> Run {
    let speed = &SPEEDS[subject];
    let mut kinds = vec![Histogram::<u64>::new(3).unwrap(); KINDS.len() + 1];
    let mut windows = Vec::new();
    let round_factor = 1.0 + bell(rng) * 0.02;
    for window in 0..WINDOWS {
        let part = if saturated { 0.62 } else { 1.0 + bell(rng) * 0.004 };
        let operations = (RATE * SECONDS * part) as u64;
        let mut times = Histogram::<u64>::new(3).unwrap();
        // Now and then the whole store is slow for a while.
        let weather = if rng.f64() < 0.1 { 1.8 } else { 1.0 };
        for operation in 0..operations {
            let mut draw = rng.f64();
            let (kind, _) = KINDS
                .iter()
                .enumerate()
                .find(|(_, (_, part))| {
                    draw -= part;
                    draw < 0.0
                })
                .unwrap_or((0, &KINDS[0]));
            let slower = if kind == 0 { 1.0 } else { 1.7 };
            let mut time =
                speed.middle * slower * weather * round_factor * speed.spread.powf(bell(rng));
            if rng.f64() < speed.stalls.0 {
                time += speed.stalls.1 * (0.3 + rng.f64());
            }
            if saturated {
                let at = window as f64 + operation as f64 / operations as f64;
                time += at * SECONDS * 0.38 * 1e9;
            }
            for histogram in [&mut times, &mut kinds[0]] {
                histogram.record(time as u64).unwrap();
            }
            kinds[kind + 1].record(time as u64).unwrap();
        }
        windows.push(Window {
            at: window as f64 * SECONDS,
            seconds: SECONDS,
            operations,
            errors: 0,
            times: times
                .iter_recorded()
                .map(|value| (value.value_iterated_to(), value.count_at_value() as u32))
                .collect(),
        });
    }
    let operations: u64 = windows.iter().map(|window| window.operations).sum();
    let seconds = WINDOWS as f64 * SECONDS;
    let errors = |name: &str| match (subject, round, name) {
        (2, 1, "all" | "get") => {
            BTreeMap::from([("timeout".to_owned(), 3), ("busy".to_owned(), 1)])
        }
        _ => BTreeMap::new(),
    };
    let names = ["all"].into_iter().chain(KINDS.map(|(name, _)| name));
    Run {
        subject,
        round,
        mode: Mode::Open { rate: RATE, arrivals: "poisson".to_owned() },
        warmup_seconds: 7.5,
        warm: (subject, round) != (0, 2),
        seconds,
        operations,
        throughput: operations as f64 / seconds,
        saturated: saturated.then(|| "the queue grew to 9,120 operations".to_owned()),
        kinds: names
            .zip(&kinds)
            .map(|(name, histogram)| Kind {
                name: name.to_owned(),
                latency: latencies(histogram),
                service: latencies(histogram),
                errors: errors(name),
            })
            .collect(),
        windows,
        resources: Resources {
            cpu_per_operation: speed.middle / 3.0,
            processors_busy: 0.1 + subject as f64 / 10.0,
            rss_peak: (90 + round as u64) << 20,
            rss: 80 << 20,
            disk_written: (subject == 1).then_some(31 << 20),
            disk_size: (subject == 1).then_some(12 << 20),
            barriers: (subject == 1).then_some(1_200),
            user_written: 9 << 20,
        },
        wrong: Vec::new(),
        wrong_count: 0,
    }
}

fn comparison(report: &Report, other: usize) -> Comparison {
    let figure = |subject: usize, name: &str| {
        let run = report.runs.iter().find(|run| run.subject == subject).unwrap();
        let all = &run.kinds[0].latency;
        match name {
            "throughput" => run.throughput,
            "p50" => all.p50 as f64,
            "p99" => all.p99 as f64,
            _ => all.p999 as f64,
        }
    };
    let metric = |name: &str| {
        let (base, other) = (figure(0, name), figure(other, name));
        let ratio = other / base;
        let verdict = match name {
            "throughput" => Verdict::NoDifference,
            _ if ratio > 1.0 => Verdict::Slower,
            _ => Verdict::Faster,
        };
        let interval = (ratio * 0.93, ratio * 1.09);
        Metric { name: name.to_owned(), base, other, ratio, interval, p: 0.003, verdict }
    };
    let (one, two) = (&report.subjects[0], &report.subjects[other]);
    let mut unequal =
        vec![format!("durability: \"{}\" and \"{}\"", one.durability, two.durability)];
    if one.consistency != two.consistency {
        unequal.push(format!("consistency: \"{}\" and \"{}\"", one.consistency, two.consistency));
    }
    Comparison {
        base: 0,
        other,
        unequal,
        metrics: ["throughput", "p50", "p99", "p999"].map(metric).to_vec(),
        left_out: Vec::new(),
    }
}

/// So many stores in so many rounds. With three stores the third is saturated in round 2, and
/// the second answers wrongly in round 3.
pub(crate) fn sample(subjects: usize, rounds: usize) -> Report {
    let mut rng = Rng::with_seed(7);
    let mut report = Report {
        schema: SCHEMA,
        version: "0.1.0".to_owned(),
        began: "2026-11-28T12:00:00Z".to_owned(),
        seconds: 612.4,
        seed: 42,
        workload: Described {
            name: "churn".to_owned(),
            about: "Pins come and go: what a busy cluster does all day.".to_owned(),
            toml: "name = \"churn\"\npreload = 10000\n\n[mix]\nget = 60\nput = 35\ndelete = 5\n"
                .to_owned(),
            hash: "b3:5f1d9c0e".to_owned(),
        },
        environment: Environment {
            processor: "AMD EPYC 7763".to_owned(),
            processors: 2,
            memory: 24 << 30,
            system: "Linux 6.12.9".to_owned(),
        },
        subjects: (0..subjects).map(setup).collect(),
        runs: Vec::new(),
        comparisons: Vec::new(),
    };
    for round in 1..=rounds {
        let mut order: Vec<usize> = (0..subjects).collect();
        rng.shuffle(&mut order);
        for subject in order {
            let saturated = (subject, round) == (2, 2);
            let mut run = run(&mut rng, subject, round, saturated);
            if (subjects, subject, round) == (3, 1, 3) {
                run.wrong =
                    vec!["get of k17 gave <b>nothing</b>, and it was put before".to_owned()];
                run.wrong_count = 4;
            }
            report.runs.push(run);
        }
    }
    // Without a run there is nothing to compare.
    for other in 1..if rounds > 0 { subjects } else { 0 } {
        let mut comparison = comparison(&report, other);
        if other == 2 {
            comparison.left_out.push("scylla in round 2: it was saturated".to_owned());
        }
        report.comparisons.push(comparison);
    }
    report
}
