//! The commands: one room each.

pub(crate) mod backends;
pub(crate) mod bench;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod config;
#[cfg(feature = "conformance")]
pub(crate) mod conformance;
pub(crate) mod count;
pub(crate) mod digest;
#[cfg(feature = "scylla")]
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod mirror;
pub(crate) mod namespaces;
pub(crate) mod pin;
#[cfg(feature = "scylla")]
pub(crate) mod schema;
pub(crate) mod state;
pub(crate) mod verify;

use pinstate_core::{Error, ErrorKind, Operation};

use crate::args::{Command, CommandLine, Global};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::traces;

/// Runs a command and tells of its failure.
pub(crate) fn run(line: CommandLine) -> Exit {
    let out = Output::new(line.global.output);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error =
                Error::new(ErrorKind::Internal, Operation::Open, "no threads can be started")
                    .with_source(error);
            return out.failure(&error.into());
        }
    };
    let result = runtime.block_on(dispatch(&line.global, line.command, out));
    // A read of stdin that still waits for its bytes must not keep the program from ending.
    runtime.shutdown_background();
    traces::end();
    result.unwrap_or_else(|failure: Failure| out.failure(&failure))
}

async fn dispatch(global: &Global, command: Command, out: Output) -> Outcome {
    match command {
        Command::Pin(command) => pin::run(global, command, out).await,
        Command::Export(args) => export::run(global, args, out).await,
        Command::Import(args) => import::run(global, args, out).await,
        Command::State(command) => state::run(global, command, out).await,
        Command::Count(args) => count::run(global, args, out).await,
        Command::Digest(args) => digest::run(global, args, out).await,
        Command::Verify(args) => verify::verify(global, args, out).await,
        Command::Diff(args) => verify::diff(global, args, out).await,
        Command::Migrate(command) => migrate::run(global, command, out).await,
        Command::Mirror(command) => mirror::run(global, command, out).await,
        Command::Bench(command) => bench::run(global, command, out).await,
        Command::Compare(args) => bench::compare(global, args, out).await,
        Command::Namespaces(command) => namespaces::run(global, command, out).await,
        Command::Cleanup(args) => cleanup::run(global, args, out).await,
        Command::Health => health::run(global, out).await,
        #[cfg(feature = "scylla")]
        Command::Doctor => doctor::run(global, out).await,
        #[cfg(feature = "scylla")]
        Command::Schema(command) => schema::run(global, command, out).await,
        #[cfg(feature = "conformance")]
        Command::Conformance(args) => conformance::run(global, args, out).await,
        Command::Backends => backends::run(out),
        Command::Config(command) => config::run(global, command, out),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args, out),
    }
}
