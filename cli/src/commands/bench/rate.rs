//! `bench find-rate`.

use clap::Args;
use pinstate_bench::{Promise, find_rate};
use serde_json::json;

use super::load::{PaceArgs, WorkArgs, tell};
use super::stand::{Stand, name_of};
use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::session::Choice;
use crate::signal;

/// Search for the highest rate at which a store keeps a promise about its latency
///
/// Doubles the rate from --rate on until the promise is broken, and then halves the gap until
/// it is less than one in twenty.
///
///   pinstate bench find-rate --store sled:/tmp/try --slo 'p99<10ms' --duration 5s
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RateArgs {
    /// The promise: p50, p90, p99 or p999, and the time it must stay below
    #[arg(long, value_name = "PROMISE", default_value = "p99<10ms")]
    slo: Promise,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    work: WorkArgs,
}

pub(super) async fn find(global: &Global, args: RateArgs, out: Output) -> Outcome {
    let workload = args.work.workload()?;
    let load = args.work.load(&workload, &args.pace)?;
    let pinstate_bench::Loop::Open { rate: from, .. } = load.how else {
        return Err(Failure::usage("in a closed loop there is no rate to search for"));
    };
    if args.work.report.is_some() {
        return Err(Failure::usage(
            "a search has no report: make one of a run at the rate it finds",
        ));
    }
    let stop = signal::watch();
    let store = Choice::new(global)?.store_to_test()?;
    let name = name_of(&store);
    let stand = Stand::open(global, &store, args.work.keep, out).await?;
    let result = async {
        let mut session = stand.begin(&name, &workload, args.work.seed, &stop).await?;
        let seen = |_rate: f64, run: &_, kept: bool| {
            tell(&name, run, out);
            out.note(if kept { "kept" } else { "broken" });
        };
        Ok(find_rate(&mut session, &load, args.slo, from, &stop, seen).await?)
    };
    let result = result.await;
    let found = stand.close(result).await?;
    let wrong = found.runs.iter().any(|run| run.wrong_count > 0);
    let text = match (found.rate, found.broken_at) {
        (Some(rate), Some(broken)) => {
            format!(
                "{} is kept at {rate:.0} operations a second, and broken at {broken:.0}",
                args.slo
            )
        }
        (Some(rate), None) => format!("{} is kept at {rate:.0} operations a second", args.slo),
        (None, _) => format!("{} is kept at no rate that was tried", args.slo),
    };
    let json = json!({
        "slo": args.slo.to_string(), "rate": found.rate, "broken_at": found.broken_at,
        "runs": found.runs.len(),
    });
    out.result(text, &json)?;
    Ok(if wrong || found.rate.is_none() { Exit::Failed } else { Exit::Done })
}
