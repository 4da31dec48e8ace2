//! A run at a glance: a field for every clause, with the worst that it came to on any leg.

use maud::{Markup, html};

use super::parts::{class, group_title, sign};
use crate::report::{ClauseReport, Report, Status};

/// Every clause as a field that leads to its row, a line for each group.
pub(super) fn overview(report: &Report) -> Markup {
    let mut clauses: Vec<&ClauseReport> = report.clauses.iter().collect();
    // Groups as they are met; within one by number, whichever file a clause stands in.
    let met = |group| report.clauses.iter().position(|clause| clause.group() == group);
    let number =
        |clause: &ClauseReport| clause.id.trim_start_matches(clause.group()).parse::<u32>();
    clauses.sort_by_key(|clause| (met(clause.group()), number(clause).ok()));
    html! {
        nav.overview aria-label={ "Clauses of " (report.backend.name) } {
            @for group in clauses.chunk_by(|one, next| one.group() == next.group()) {
                ul title=[group.first().map(|clause| group_title(clause.group()))] {
                    @for clause in group { li { (field(clause)) } }
                }
            }
        }
    }
}

fn field(clause: &ClauseReport) -> Markup {
    let status = Status::worst(clause.cases.iter().map(|case| &case.status));
    let (sign, word) = sign(status);
    html! {
        a.field.(class(status)) href={ "#" (clause.id) }
            title={ (clause.id) " " (clause.title) ": " (word) }
        {
            (clause.id)
            // What needs a look has a sign as well: colour alone tells nothing to many.
            @if status.is_none_or(|status| *status != Status::Pass) { " " (sign) }
        }
    }
}
