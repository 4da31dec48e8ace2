//! `conformance`: does a store keep what the contract promises?

mod leftovers;
mod plug;
mod recheck;
mod results;
mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use pinstate_conformance::{Child, Keep, Leg, Profile, Suite};
use pinstate_core::Operation;
use pinstate_core::layer::Layers;

use self::plug::Stand;
use self::results::Results;
pub(crate) use self::show::read as result;
use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::Choice;
use crate::{duration, logging, report, signal, traces};

/// How long a case may take where the store is on servers.
const FAR: Duration = Duration::from_secs(600);

/// Run the conformance suite on a store: does it keep what every store must?
///
/// The store must be named and must be there. The suite works in namespaces of its own with
/// random names, marks each before it makes it, refuses to touch anything else, compares what
/// else is in the store before and after, and removes what it made, also when interrupted.
/// Exit code 1 if a clause is broken, if nothing was run, or if the whole suite was run and is
/// weak: cases that passed have not met what they are there for.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ConformanceArgs {
    #[command(subcommand)]
    command: Option<ConformanceCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// What else there is to do with the suite.
#[derive(Debug, Subcommand)]
pub(crate) enum ConformanceCommand {
    /// Show the clauses of the suite
    List,
    /// Show what a clause promises, why it matters and what shows that it can fail
    Explain {
        /// Its id, as L9
        id: String,
    },
    Compare(show::CompareArgs),
    Gc(leftovers::GcArgs),
    Recheck(recheck::RecheckArgs),
}

/// How to run it.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Clauses to run, by id (L9) or by the letter of a group (L) [default: all]
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// How much is done: quick, for every commit; full, with 100,000 rows and large values;
    /// soak, as full, and again with new seeds until the time of --budget is over
    #[arg(long, value_name = "PROFILE", value_enum, default_value_t)]
    profile: Amount,
    /// How long a soak goes on
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration::parse)]
    budget: Duration,
    /// Seed of everything random: that of an earlier run repeats it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run everything so many times, each time with a seed one higher
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Cases to run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Longest time of a case, which hangs after it [default: 10m where the store is on servers,
    /// else 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    hang: Option<Duration>,
    /// How long a store is given to settle that is eventual and names no time for it
    /// [default: 500ms]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    settle: Option<Duration>,
    /// Folder to write result.json, junit.xml and report.html into
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Which histories of clients at work are written beside the report: failing ones, or
    /// every one
    #[arg(long, value_name = "WHICH", value_enum, default_value_t, requires = "report")]
    histories: Which,
    /// Also run what needs a store of its own, to open, close and lose it: beside a store in
    /// a folder, in temporary folders of its own
    #[arg(long)]
    allow_destructive: bool,
    /// Nobody else writes to the store meanwhile: then a change in what others have there is
    /// a failure, and not only told
    #[arg(long)]
    exclusive: bool,
}

/// How much is done.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Amount {
    #[default]
    Quick,
    Full,
    Soak,
}

/// Which histories are kept.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Which {
    #[default]
    Failing,
    Every,
}

/// Runs the suite, or one of the other commands.
pub(crate) async fn run(global: &Global, args: ConformanceArgs, out: Output) -> Outcome {
    match args.command {
        None => test(global, args.run, out).await,
        Some(ConformanceCommand::List) => show::list(out),
        Some(ConformanceCommand::Explain { id }) => show::explain(&id, out),
        Some(ConformanceCommand::Compare(args)) => show::compare(&args, out),
        Some(ConformanceCommand::Recheck(args)) => recheck::recheck(&args, out),
        Some(ConformanceCommand::Gc(args)) => leftovers::gc(global, &args, out).await,
    }
}

async fn test(global: &Global, args: RunArgs, out: Output) -> Outcome {
    let choice = Choice::new(global)?;
    let store = choice.store_to_test()?;
    for id in &args.only {
        show::known(id)?;
    }
    let (factory, settings) = choice.checked(&store)?;
    let layers = factory.layers(&settings)?;
    let stand = Stand::new(factory, settings, args.allow_destructive);
    let far = stand.is_far();
    let child = Child::summoned();
    if child.is_none() {
        // A store that is not there, or is in use, is no matter of 200 failures.
        stand.try_open().await?;
        report::prepare(args.report.as_deref(), Operation::Open)?;
    }

    let stop = signal::watch();
    // Where a store wants layers of its own they are what it will run under. The suite
    // provokes failures by the hundred: they are traced for whoever asked for traces.
    let own = layers.retry.is_some() || layers.deadline.is_some();
    let layers = if own { layers } else { Layers::standard() }.with_trace(logging::wanted());
    let layers = layers.with_spans(traces::wanted());
    let mut suite = Suite::new(stand)
        .legs(vec![Leg::raw(), Leg::new("layered", layers)])
        .profile(match args.profile {
            Amount::Quick => Profile::Quick,
            Amount::Full => Profile::Full,
            Amount::Soak => Profile::Soak(args.budget),
        })
        .histories(match args.histories {
            Which::Failing => Keep::Failing,
            Which::Every => Keep::Every,
        })
        .at_once(usize::from(args.at_once))
        .repeat(args.repeat)
        .alone(args.exclusive)
        .stop(stop);
    if let Some(hang) = args.hang.or(far.then_some(FAR)) {
        suite = suite.hang(hang);
    }
    if let Some(settle) = args.settle {
        suite = suite.settle(settle);
    }
    if let Some(seed) = args.seed {
        suite = suite.seed(seed);
    }
    if let Some(child) = child {
        // Started by the suite with these same arguments, in order to be killed.
        let ended = tokio::task::spawn_blocking(move || child.run(&suite)).await;
        return Ok(if ended.is_ok() { Exit::Done } else { Exit::Failed });
    }
    let mut results = Results::new(out);
    // The suite has threads of its own, and waits for them.
    let ran = tokio::task::spawn_blocking(move || {
        let only: Vec<&str> = args.only.iter().map(String::as_str).collect();
        let report = suite.report(&only, &mut |verdict| results.tell(verdict));
        (report, results, args.report)
    })
    .await;
    let (report, results, folder) = match ran {
        Ok(ran) => ran,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let report = report.map_err(show::unreadable("the suite cannot be started"))?;
    if let Some(folder) = &folder {
        let message = format!("the report cannot be written into {}", folder.display());
        report.write(folder).map_err(show::unreadable(message))?;
    }
    results.finish(&report)?;
    Ok(match (report.interrupted, report.is_green()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    })
}
