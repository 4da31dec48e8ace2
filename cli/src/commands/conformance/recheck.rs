//! Histories that were saved, judged again.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use clap::Args;
use pinstate_conformance::history::{Saved, saved};
use serde_json::json;

use super::show::unreadable;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// Judge again the histories that a run has saved; exit code 1 if one breaks its promise or
/// cannot be read.
///
/// A run with --report saves them into histories in that folder: those that broke a promise,
/// or with --histories every also the others.
#[derive(Debug, Args)]
pub(crate) struct RecheckArgs {
    /// The folder of a report, or of histories
    folder: PathBuf,
}

pub(super) fn recheck(args: &RecheckArgs, out: Output) -> Outcome {
    let folder = args.folder.display();
    let files = saved(&args.folder).map_err(unreadable(format!("cannot read {folder}")))?;
    if files.is_empty() {
        return Err(Failure::usage(format!("there is no history in {folder}"))
            .with_hint("'pinstate conformance --report DIR --histories every' saves every one"));
    }
    let mut lines = out.lines();
    let mut broken = 0_u64;
    for path in &files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let read = File::open(path).and_then(|file| Saved::read(BufReader::new(file)));
        let saved = read.map_err(unreadable(format!("cannot read {}", path.display())))?;
        let judged = saved.promise.judge(&saved.history);
        let message = judged.err().map(|broken| broken.message);
        broken += u64::from(message.is_some());
        let operations = saved.history.events.len();
        let status = if message.is_some() { "fail" } else { "pass" };
        let mut text = format!("{status:<5} {name}  {operations} operations");
        if let Some(message) = &message {
            text.push_str("\n    ");
            text.push_str(message);
        }
        let json = json!({
            "file": name,
            "origin": saved.origin,
            "promise": saved.promise,
            "operations": operations,
            "status": status,
            "message": message,
        });
        lines.result(text, &json)?;
    }
    lines.finish()?;
    out.note(format_args!("{} histories, {broken} of them break their promise", files.len()));
    Ok(if broken > 0 { Exit::Failed } else { Exit::Done })
}
