//! `bench run`.

use clap::Args;
use pinstate_bench::Contest;
use pinstate_bench::outcome::Report;
use pinstate_bench::report;
use pinstate_core::Operation;

use super::levels::Levels;
use super::load::{PaceArgs, WorkArgs, tell};
use super::stand::{Stand, name_of};
use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::observe::MetricsArgs;
use crate::output::Output;
use crate::session::Choice;
use crate::signal;

/// Put one store under load, and say how it bore it
///
/// Exit code 1 if the store gave an answer that no right store gives.
///
///   pinstate bench run --store sled:/tmp/try --workload churn --rate 500 --report /tmp/report
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
}

pub(super) async fn run(global: &Global, args: RunArgs, out: Output) -> Outcome {
    let workload = args.work.workload()?;
    let levels = Levels::read(&args.work)?;
    args.work.prepare_report()?;
    let load = args.work.load(&workload, &args.pace)?;
    let _metrics = args.metrics.serve(global, out).await?;
    let stop = signal::watch();
    let store = Choice::new(global)?.store_to_test()?;
    let name = name_of(&store);
    let stand = Stand::open(global, &store, args.work.keep, out).await?;
    let result = async {
        out.note(format_args!("{} pins are put there before", workload.preload));
        let session = stand.begin(&name, &workload, args.work.seed, &stop).await?;
        let contest = Contest {
            workload: &workload,
            load,
            rounds: 1,
            seed: args.work.seed,
            options: Default::default(),
        };
        Ok(contest.run(&mut [session], &stop, |run| tell(&name, run, out)).await?)
    };
    let result = result.await;
    let told = levels.add(stand.close(result).await?);
    conclude(&told, &args.work, out)
}

/// Writes the report where that was asked for, prints it, and says whether it is a good one.
pub(super) fn conclude(told: &Report, work: &WorkArgs, out: Output) -> Outcome {
    if let Some(folder) = &work.report {
        let written = report::write(told, folder).map_err(|error| {
            let what = format!("the report in {} cannot be written", folder.display());
            Failure::file(Operation::Bench, what, error)
        })?;
        out.note(format_args!("the report is {}", written.page.display()));
    }
    // Histograms are for files.
    let mut json = told.clone();
    for run in &mut json.runs {
        run.windows.clear();
        run.kinds.iter_mut().for_each(|kind| {
            kind.latency.curve.clear();
            kind.service.curve.clear();
        });
    }
    out.result(report::table(told).trim_end(), &json)?;
    let wrong = told.runs.iter().any(|run| run.wrong_count > 0);
    Ok(if wrong { Exit::Failed } else { Exit::Done })
}
