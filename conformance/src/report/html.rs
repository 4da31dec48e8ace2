//! One HTML page that needs nothing else: no script, no font, no picture from elsewhere.

mod overview;
mod parts;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::parts::{cell, facts, failures, group_title, head_of, kinds, name, reason};
use super::{ClauseReport, Report, compare, kills, unproven};

const STYLE: &str = include_str!("report.css");

/// The reports of one or several runs as one page: a column for each leg of each run. Of
/// two, it says what is different in the second.
#[must_use]
pub fn html(reports: &[&Report]) -> String {
    let mut names: Vec<&str> = reports.iter().map(|report| report.backend.name.as_str()).collect();
    names.dedup();
    let title = format!("Conformance of {}", names.join(" and "));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (title) } }
                div.runs { @for report in reports { (head_of(&name(reports, report), report)) } }
                @if let [before, after] = reports { (changes(before, after)) }
                @for report in reports {
                    @let name = (reports.len() > 1).then(|| name(reports, report));
                    (failures(name.as_deref(), report))
                }
                (matrix(reports))
                section {
                    h2 { "What was tested" }
                    (facts(reports))
                }
            }
        }
    };
    page.into_string()
}

/// What is different in the second of two runs.
fn changes(before: &Report, after: &Report) -> Markup {
    let changes = compare(before, after);
    html! {
        section {
            h2 { "What has changed" }
            @if changes.is_empty() {
                p { "Every clause came to the same in both runs." }
            } @else {
                table.changes {
                    thead { tr {
                        th scope="col" { "clause" } th scope="col" { "leg" }
                        th scope="col" { "before" } th scope="col" { "after" }
                    } }
                    tbody {
                        @for change in &changes {
                            tr.worse[change.worse] {
                                td data-label="clause" {
                                    a href={ "#" (change.clause) } { (change.clause) }
                                    " " (change.title)
                                }
                                td data-label="leg" { (change.leg) }
                                td data-label="before" { span.mark.(change.before) { (change.before) } }
                                td data-label="after" { span.mark.(change.after) { (change.after) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Every clause against every leg of every run.
fn matrix(reports: &[&Report]) -> Markup {
    let columns: Vec<(&Report, &str)> = reports
        .iter()
        .flat_map(|report| report.legs.iter().map(|leg| (*report, leg.as_str())))
        .collect();
    let mut rows: Vec<&ClauseReport> = Vec::new();
    for known in crate::clauses() {
        let mut all = reports.iter().flat_map(|report| &report.clauses);
        let new = rows.iter().all(|row| row.id != known.id);
        if let (true, Some(clause)) = (new, all.find(|clause| clause.id == known.id)) {
            rows.push(clause);
        }
    }
    // A report may come from a suite with clauses that this one does not know.
    for clause in reports.iter().flat_map(|report| &report.clauses) {
        if rows.iter().all(|row| row.id != clause.id) {
            rows.push(clause);
        }
    }
    html! {
        section {
            h2 { "Clauses" }
            (kinds())
            table.matrix {
                thead {
                    @if reports.len() > 1 {
                        tr {
                            th {}
                            @for report in reports {
                                th.run scope="colgroup" colspan=(report.legs.len()) {
                                    (name(reports, report))
                                }
                            }
                        }
                    }
                    tr {
                        th scope="col" { "clause" }
                        @for (_, leg) in &columns { th.leg scope="col" { (leg) } }
                    }
                }
                @for (index, clause) in rows.iter().enumerate() {
                    @let first = index == 0
                        || rows.get(index - 1).is_none_or(|row| row.group() != clause.group());
                    @if first {
                        tbody.group {
                            tr { th scope="rowgroup" colspan=(columns.len() + 1) {
                                (group_title(clause.group()))
                            } }
                        }
                    }
                    tbody { (row(clause, reports, &columns)) }
                }
            }
        }
    }
}

fn row(clause: &ClauseReport, reports: &[&Report], columns: &[(&Report, &str)]) -> Markup {
    let own = |report: &Report| -> Option<ClauseReport> {
        report.clauses.iter().find(|other| other.id == clause.id).cloned()
    };
    let killed = kills().get(&clause.id);
    html! {
        tr id=(clause.id) {
            td.clause {
                div.title { b { (clause.id) } " " (clause.title) }
                (reason(&clause.why))
                details {
                    summary {
                        @match killed.map(Vec::len) {
                            None | Some(0) => { "cases" }
                            Some(1) => { "cases, and 1 mutant killed" }
                            Some(n) => { "cases, and " (n) " mutants killed" }
                        }
                    }
                    div.legs {
                        @for (report, leg) in columns {
                            @if let Some(clause) = own(report) {
                                @if clause.on(leg).next().is_some() {
                                    div {
                                        h4 {
                                            @if reports.len() > 1 { (name(reports, report)) ", " }
                                            (leg)
                                        }
                                        ul.cases { @for case in clause.on(leg) { (parts::case(case)) } }
                                    }
                                }
                            }
                        }
                    }
                    @if let Some(killed) = killed {
                        h4 { "Stores broken on purpose that it finds out" }
                        ul.kills {
                            @for kill in killed {
                                li { code { (kill.mutant) } " " (kill.does) }
                            }
                        }
                    } @else {
                        p.unproven {
                            "Unproven: no store broken on purpose shows that it can fail"
                            @if let Some(why) = unproven(&clause.id) { ". " (why) }
                            "."
                        }
                    }
                }
            }
            @for (report, leg) in columns { (cell(own(report).as_ref(), leg)) }
        }
    }
}
