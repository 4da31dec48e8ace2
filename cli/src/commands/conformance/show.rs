//! The clauses, and what two runs came to side by side.

use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use pinstate_conformance::report::{self, kills, unproven};
use pinstate_conformance::{Clause, Report, clauses};
use pinstate_core::Operation;
use serde_json::json;

use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// Say what is different in the second of two runs; exit code 1 if something is worse.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The first run's result.json
    before: PathBuf,
    /// The second run's result.json
    after: PathBuf,
    /// Folder to write a report.html with both runs into
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Refuses what is neither a clause nor the letter of a group.
pub(super) fn known(id: &str) -> Outcome<()> {
    let means = |clause: &&Clause| {
        id.eq_ignore_ascii_case(clause.id) || id.eq_ignore_ascii_case(clause.group())
    };
    if clauses().iter().any(means) {
        return Ok(());
    }
    Err(Failure::usage(format!("there is no clause '{}'", id.escape_debug()))
        .with_hint("'pinstate conformance list' shows those there are"))
}

pub(super) fn list(out: Output) -> Outcome {
    let mut lines = out.lines();
    let mut told: Vec<&str> = Vec::new();
    for clause in clauses() {
        // A clause about records and pins stands in two places.
        if !told.contains(&clause.id) {
            told.push(clause.id);
            lines.result(
                format_args!("{:<4} {}", clause.id, clause.title),
                &json!({ "clause": clause.id, "title": clause.title }),
            )?;
        }
    }
    lines.finish()?;
    Ok(Exit::Done)
}

pub(super) fn explain(id: &str, out: Output) -> Outcome {
    let all = clauses();
    let same: Vec<_> = all.iter().filter(|clause| id.eq_ignore_ascii_case(clause.id)).collect();
    let Some(clause) = same.first() else {
        known(id)?;
        return Err(Failure::usage(format!("'{id}' is a group of clauses: name one of them")));
    };
    let why: Vec<&str> = same.iter().map(|clause| clause.why).collect();
    let killed = kills().get(clause.id).map(Vec::as_slice).unwrap_or_default();
    let mut text = format!("{}  {}\n\nWhy it matters:", clause.id, clause.title);
    for why in &why {
        let _ = write!(text, "\n  {why}");
    }
    if killed.is_empty() {
        text.push_str("\n\nUnproven: no store broken on purpose shows that it can fail.");
        if let Some(why) = unproven(clause.id) {
            let _ = write!(text, "\n  {why}");
        }
    } else {
        text.push_str("\n\nStores broken on purpose that it finds out:");
    }
    for kill in killed {
        let _ = write!(text, "\n  {}: {}", kill.mutant, kill.does);
    }
    let json = json!({
        "clause": clause.id,
        "title": clause.title,
        "why": why,
        "kills": killed,
    });
    out.result(text, &json)?;
    Ok(Exit::Done)
}

pub(super) fn compare(args: &CompareArgs, out: Output) -> Outcome {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let changes = report::compare(&before, &after);
    let mut lines = out.lines();
    for change in &changes {
        let sign = if change.worse { "worse " } else { "" };
        let mut text = format!(
            "{:<8} {:<4} {sign}{} -> {}  {}",
            change.leg, change.clause, change.before, change.after, change.title
        );
        if let Some(message) = &change.message {
            let _ = write!(text, "\n    {message}");
        }
        lines.result(text, change)?;
    }
    lines.finish()?;
    if changes.is_empty() {
        out.note("every clause came to the same in both runs");
    }
    if let Some(folder) = &args.report {
        let page = report::html(&[&before, &after]);
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(folder.join("report.html"), page));
        let message = format!("the report cannot be written into {}", folder.display());
        written.map_err(unreadable(message))?;
    }
    let worse = changes.iter().any(|change| change.worse);
    Ok(if worse { Exit::Failed } else { Exit::Done })
}

/// Reads a `result.json`.
pub(crate) fn read(path: &Path) -> Outcome<Report> {
    std::fs::read_to_string(path)
        .and_then(|text| Report::from_json(&text))
        .map_err(unreadable(format!("cannot read {}", path.display())))
}

/// A failure of files that are no store's.
pub(super) fn unreadable(message: impl fmt::Display) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::file(Operation::Open, message, error)
}
