//! `migrate`: moving a pinset to another store, so that it can be interrupted at any moment.

mod args;
mod ends;
mod into_file;
mod jobs;
mod tell;
mod watch;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use pinstate_core::{Error, ErrorKind, Operation};
use pinstate_migrate::job::{
    Job, Mode, Onlooker, Orders, Phase, Report, Tuning, certificate, plan,
};
use serde_json::json;

use self::args::{Place, Route, Speed, Told, Tuned};
use self::ends::{Opened, Wanted};
use self::into_file::IntoFile;
use crate::args::Global;
use crate::ends::Ends;
use crate::exit::{Exit, Failure, Outcome};
use crate::formats::ReadFormat;
use crate::observe::MetricsArgs;
use crate::output::Output;
use crate::session::{Access, reload_at_hangup};
use crate::signal;

/// How often the display is drawn anew.
const TICK: Duration = Duration::from_millis(500);

/// Move a pinset to another store.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Say what a job would do, by reading alone
    Plan(PlanArgs),
    Run(Box<RunArgs>),
    /// Say how far a job is; also while another process works on it
    Status(StatusArgs),
    /// Let whoever works on a job wait, until 'resume'
    Pause(OneJob),
    /// Let a job that was paused go on
    Resume(OneJob),
    /// Change how fast a job may work, also while it does
    Throttle(ThrottleArgs),
    Abort(AbortArgs),
    /// Try once more to move the pins that became dead letters
    RetryDead(Box<RetryArgs>),
    Certificate(CertificateArgs),
}

/// What a plan is about.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    route: Route,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    place: Place,
}

/// Move the pins; without --yes only say what would be done.
///
/// A job that was interrupted goes on when the same is run again. Exit codes: 0 moved and
/// verified; 3 moved, but for dead letters; 4 the target is not what it should be; 5
/// interrupted, run it again.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    route: Route,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    tuned: Tuned,
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Do it
    #[arg(long, short)]
    yes: bool,
}

/// Which jobs.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// Go on saying it until every job is over, or until interrupted
    #[arg(long)]
    watch: bool,
}

/// Which job.
#[derive(Debug, Args)]
pub(crate) struct OneJob {
    #[command(flatten)]
    place: Place,
}

/// How fast.
#[derive(Debug, Args)]
pub(crate) struct ThrottleArgs {
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    place: Place,
}

/// Give a job up. What it has copied into a namespace that was there stays.
///
/// Whoever works on it stops. Without such, --to is needed: the target must be told.
#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// The source of the job
    #[arg(long, value_name = "STORE|FILE|PEER", requires = "to", conflicts_with = "lost")]
    from: Option<String>,
    /// The target of the job
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
    /// The folder of this job is gone: give its target, which --to names, back to others
    #[arg(long, value_name = "JOB", requires = "to")]
    lost: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Which job, and where its ends are.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    route: Route,
    #[command(flatten)]
    speed: Speed,
    #[command(flatten)]
    place: Place,
}

/// Show what a job that is over can show: its certificate.
#[derive(Debug, Args)]
pub(crate) struct CertificateArgs {
    /// New file for it, as a page to look at in a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: MigrateCommand, out: Output) -> Outcome {
    match command {
        MigrateCommand::Plan(args) if args.told.to_format.is_some() => {
            IntoFile::new(&args.route, &args.told)?.plan(global, out).await
        }
        MigrateCommand::Run(args) if args.told.to_format.is_some() => {
            let into = IntoFile::new(&args.route, &args.told)?;
            if args.yes { into.run(global, &args, out).await } else { into.plan(global, out).await }
        }
        MigrateCommand::Plan(args) => {
            planned(global, &args.route, &args.told, &args.place, out).await
        }
        MigrateCommand::Run(args) if !args.yes => {
            let exit = planned(global, &args.route, &args.told, &args.place, out).await?;
            tell::nothing_done(out);
            Ok(exit)
        }
        MigrateCommand::Run(args) => work(global, *args, out).await,
        MigrateCommand::Status(args) if args.watch => watch::status(&args.place, out).await,
        MigrateCommand::Status(args) => jobs::status(&args.place, out),
        MigrateCommand::Pause(args) => {
            jobs::order(&args.place, out, "paused", |orders| orders.paused = true)
        }
        MigrateCommand::Resume(args) => {
            jobs::order(&args.place, out, "may go on", |orders| orders.paused = false)
        }
        MigrateCommand::Throttle(args) if !args.speed.is_set() => {
            Err(Failure::usage("say how fast, such as --write-rows 5000; 0 takes a limit away"))
        }
        MigrateCommand::Throttle(args) => {
            jobs::order(&args.place, out, "works as told", |orders| args.speed.change(orders))
        }
        MigrateCommand::Abort(args) => abort(global, args, out).await,
        MigrateCommand::RetryDead(args) => retry(global, *args, out).await,
        MigrateCommand::Certificate(args) => jobs::certificate(&args.place, args.html, out),
    }
}

async fn planned(
    global: &Global,
    route: &Route,
    told: &Told,
    place: &Place,
    out: Output,
) -> Outcome {
    let settings = told.settings(now())?;
    let folder = place.folder()?;
    let stop = signal::watch();
    let opened = Opened::open(global, &route.ends(global), Access::Read, out, &stop).await?;
    let result = async {
        let source = opened.source().await?;
        let target = opened.target();
        Ok(plan(&folder, &*source, target.as_ref(), &settings).await?)
    }
    .await;
    let plan = opened.close(result).await?;
    tell::plan(&plan, &route.to, out)?;
    Ok(if plan.is_possible() { Exit::Done } else { Exit::Failed })
}

