//! `man`: manual pages.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use pinstate_core::Operation;
use serde_json::json;

use crate::args;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// Print the manual page, or write those of all commands into a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, such as ~/.local/share/man/man1; it is made where there is none
    folder: Option<PathBuf>,
}

/// Writes them, or prints the one of the program as a whole.
pub(crate) fn run(args: &ManArgs, out: Output) -> Outcome {
    let command = args::command().disable_help_subcommand(true);
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        let mut stdout = std::io::stdout().lock();
        rendered
            .and_then(|()| stdout.write_all(&page))
            .and_then(|()| stdout.flush())
            .map_err(Failure::stdout)?;
        return Ok(Exit::Done);
    };
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| {
        let message = format!("the manual pages cannot be written to {}", folder.display());
        Failure::file(Operation::Export, message, error)
    })?;
    let shown = folder.display();
    out.result(
        format_args!("wrote the manual pages to {shown}: 'man -l {shown}/pinstate.1' shows one"),
        &json!({ "folder": shown.to_string() }),
    )?;
    Ok(Exit::Done)
}
