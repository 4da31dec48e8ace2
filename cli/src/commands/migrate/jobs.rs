//! What can be done about jobs from outside: asking, and giving orders.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use pinstate_core::Operation;
use pinstate_migrate::job::{
    JobFolder, Orders, certificate as certificate_of, status as status_of,
};
use serde_json::{Value, json};

use super::args::Place;
use super::tell;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;

/// The one job that is meant: the one whose folder is named, or the only unfinished one, or the
/// only one.
pub(super) fn one(place: &Place) -> Outcome<JobFolder> {
    let folder = place.folder()?;
    let mut all = JobFolder::all(&folder)?;
    if all.len() > 1 {
        let mut unfinished = Vec::new();
        for job in &all {
            if !status_of(job)?.0.phase.is_over() {
                unfinished.push(job.clone());
            }
        }
        if !unfinished.is_empty() {
            all = unfinished;
        }
    }
    match &all[..] {
        [job] => Ok(job.clone()),
        [] => Err(Failure::usage(format!("there is no job in {}", folder.display()))),
        several => {
            Err(Failure::usage(format!("there are {} jobs in {}", several.len(), folder.display()))
                .with_hint(
                    "name the folder of one with --job; 'pinstate migrate status' lists them",
                ))
        }
    }
}

/// How far a job is.
pub(super) struct Standing {
    pub(super) text: String,
    pub(super) json: Value,
    pub(super) is_over: bool,
    /// Whether nobody works on it, though it is not over.
    pub(super) interrupted: bool,
}

/// How far every job is that is in the folder.
pub(super) fn standings(place: &Place) -> Outcome<Vec<Standing>> {
    let jobs = JobFolder::all(&place.folder()?)?;
    let standing = |job: &JobFolder| {
        let (progress, worked_on) = status_of(job)?;
        let about = certificate_of(job)?;
        let is_over = progress.phase.is_over();
        let state = match (is_over, worked_on) {
            (true, _) => progress.phase.name().to_owned(),
            (false, true) => format!("{}, being worked on", progress.phase.name()),
            (false, false) => format!("{}, interrupted", progress.phase.name()),
        };
        let text = format!(
            "{}\n  {} -> {}\n  {state}: {}",
            job.path().display(),
            about.source.name,
            about.target.name,
            tell::line(&progress, about.dead)
        );
        let json = json!({
            "job": about.job,
            "folder": job.path().display().to_string(),
            "source": about.source,
            "target": about.target,
            "worked_on": worked_on,
            "dead": about.dead,
            "progress": tell::document(&progress),
        });
        Ok(Standing { text, json, is_over, interrupted: !is_over && !worked_on })
    };
    jobs.iter().map(standing).collect()
}

/// Says how far every job is.
pub(super) fn status(place: &Place, out: Output) -> Outcome {
    let standings = standings(place)?;
    if standings.is_empty() {
        out.note(format_args!("there is no job in {}", place.folder()?.display()));
    }
    let mut lines = out.lines();
    for standing in standings {
        lines.result(standing.text, &standing.json)?;
    }
    lines.finish()?;
    Ok(Exit::Done)
}

/// Changes the orders of the job that is meant.
pub(super) fn order(
    place: &Place,
    out: Output,
    what: &str,
    change: impl FnOnce(&mut Orders),
) -> Outcome {
    order_in(&one(place)?, out, what, change)
}

/// Changes the orders of a job.
pub(super) fn order_in(
    folder: &JobFolder,
    out: Output,
    what: &str,
    change: impl FnOnce(&mut Orders),
) -> Outcome {
    if status_of(folder)?.0.phase.is_over() {
        let path = folder.path().display();
        return Err(Failure::usage(format!("the job in {path} is over")));
    }
    let orders = Orders::change(folder, change)?;
    let path = folder.path().display();
    out.result(format_args!("the job in {path} {what}"), &json!({ "orders": orders }))?;
    Ok(Exit::Done)
}

/// Shows the certificate of a job, or writes it as a page.
pub(super) fn certificate(place: &Place, html: Option<PathBuf>, out: Output) -> Outcome {
    let folder = one(place)?;
    let certificate = certificate_of(&folder)?;
    if !certificate.phase.is_over() {
        let path = folder.path().display();
        return Err(Failure::usage(format!("the job in {path} is not over")));
    }
    if let Some(path) = &html {
        let written = File::create_new(path).and_then(|mut file| {
            file.write_all(certificate.html().as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| {
            let message = format!("cannot write {}", path.display());
            Failure::file(Operation::Export, message, error)
        })?;
    }
    out.result(certificate.json(), &certificate)?;
    Ok(Exit::Done)
}
