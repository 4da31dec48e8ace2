//! The pieces of the page.

use std::collections::BTreeSet;

use maud::{Markup, html};

use serde_json::Value;

use super::overview::overview;
use super::timeline::timeline;
use crate::report::{CaseReport, ClauseReport, Level, Report, Standing, Status};

/// A sign and a word for a status: colour alone tells nothing to many.
pub(super) fn sign(status: Option<&Status>) -> (&'static str, &'static str) {
    match status {
        Some(Status::Pass) => ("✓", "pass"),
        Some(Status::Fail) => ("✗", "fail"),
        Some(Status::Hang { .. }) => ("…", "hang"),
        Some(Status::HarnessError) => ("!", "harness error"),
        Some(Status::Skipped { .. }) => ("–", "skipped"),
        Some(Status::Waived { .. }) => ("≈", "waived"),
        None => ("·", "not run"),
    }
}

pub(super) fn class(status: Option<&Status>) -> &'static str {
    status.map_or("not-run", Status::name)
}

/// What the signs mean.
pub(super) fn kinds() -> Markup {
    let waived = Status::Waived { reason: String::new(), until: String::new() };
    let hang = Status::Hang { age: 0.0, pending: Vec::new() };
    let skipped = Status::Skipped { lacks: None };
    let all = [Status::Pass, Status::Fail, hang, Status::HarnessError, skipped, waived];
    html! {
        ul.kinds {
            @for status in &all {
                @let (sign, word) = sign(Some(status));
                li { span.mark.(class(Some(status))) { (sign) } " " (word) }
            }
        }
    }
}

/// The top of one run: what it came to, on what, and how to have it again.
pub(super) fn head_of(name: &str, report: &Report) -> Markup {
    let backend = &report.backend;
    let summary = report.summary;
    let failed: BTreeSet<&str> = report
        .clauses
        .iter()
        .filter(|clause| clause.cases.iter().any(|case| case.status.is_failure()))
        .map(|clause| clause.id.as_str())
        .collect();
    let verdict = match (report.is_green(), failed.len()) {
        (true, _) => "Every clause that was run holds".to_owned(),
        (false, 0) if report.is_weak() => {
            "Every clause that was run holds, but the run is weak".to_owned()
        }
        (false, 0) => "The run does not count".to_owned(),
        (false, 1) => "One clause does not hold".to_owned(),
        (false, n) => format!("{n} clauses do not hold"),
    };
    let standing = match (report.is_green(), report.is_weak()) {
        (true, _) => "green",
        (_, true) => "weak",
        _ => "red",
    };
    let counts = [
        ("passed", summary.pass, "pass"),
        ("failed", summary.fail, "fail"),
        ("hang", summary.hang, "hang"),
        ("harness errors", summary.harness_error, "harness-error"),
        ("skipped", summary.skipped, "skipped"),
        ("waived", summary.waived, "waived"),
    ];
    html! {
        section.run.(standing) {
            p.verdict { (verdict) }
            p.what {
                b { (name) }
                @if let Some(version) = &backend.version { " " (version) }
                // Where a store is nowhere, its name says all.
                @if let Some(location) = backend.location.as_ref().filter(|at| *at != name) {
                    " · " (location)
                }
                " · " (report.legs.join(", ")) " · " (report.begun)
                " · " (format!("{:.1} s", report.seconds))
                @if !report.profile.is_empty() { " · profile " (report.profile) }
                " · seed " code { (report.seed) }
                @if report.repeat > 1 { " and " (report.repeat - 1) " more" }
                @if !report.only.is_empty() { " · only " (report.only.join(", ")) }
            }
            @for problem in &report.problems { p.problem { (problem) } }
            @for missed in &report.weak { p.problem.weak { "weak: " (missed) } }
            ul.counts {
                @for (word, count, class) in counts {
                    @if count > 0 || class == "pass" || class == "fail" {
                        // Red is for what there is.
                        li.mark.(if count > 0 { class } else { "not-run" }) { b { (count) } " " (word) }
                    }
                }
            }
            (overview(report))
            (levels(&report.levels))
            @if let Some(measured) = &report.measured { p.measured { (measured) "." } }
        }
    }
}

/// The levels of a run as badges.
fn levels(levels: &[Level]) -> Markup {
    html! {
        ul.levels {
            @for level in levels {
                @let (class, word) = match &level.standing {
                    Standing::Reached => ("reached", "reached".to_owned()),
                    Standing::Missed { clauses } => ("missed", format!("missed: {}", few(clauses))),
                    Standing::NotDeclared { .. } => ("not-declared", "not declared".to_owned()),
                    Standing::NotShown { clauses } => {
                        ("not-shown", format!("not shown: {}", few(clauses)))
                    }
                };
                li.(class) title=(level.title) {
                    b { (level.name) } span { (word) }
                }
            }
        }
    }
}

/// The first of some ids.
fn few(ids: &[String]) -> String {
    match ids {
        [one, two, three, _, ..] => format!("{one}, {two}, {three} and {} more", ids.len() - 3),
        ids => ids.join(", "),
    }
}

/// Why a clause matters.
pub(super) fn reason(why: &[String]) -> Markup {
    html! { p.why { span.label { "Why it matters: " } (why.join("; ")) } }
}

/// What a run is called beside others.
pub(super) fn name(reports: &[&Report], report: &Report) -> String {
    let name = &report.backend.name;
    let place = reports.iter().position(|other| std::ptr::eq(*other, report));
    let same = reports.iter().filter(|other| other.backend.name == *name).count();
    match place {
        Some(place) if same > 1 => format!("{name}, run {}", place + 1),
        _ => name.clone(),
    }
}

