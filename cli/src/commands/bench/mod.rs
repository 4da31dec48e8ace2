//! `bench` and `compare`: how fast stores are.

mod compare;
mod levels;
mod list;
mod load;
mod rate;
mod restart;
mod run;
mod stand;

pub(crate) use self::compare::{CompareArgs, compare};

use clap::Subcommand;

use crate::args::Global;
use crate::exit::Outcome;
use crate::output::Output;

/// Measure a store under load
///
/// A benchmark works in a namespace of its own, which it removes when it ends. Operations follow
/// from a seed and begin when it is their time, whatever the store does meanwhile: what has to
/// wait is charged for the waiting. Every answer is checked.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Show the workloads that are built in
    List(list::ListArgs),
    Run(run::RunArgs),
    FindRate(rate::RateArgs),
    Restart(restart::RestartArgs),
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: BenchCommand, out: Output) -> Outcome {
    match command {
        BenchCommand::List(args) => list::list(&args, out),
        BenchCommand::Run(args) => run::run(global, args, out).await,
        BenchCommand::FindRate(args) => rate::find(global, args, out).await,
        BenchCommand::Restart(args) => restart::restart(global, args, out).await,
    }
}
