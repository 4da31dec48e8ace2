//! What the runs of one store come to.
//!
//! A figure is the median of that figure in its runs. Latencies come from the runs that kept
//! their rate alone: those of a saturated run tell how long it was. What such a run did and
//! took is still true, and is told where there is no other.

use std::collections::BTreeMap;

use super::units;
use crate::outcome::{Comparison, Kind, Latencies, Metric, Mode, Report, Run, Setup, Verdict};

/// All operations together, as runs name them.
pub(super) const ALL: &str = "all";

/// A store with its runs.
#[derive(Debug)]
pub(super) struct Figures<'a> {
    /// Its place among the subjects.
    pub(super) place: usize,
    pub(super) setup: &'a Setup,
    /// In the order they were made.
    pub(super) runs: Vec<&'a Run>,
}

impl<'a> Figures<'a> {
    /// Each subject of a report.
    pub(super) fn of(report: &'a Report) -> Vec<Self> {
        let own = |place| report.runs.iter().filter(move |run| run.subject == place);
        let subjects = report.subjects.iter().enumerate();
        subjects.map(|(place, setup)| Self { place, setup, runs: own(place).collect() }).collect()
    }

    /// The runs that kept their rate.
    pub(super) fn sound(&self) -> Vec<&'a Run> {
        self.runs.iter().copied().filter(|run| run.saturated.is_none()).collect()
    }

    /// The runs that did not.
    pub(super) fn saturated(&self) -> Vec<&'a Run> {
        self.runs.iter().copied().filter(|run| run.saturated.is_some()).collect()
    }

    /// `None` where nothing is wrong with its rate.
    pub(super) fn saturation(&self) -> Option<String> {
        match (self.saturated().len(), self.runs.len()) {
            (0, _) => None,
            (1, 1) => Some("SATURATED".to_owned()),
            (some, all) if some == all => Some(format!("SATURATED in all {all} runs")),
            (some, all) => Some(format!("SATURATED in {some} of {all} runs")),
        }
    }

    /// The median of what its runs say.
    pub(super) fn median(&self, figure: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        let sound = self.sound();
        let runs = if sound.is_empty() { &self.runs } else { &sound };
        median(runs.iter().filter_map(|run| figure(run)).collect())
    }

    /// The median of a latency of one kind of operation; `None` where no run kept its rate.
    pub(super) fn latency(&self, name: &str, figure: fn(&Latencies) -> u64) -> Option<f64> {
        let latency = |run: &&Run| kind(run, name).map(|kind| figure(&kind.latency) as f64);
        median(self.sound().iter().filter_map(latency).collect())
    }

    /// How many operations of one kind failed in all runs, by kind of error.
    pub(super) fn errors(&self, name: &str) -> BTreeMap<&'a str, u64> {
        let mut errors = BTreeMap::new();
        for kind in self.runs.iter().filter_map(|run| kind(run, name)) {
            for (error, count) in &kind.errors {
                *errors.entry(error.as_str()).or_default() += count;
            }
        }
        errors
    }

    /// How many operations of one kind were answered in all runs.
    pub(super) fn answered(&self, name: &str) -> u64 {
        self.runs.iter().filter_map(|run| kind(run, name)).map(|kind| kind.latency.count).sum()
    }

    /// How many wrong answers it gave.
    pub(super) fn wrong(&self) -> u64 {
        self.runs.iter().map(|run| run.wrong_count).sum()
    }
}

fn kind<'a>(run: &'a Run, name: &str) -> Option<&'a Kind> {
    run.kinds.iter().find(|kind| kind.name == name)
}

/// The one in the middle, or what lies between the two there.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle - 1)?, upper))
}

/// The name of a subject.
pub(super) fn name(report: &Report, subject: usize) -> &str {
    report.subjects.get(subject).map_or("?", |setup| setup.name.as_str())
}

/// How the load was given, in words.
pub(super) fn mode(mode: &Mode) -> String {
    match mode {
        Mode::Open { rate, arrivals } => {
            format!("open loop at {}, {arrivals} arrivals", units::rate(*rate))
        }
        Mode::Closed { clients: 1 } => "closed loop of 1 client".to_owned(),
        Mode::Closed { clients } => format!("closed loop of {clients} clients"),
    }
}

/// What a metric is called.
pub(super) fn title(metric: &Metric) -> &str {
    match metric.name.as_str() {
        "p999" => "p99.9",
        name => name,
    }
}

/// Both figures of a metric, with their unit.
pub(super) fn values(metric: &Metric) -> (String, String) {
    let unit = if metric.name == "throughput" { units::rate } else { units::time };
    (unit(metric.base), unit(metric.other))
}

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::NoDifference => "no difference shown",
    }
}

/// Those of the two that answered wrongly.
pub(super) fn failed<'a>(report: &'a Report, comparison: &Comparison) -> Vec<&'a str> {
    let wrong = |subject: &usize| {
        report.runs.iter().any(|run| run.subject == *subject && run.wrong_count > 0)
    };
    let both = [comparison.base, comparison.other].into_iter().filter(wrong);
    both.map(|subject| name(report, subject)).collect()
}

/// What a comparison comes to, as the end of a sentence that begins with a name.
pub(super) fn headline(report: &Report, comparison: &Comparison) -> String {
    let base = name(report, comparison.base);
    let with = |verdict| -> Vec<&str> {
        let metrics = comparison.metrics.iter();
        metrics.filter(|metric| metric.verdict == verdict).map(title).collect()
    };
    let (faster, slower) = (with(Verdict::Faster), with(Verdict::Slower));
    let same = with(Verdict::NoDifference);
    let rest = match same.len() {
        0 => String::new(),
        _ => format!("; no difference was shown in {}", units::list(&same)),
    };
    match (faster.as_slice(), slower.as_slice()) {
        ([], []) if same.is_empty() => format!("could not be compared with {base}"),
        ([], []) => format!("and {base}: no difference was shown"),
        (faster, []) => format!("is faster than {base} in {}{rest}", units::list(faster)),
        ([], slower) => format!("is slower than {base} in {}{rest}", units::list(slower)),
        (faster, slower) => format!(
            "is faster than {base} in {}, and slower in {}{rest}",
            units::list(faster),
            units::list(slower)
        ),
    }
}
