//! `mirror`: moving a pinset from one store to another while it is written to.

mod start;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use pinstate_core::ErrorKind;
use pinstate_migrate::mirror::{Answer, Request, Status, ask};

use crate::args::Global;
use crate::duration;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// Moving a pinset to another store while it is written to.
///
/// The mirror runs in the process that writes: a service that has the library inside, or
/// 'mirror start'. The other commands tell it what to do, through a socket in the job's folder.
#[derive(Debug, Subcommand)]
pub(crate) enum MirrorCommand {
    Start(start::StartArgs),
    /// Say how far it is
    Status(Job),
    /// Do what the phase is there for, and enter the next: mirror, backfill, verify, shadow
    Advance(AdvanceArgs),
    /// Set how many reads are made on both stores and compared
    Shadow(ShadowArgs),
    /// Make the target the store that answers
    Cutover(FlipArgs),
    /// Make the source the store that answers again, with all that was written since
    Rollback(FlipArgs),
    /// Leave the source for good
    Finalise(FinaliseArgs),
    /// Give it up: the source alone is left, with all that was written
    Abort(FlipArgs),
}

/// Which mirror.
#[derive(Debug, Args)]
pub(crate) struct Job {
    /// The job's folder
    #[arg(long, value_name = "DIR")]
    job: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AdvanceArgs {
    #[command(flatten)]
    job: Job,
    /// Go on until cut-over is the next step
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShadowArgs {
    #[command(flatten)]
    job: Job,
    /// Of every hundred reads, how many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: u8,
}

#[derive(Debug, Args)]
pub(crate) struct FlipArgs {
    #[command(flatten)]
    job: Job,
    /// How long writes may be held. What does not fit into it changes nothing
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration::parse)]
    budget: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct FinaliseArgs {
    #[command(flatten)]
    job: Job,
    /// Keep the hidden markers of deletes in the target
    #[arg(long)]
    keep_markers: bool,
}

pub(crate) async fn run(global: &Global, command: MirrorCommand, out: Output) -> Outcome {
    let (job, request) = match command {
        MirrorCommand::Start(args) => return start::run(global, args, out).await,
        MirrorCommand::Advance(args) if args.all => return advance_all(&args.job.job, out).await,
        MirrorCommand::Status(job) => (job, Request::Status),
        MirrorCommand::Advance(args) => (args.job, Request::Advance),
        MirrorCommand::Shadow(args) => (args.job, Request::Shadow { percent: args.percent }),
        MirrorCommand::Cutover(args) => (args.job, Request::Cutover { budget_ms: ms(args.budget) }),
        MirrorCommand::Rollback(args) => {
            (args.job, Request::Rollback { budget_ms: ms(args.budget) })
        }
        MirrorCommand::Finalise(args) => {
            (args.job, Request::Finalise { keep_markers: args.keep_markers })
        }
        MirrorCommand::Abort(args) => (args.job, Request::Abort { budget_ms: ms(args.budget) }),
    };
    let status = told(&job.job, &request).await?;
    out.result(text(&status), &status)?;
    Ok(Exit::Done)
}

async fn advance_all(job: &Path, out: Output) -> Outcome {
    let mut status = told(job, &Request::Status).await?;
    loop {
        out.result(text(&status), &status)?;
        if status.phase.name() == "shadow" {
            return Ok(Exit::Done);
        }
        status = told(job, &Request::Advance).await?;
    }
}

/// What the mirror says after it has done what was asked.
async fn told(job: &Path, request: &Request) -> Outcome<Status> {
    let hint = "'pinstate mirror start' runs one, or the service that has it inside";
    let answer = ask(job, request).await.map_err(|error| {
        let none = error.kind() == ErrorKind::Unavailable;
        let failure = Failure::from(error);
        if none { failure.with_hint(hint) } else { failure }
    })?;
    match answer {
        Answer::Done(status) => Ok(*status),
        Answer::Failed { error, status } => {
            let hint = format!("the mirror is in the phase '{}'", status.phase);
            Err(Failure::from(error.into_error()).with_hint(hint))
        }
        // A newer mirror than this program.
        _ => Err(Failure::usage("the mirror answers what this version does not understand")),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A status for people.
fn text(status: &Status) -> String {
    let mut text =
        format!("{}  the {} answers; step {}", status.phase, status.primary, status.epoch);
    let mut fact = |name: &str, value: String| text.push_str(&format!("\n  {name:<12} {value}"));
    if status.backfill_parts > 0 {
        fact(
            "backfill",
            format!(
                "{} of {} parts, {} records",
                status.backfill_parts_done, status.backfill_parts, status.copied
            ),
        );
    }
    if status.compared > 0 || status.different > 0 {
        fact("compared", format!("{} records, {} differed", status.compared, status.different));
    }
    fact("journal", format!("{} keys, {} repaired", status.journal_keys, status.repaired));
    if status.shadow_compared > 0 {
        fact(
            "shadow",
            format!(
                "{} reads compared ({} of 100), {} differed, {} failed",
                status.shadow_compared,
                status.shadow_percent,
                status.shadow_different,
                status.shadow_failed
            ),
        );
    }
    if let Some(us) = status.last_pause_us {
        fact("pause", format!("writes were held {:.1} ms", us as f64 / 1_000.0));
    }
    if let Some(why) = &status.secondary_down {
        fact("secondary", format!("left alone for now: {why}"));
    }
    if let Some(why) = &status.last_failure {
        fact("repair", format!("last failed: {why}"));
    }
    text
}