/// Every case that failed, with what to do to see it again.
pub(super) fn failures(name: Option<&str>, report: &Report) -> Markup {
    let failed: Vec<(&ClauseReport, &CaseReport)> = report
        .clauses
        .iter()
        .flat_map(|clause| clause.cases.iter().map(move |case| (clause, case)))
        .filter(|(_, case)| case.status.is_failure())
        .collect();
    html! {
        @if !failed.is_empty() {
            section {
                h2 {
                    "What does not hold"
                    @if let Some(name) = name { ": " (name) }
                }
                @for (clause, case) in failed {
                    article.failure.(case.status.name()) {
                        h3 {
                            span.mark.(case.status.name()) { (sign(Some(&case.status)).1) }
                            " " a href={ "#" (clause.id) } { (clause.id) } " " (clause.title)
                        }
                        p.where {
                            code { (case.leg) "::" (clause.id) "::" (case.case) }
                            " · seed " code { (case.seed) }
                            " · " (format!("{:.2} s", case.seconds))
                        }
                        @match &case.timeline {
                            // The drawing and its list say the same.
                            Some(drawn) => {
                                p { (case.message.as_deref().and_then(|text| text.lines().next())
                                    .unwrap_or("no message")) }
                                (timeline(drawn))
                            }
                            None => pre { (case.message.as_deref().unwrap_or("no message")) }
                        }
                        @if !case.operations.is_empty() {
                            p.label { "The fewest operations found that break it:" }
                            ol.steps { @for step in &case.operations { li { (step) } } }
                        }
                        @if !case.histories.is_empty() {
                            p.files {
                                "Histories, to be judged again with "
                                code { "pinstate conformance recheck DIR" } ": "
                                @for file in &case.histories { code { (file) } " " }
                            }
                        }
                        (reason(&clause.why))
                        p.again {
                            "Once more: "
                            code {
                                "pinstate --store … conformance --only " (clause.id)
                                " --seed " (case.seed)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One case in the details of a clause.
pub(super) fn case(case: &CaseReport) -> Markup {
    let (sign, word) = sign(Some(&case.status));
    let failed = case.status.is_failure();
    html! {
        li {
            span.mark.(class(Some(&case.status))) title=(word) { (sign) }
            " " code { (case.case) }
            @if let Some(capability) = &case.capability {
                " " span.capability { "about " (capability) }
            }
            " " span.seconds { (format!("{:.2} s", case.seconds)) }
            @if let (false, Some(message)) = (failed, &case.message) {
                " " span.message { (message) }
            }
        }
    }
}

/// What a clause came to on one leg.
pub(super) fn cell(clause: Option<&ClauseReport>, leg: &str) -> Markup {
    let status = clause.and_then(|clause| clause.status(leg));
    let (sign, word) = sign(status);
    let of = |clause: &ClauseReport| {
        let cases: Vec<_> = clause.on(leg).collect();
        let passed = cases.iter().filter(|case| case.status == Status::Pass).count();
        format!("{passed} of {}", cases.len())
    };
    html! {
        td.cell {
            span.mark.(class(status)) {
                span.sign aria-hidden="true" { (sign) } " " span.word { (word) }
            }
            @if let Some(clause) = clause {
                @if clause.on(leg).nth(1).is_some() { span.of { (of(clause)) } }
            }
        }
    }
}

/// What a group of clauses is about.
pub(super) fn group_title(group: &str) -> String {
    let title = match group {
        "C" => "Basic operations",
        "R" => "Replacing",
        "I" => "Doing things twice",
        "N" => "What is not there",
        "L" => "Lists and cursors",
        "K" => "Counts",
        "B" => "Batches",
        "D" => "Durability",
        "X" => "Many at once",
        "S" => "Sizes",
        "U" => "Bytes and text",
        "E" => "Import and export",
        "Z" => "What a store holds, and gives back",
        "F" => "Failures",
        "Q" => "Futures that are dropped",
        "P" => "Backpressure",
        "T" => "Expiry",
        "H" => "Health",
        "V" => "Upgrades",
        "Y" => "What the suite itself leaves alone",
        other => return format!("Group {other}"),
    };
    title.to_owned()
}

/// Capabilities, server and configuration, side by side.
pub(super) fn facts(reports: &[&Report]) -> Markup {
    let mut rows: Vec<(&str, &str)> = Vec::new();
    for report in reports {
        let backend = &report.backend;
        let parts = [
            ("capability", backend.capabilities.keys().map(String::as_str).collect::<Vec<_>>()),
            ("server", backend.server.keys().map(String::as_str).collect()),
            ("configuration", backend.configuration.keys().map(String::as_str).collect()),
        ];
        for (part, names) in parts {
            for name in names {
                if !rows.contains(&(part, name)) {
                    rows.push((part, name));
                }
            }
        }
    }
    let order = ["capability", "server", "configuration"];
    rows.sort_by_key(|(part, _)| order.iter().position(|known| known == part));
    html! {
        table.facts {
            thead { tr {
                th scope="col" { "fact" }
                @for report in reports { th scope="col" { (name(reports, report)) } }
            } }
            tbody {
                tr {
                    td { "suite" }
                    @for report in reports { td { (report.suite) } }
                }
                @for (part, key) in &rows {
                    tr {
                        td { (key) " " span.part { (part) } }
                        @for report in reports { td { (fact(report, part, key)) } }
                    }
                }
            }
        }
    }
}

fn fact(report: &Report, part: &str, name: &str) -> String {
    let backend = &report.backend;
    let text = match part {
        "capability" => backend.capabilities.get(name).map(plain),
        "server" => backend.server.get(name).cloned(),
        _ => backend.configuration.get(name).cloned(),
    };
    text.unwrap_or_else(|| "·".to_owned())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", plain(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
