//! `compare`.

use std::str::FromStr;

use clap::Args;
use pinstate_bench::Contest;
use pinstate_bench::outcome::{Comparison, Metric, Report, Run, Verdict};
use pinstate_bench::stats::Options;

use super::levels::Levels;
use super::load::{PaceArgs, WorkArgs, tell};
use super::run::conclude;
use super::stand::{Stand, name_of};
use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::observe::MetricsArgs;
use crate::output::Output;
use crate::signal;

/// Compare stores under the same load: which is faster, and how sure is that?
///
/// The stores take turns, in an order drawn anew for each round. Each is compared with the first
/// one. A difference counts if it is larger than --effect and chance is an unlikely reason.
/// Promises that differ, such as what survives a loss of power, are named beside the figures.
///
/// Exit code 1 if a store gave a wrong answer, or if --fail-if is met.
///
///   pinstate compare sled:/tmp/a scylla://node1/pins --workload status-read --report /tmp/report
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompareArgs {
    /// The stores, by URI or by their names in the configuration; the first is the measure
    #[arg(value_name = "NAME|URI", num_args = 2.., required = true)]
    stores: Vec<String>,
    /// How often each store has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    rounds: u16,
    /// Differences that are smaller do not matter, in parts of a hundred
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    effect: f64,
    /// Fail if a store is so much worse than the first one, such as 'p99>+10%' or
    /// 'throughput<-5%'; may be given several times
    #[arg(long, value_name = "CONDITION")]
    fail_if: Vec<Condition>,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// Such as `p99>+10%`.
#[derive(Clone, Debug)]
struct Condition {
    text: String,
    metric: String,
    above: bool,
    ratio: f64,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{}' is no condition: write it like p99>+10%", text.escape_debug());
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (metric, rest) = text.split_at(at);
        let above = rest.starts_with('>');
        let percent =
            rest.get(1..).and_then(|rest| rest.trim().strip_suffix('%')).ok_or_else(wrong)?;
        let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
        let metric = metric.trim();
        if !["throughput", "p50", "p99", "p999"].contains(&metric) {
            return Err(format!("{}; there are throughput, p50, p99 and p999", wrong()));
        }
        let ratio = 1.0 + percent / 100.0;
        if !(ratio.is_finite() && ratio > 0.0) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), metric: metric.to_owned(), above, ratio })
    }
}

impl Condition {
    /// Whether it is met: beyond what was said, and more than chance.
    fn is_met(&self, metric: &Metric) -> bool {
        let beyond = if self.above { metric.ratio > self.ratio } else { metric.ratio < self.ratio };
        metric.name == self.metric && beyond && metric.verdict != Verdict::NoDifference
    }
}

pub(crate) async fn compare(global: &Global, args: CompareArgs, out: Output) -> Outcome {
    let workload = args.work.workload()?;
    let levels = Levels::read(&args.work)?;
    args.work.prepare_report()?;
    let load = args.work.load(&workload, &args.pace)?;
    if !(args.effect >= 0.0 && args.effect < 100.0) {
        return Err(Failure::usage("--effect is 0 to less than 100"));
    }
    let names = names(&args.stores);
    let _metrics = args.metrics.serve(global, out).await?;
    let stop = signal::watch();
    let mut stands = Vec::new();
    let mut result = async {
        let mut sessions = Vec::new();
        for (store, name) in args.stores.iter().zip(&names) {
            let stand = Stand::open(global, store, args.work.keep, out).await?;
            stands.push(stand);
            if let Some(stand) = stands.last() {
                out.note(format_args!("{} pins are put into {name}", workload.preload));
                sessions.push(stand.begin(name, &workload, args.work.seed, &stop).await?);
            }
        }
        let options = Options { effect: args.effect / 100.0, ..Options::default() };
        let contest = Contest {
            workload: &workload,
            load,
            rounds: usize::from(args.rounds),
            seed: args.work.seed,
            options,
        };
        let seen = |run: &Run| {
            tell(names.get(run.subject).map_or("", String::as_str), run, out);
        };
        Ok(contest.run(&mut sessions, &stop, seen).await?)
    }
    .await;
    for stand in stands {
        result = stand.close(result).await;
    }
    let report = levels.add(result?);
    let exit = conclude(&report, &args.work, out)?;
    Ok(if failed(&args.fail_if, &report, out) { Exit::Failed } else { exit })
}

/// What the stores are called: the same one twice is told apart.
fn names(stores: &[String]) -> Vec<String> {
    let name = |(at, store): (usize, &String)| {
        let before = stores.iter().take(at).filter(|other| *other == store).count();
        match before {
            0 => name_of(store),
            n => format!("{} ({})", name_of(store), n + 1),
        }
    };
    stores.iter().enumerate().map(name).collect()
}

/// Whether a condition is met, or cannot be looked at; tells which.
fn failed(conditions: &[Condition], report: &Report, out: Output) -> bool {
    let mut failed = false;
    for condition in conditions {
        for Comparison { other, metrics, .. } in &report.comparisons {
            let name = report.subjects.get(*other).map_or("", |setup| setup.name.as_str());
            match metrics.iter().find(|metric| metric.name == condition.metric) {
                Some(metric) if condition.is_met(metric) => {
                    let text = &condition.text;
                    out.note(format_args!("{text}: {name} has {:.2} times as much", metric.ratio));
                    failed = true;
                }
                Some(_) => {}
                None => {
                    out.note(format_args!("{}: there is no such figure of {name}", condition.text));
                    failed = true;
                }
            }
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(ratio: f64, verdict: Verdict) -> Metric {
        let (interval, name) = ((ratio * 0.9, ratio * 1.1), "p99".to_owned());
        Metric { name, base: 1.0, other: ratio, ratio, interval, p: 0.01, verdict }
    }

    #[test]
    fn a_condition_is_met_beyond_what_it_says_and_beyond_chance() {
        let above: Condition = "p99 > +10%".parse().unwrap();
        assert!(above.is_met(&metric(1.11, Verdict::Slower)));
        assert!(!above.is_met(&metric(1.09, Verdict::Slower)));
        assert!(!above.is_met(&metric(1.5, Verdict::NoDifference)));
        let below: Condition = "p99<-5%".parse().unwrap();
        assert!(below.is_met(&metric(0.94, Verdict::Faster)));
        assert!(!below.is_met(&metric(1.5, Verdict::Slower)));
        let other: Condition = "p50>+10%".parse().unwrap();
        assert!(!other.is_met(&metric(1.5, Verdict::Slower)));
        for text in ["", "p99", "p99>", "p99>10", "p99>x%", "p99<-100%", "p98>1%", "p99=1%"] {
            let told = text.parse::<Condition>().unwrap_err();
            assert!(told.contains("p99>+10%"), "{told}");
        }
    }

    #[test]
    fn a_store_that_is_named_twice_is_told_apart() {
        let stores = ["memory:", "sled:x", "memory:"].map(str::to_owned);
        assert_eq!(names(&stores), ["memory:", "sled:x", "memory: (2)"]);
    }
}
