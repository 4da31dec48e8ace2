//! `config`: making, judging and showing the configuration.
//!
//! What is said of keys comes from [`Description`](pinstate_core::config::Description)s, which
//! the backends draw from the types that they read their settings into.

mod check;
mod init;
mod reference;
mod schema;
mod show;

use clap::{Args, Subcommand};

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    Init(init::InitArgs),
    /// Show what holds, and where each value comes from: a default, a line of the file, the
    /// environment
    Show,
    /// Say everything that is wrong with the configuration, by file and line; opens no store
    Check,
    /// Print the JSON schema of the configuration file, for editors
    Schema,
    Reference(ReferenceArgs),
}

/// Print what every key means, as Markdown.
#[derive(Debug, Args)]
pub(crate) struct ReferenceArgs {
    /// Of this backend alone
    backend: Option<String>,
}

/// Runs one of them.
pub(crate) fn run(global: &Global, command: ConfigCommand, out: Output) -> Outcome {
    match command {
        ConfigCommand::Init(args) => init::run(global, args, out),
        ConfigCommand::Show => show::run(global, out),
        ConfigCommand::Check => check::run(global, out),
        ConfigCommand::Schema => print(&schema::text()),
        ConfigCommand::Reference(args) => print(&reference::text(args.backend.as_deref())?),
    }
}

/// Prints a document in every form of output: it is for a file.
fn print(document: &str) -> Outcome {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(document.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}
