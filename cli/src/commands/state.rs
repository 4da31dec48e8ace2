//! `state`: import and export under the names that `ipfs-cluster-service` has for them.

use clap::{Args, Subcommand};

use super::{export, import};
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::session::Choice;

/// The commands of `ipfs-cluster-service state`.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Write the pinset to a file, a raft folder or stdout
    Export(StateArgs<export::ExportArgs>),
    /// Store the pins of a file, a raft folder or stdin
    Import(StateArgs<import::ImportArgs>),
}

/// One of them, and the store in another way.
#[derive(Debug, Args)]
pub(crate) struct StateArgs<T: Args> {
    /// Backend, whose usual place is meant, or a store by name or URI
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    #[command(flatten)]
    args: T,
}

/// Runs one of them.
pub(crate) async fn run(global: &Global, command: StateCommand, out: Output) -> Outcome {
    match command {
        StateCommand::Export(StateArgs { backend, args }) => {
            export::run_on(choice(global, backend)?, global, args, out).await
        }
        StateCommand::Import(StateArgs { backend, args }) => {
            import::run_on(choice(global, backend)?, global, args, out).await
        }
    }
}

fn choice(global: &Global, backend: Option<String>) -> Outcome<Choice> {
    let mut choice = Choice::new(global)?;
    if let Some(backend) = backend {
        if global.store.is_some() {
            return Err(Failure::usage("--backend and --store name a store each: leave one out"));
        }
        choice.named = Some(choice.store_of_backend(&backend)?);
    }
    Ok(choice)
}