async fn work(global: &Global, args: RunArgs, out: Output) -> Outcome {
    let _metrics = args.metrics.serve(global, out).await?;
    let settings = args.told.settings(now())?;
    let folder = args.place.folder()?;
    let stop = signal::watch();
    let mut tuning = args.tuned.tuning();
    tuning.stop = stop.clone();
    let ends = [args.route.from.clone(), args.route.to.clone()];
    let _reload = reload_at_hangup(global, ends, out);
    let opened = Opened::open(global, &args.route.ends(global), Access::Create, out, &stop).await?;
    let result = async {
        let source = opened.source().await?;
        let target = opened.target().ok_or_else(|| Failure::usage("there is no target"))?;
        let job = Job::open(&folder, source, target, &settings, tuning).await;
        let job = job.map_err(|error| match (error.kind(), settings.mode) {
            (ErrorKind::Conflict, Mode::FailIfNotEmpty) => Failure::from(error).with_hint(
                "--mode chooses; 'pinstate migrate status' lists the jobs that are done already",
            ),
            _ => error.into(),
        })?;
        let at = job.folder().clone();
        if job.is_continued() {
            let counts = job.counts();
            out.note(format_args!(
                "goes on with the job in {}: {} pins were read before",
                at.path().display(),
                counts.read
            ));
        } else {
            out.note(format_args!("the job is in {}", at.path().display()));
        }
        if args.speed.is_set() {
            Orders::change(&at, |orders| args.speed.change(orders))?;
        }
        let looker = job.onlooker();
        followed(job, &looker, out).await
    }
    .await;
    let report = opened.close(result).await?;
    finish(&report, out)
}

/// Runs the job and shows how far it is.
async fn followed(job: Job, looker: &Onlooker, out: Output) -> Outcome<Report> {
    let mut display = tell::Display::new(out);
    let running = job.run();
    tokio::pin!(running);
    let result = loop {
        tokio::select! {
            biased;
            result = &mut running => break result,
            () = tokio::time::sleep(TICK) => display.show(&looker.now()),
        }
    };
    display.finish();
    result.map_err(|error| {
        let resumable = Failure::from(error);
        resumable.with_hint("nothing is lost: the same 'migrate run' goes on from here")
    })
}

fn finish(report: &Report, out: Output) -> Outcome {
    tell::report(report, out)?;
    Ok(match report.phase {
        Phase::Different => Exit::Different,
        Phase::Aborted => Exit::Interrupted,
        _ if report.dead > 0 => Exit::Rejected,
        _ => Exit::Done,
    })
}

/// Gives the target of a job back whose folder is gone.
async fn give_back(global: &Global, to: &str, job: &str, out: Output) -> Outcome {
    let stop = signal::watch();
    let ends = Ends { global, format: ReadFormat::Auto, out, stop: &stop };
    let end = ends.open(to, &global.namespace, Access::Modify).await?;
    let result = async {
        let target = ends::target(&end).ok_or_else(|| Failure::usage("--to names no store"))?;
        if !target.release(job).await? {
            let message = format!("the job {job} has no claim to {}", end.name);
            return Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message).into());
        }
        let text = format!("{} is free for other jobs", end.name);
        out.result(text, &json!({ "job": job, "target": end.name }))?;
        Ok(Exit::Done)
    }
    .await;
    end.close(result).await
}

async fn abort(global: &Global, args: AbortArgs, out: Output) -> Outcome {
    if let (Some(job), Some(to)) = (&args.lost, &args.to) {
        return give_back(global, to, job, out).await;
    }
    let folder = jobs::one(&args.place)?;
    if folder.is_worked_on()? {
        return jobs::order_in(&folder, out, "is being given up", |orders| orders.abort = true);
    }
    let (Some(from), Some(to)) = (args.from, args.to) else {
        return Err(Failure::usage("nobody works on this job now")
            .with_hint("name its ends with --from and --to, so that the target can be told"));
    };
    let about = certificate(&folder)?;
    let namespace = |part: &str| part.parse().unwrap_or_else(|_| global.namespace.clone());
    let wanted = Wanted {
        from,
        from_namespace: namespace(&about.source.part),
        to,
        to_namespace: namespace(&about.target.part),
        format: ReadFormat::Auto,
        exclusive: false,
    };
    let stop = signal::watch();
    let opened = Opened::open(global, &wanted, Access::Modify, out, &stop).await?;
    let result = async {
        let source = opened.source().await?;
        let target = opened.target().ok_or_else(|| Failure::usage("there is no target"))?;
        let job = Job::reopen(folder, source, target, Tuning::new()).await?;
        Ok(job.abort().await?)
    }
    .await;
    let report = opened.close(result).await?;
    tell::report(&report, out)?;
    Ok(Exit::Done)
}

async fn retry(global: &Global, args: RetryArgs, out: Output) -> Outcome {
    let folder = jobs::one(&args.place)?;
    let stop = signal::watch();
    let mut tuning = Tuning::new();
    tuning.stop = stop.clone();
    let opened = Opened::open(global, &args.route.ends(global), Access::Modify, out, &stop).await?;
    let result = async {
        let source = opened.source().await?;
        let target = opened.target().ok_or_else(|| Failure::usage("there is no target"))?;
        let job = Job::reopen(folder, source, target, tuning).await?;
        Ok(job.retry_dead().await?)
    }
    .await;
    let report = opened.close(result).await?;
    finish(&report, out)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
