//! What is seen of a run while it goes on: a line for each clause, and what is broken.

use std::time::Duration;

use pinstate_conformance::report::Status;
use pinstate_conformance::{Clause, Report, Verdict};
use serde_json::json;

use crate::exit::{Failure, Outcome};
use crate::output::{Lines, Output};

/// Collects the cases of a clause and prints it when the next one begins.
pub(super) struct Results {
    lines: Lines,
    current: Option<Current>,
    /// What kept results from being printed; the run goes on for its report.
    failed: Option<Failure>,
}

/// The clause under way on one leg.
struct Current {
    clause: &'static Clause,
    leg: &'static str,
    verdicts: Vec<Verdict>,
}

impl Results {
    pub(super) fn new(out: Output) -> Self {
        Self { lines: out.lines(), current: None, failed: None }
    }

    /// Takes what became of a case.
    pub(super) fn tell(&mut self, verdict: &Verdict) {
        let same = |current: &Current| {
            current.clause.id == verdict.clause.id && current.leg == verdict.leg
        };
        if !self.current.as_ref().is_some_and(same) {
            self.flush();
        }
        let new = || Current { clause: verdict.clause, leg: verdict.leg, verdicts: Vec::new() };
        self.current.get_or_insert_with(new).verdicts.push(verdict.clone());
    }

    fn flush(&mut self) {
        if let Some(current) = self.current.take()
            && self.failed.is_none()
        {
            let printed = current.print(&mut self.lines).and_then(|()| self.lines.flush());
            self.failed = printed.err();
        }
    }

    /// Prints what is left, and what the run as a whole came to.
    pub(super) fn finish(mut self, report: &Report) -> Outcome<()> {
        self.flush();
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        let summary = report.summary;
        let mut text = format!(
            "{}: {} passed, {} failed, {} hang, {} harness errors, {} skipped, {} waived; \
             {:.1} s, seed {}",
            match (report.is_green(), report.is_weak()) {
                (true, _) => "green",
                (_, true) => "weak",
                _ => "not green",
            },
            summary.pass,
            summary.fail,
            summary.hang,
            summary.harness_error,
            summary.skipped,
            summary.waived,
            report.seconds,
            report.seed
        );
        for problem in &report.problems {
            text.push_str("\n  ");
            text.push_str(problem);
        }
        if let Some(measured) = &report.measured {
            text.push_str(&format!("\n  {measured}"));
        }
        for missed in &report.weak {
            text.push_str(&format!("\n  weak: {missed}"));
        }
        let json = json!({
            "weak": report.weak,
            "green": report.is_green(),
            "summary": summary,
            "problems": report.problems,
            "levels": report.levels,
            "measured": report.measured,
            "seconds": report.seconds,
            "seed": report.seed,
        });
        self.lines.result(text, &json)?;
        self.lines.finish()
    }
}

impl Current {
    fn print(&self, lines: &mut Lines) -> Outcome<()> {
        let took: Duration = self.verdicts.iter().map(|verdict| verdict.took).sum();
        let statuses = self.verdicts.iter().map(Status::of);
        let status = Status::worst(statuses).map_or("not-run", |status| status.name());
        let mut text = format!(
            "{:<8} {:<4} {status:<13} {:>6.2} s  {}",
            self.leg,
            self.clause.id,
            took.as_secs_f64(),
            self.clause.title
        );
        let mut cases = Vec::new();
        for verdict in &self.verdicts {
            let message = verdict.outcome.message();
            if let Some(message) = &message {
                text.push_str("\n    ");
                if !verdict.outcome.is_failure() {
                    text.push_str(verdict.case);
                    text.push_str(": ");
                }
                text.push_str(message);
            }
            let evidence = &verdict.evidence;
            for (place, operation) in evidence.operations.iter().enumerate() {
                text.push_str(&format!("\n      {:>2}. {operation}", place + 1));
            }
            cases.push(json!({
                "case": verdict.case,
                "status": Status::of(verdict).name(),
                "message": message,
                "operations": evidence.operations,
                "seed": verdict.seed,
                "seconds": verdict.took.as_secs_f64(),
            }));
        }
        let json = json!({
            "leg": self.leg,
            "clause": self.clause.id,
            "title": self.clause.title,
            "status": status,
            "cases": cases,
        });
        lines.result(text, &json)
    }
}
