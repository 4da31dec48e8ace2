//! `completions`: a completion script for a shell.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use crate::args;
use crate::exit::{Exit, Failure, Outcome};

/// Which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script, in every form of output: it is for the shell.
pub(crate) fn run(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "pinstate", &mut script);
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&script).and_then(|()| stdout.flush()).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}
