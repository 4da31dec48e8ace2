//! Figures in rows and columns.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::plot::key;
use crate::outcome::{Latencies, Report, Run};
use crate::report::figures::{ALL, Figures, mode, name};
use crate::report::hlog;
use crate::report::units::{UNKNOWN, bytes, count, rate, time};

/// A percentile by its name.
type Percentile = (&'static str, fn(&Latencies) -> u64);

/// Those that tables have.
const PERCENTILES: [Percentile; 4] = [
    ("p50", |latencies| latencies.p50),
    ("p99", |latencies| latencies.p99),
    ("p99.9", |latencies| latencies.p999),
    ("max", |latencies| latencies.max),
];

/// Wider than a narrow screen: it can be pushed aside there.
fn wide(table: Markup) -> Markup {
    html! { div.wide tabindex="0" { (table) } }
}

fn latency(figures: &Figures<'_>, kind: &str, figure: fn(&Latencies) -> u64) -> String {
    figures.latency(kind, figure).map_or_else(|| "–".to_owned(), time)
}

fn errors(errors: &BTreeMap<&str, u64>) -> Markup {
    html! {
        td.number.bad[!errors.is_empty()] {
            (count(errors.values().sum()))
            @for (error, times) in errors { span.of { (error) " " (count(*times)) } }
        }
    }
}

/// A row for each store.
pub(super) fn figures(subjects: &[Figures<'_>]) -> Markup {
    wide(html! {
        table {
            thead { tr {
                th scope="col" { "store" } th.number scope="col" { "throughput" }
                @for (percentile, _) in PERCENTILES { th.number scope="col" { (percentile) } }
                th.number scope="col" { "CPU per operation" } th.number scope="col" { "errors" }
            } }
            tbody {
                @for figures in subjects {
                    tr {
                        th scope="row" {
                            (key(figures.place)) " " (figures.setup.name)
                            @if let Some(saturation) = figures.saturation() {
                                span.of.bad { (saturation) }
                            }
                            @if figures.wrong() > 0 { span.of.bad { "WRONG ANSWERS" } }
                        }
                        td.number { (figures.median(|run| Some(run.throughput)).map_or(UNKNOWN.to_owned(), rate)) }
                        @for (_, percentile) in PERCENTILES {
                            td.number { (latency(figures, ALL, percentile)) }
                        }
                        td.number {
                            (figures.median(|run| Some(run.resources.cpu_per_operation))
                                .map_or(UNKNOWN.to_owned(), time))
                        }
                        (errors(&figures.errors(ALL)))
                    }
                }
            }
        }
    })
}

/// Runs that had not settled when measuring began.
pub(super) fn not_warm(report: &Report) -> Markup {
    html! {
        @for run in report.runs.iter().filter(|run| !run.warm) {
            p.problem.weak {
                (name(report, run.subject)) ", round " (run.round) ": its windows still changed after "
                (format!("{:.0} s", run.warmup_seconds)) " of load, when measuring began."
            }
        }
    }
}

/// A row for each store in each kind of operation.
pub(super) fn kinds(subjects: &[Figures<'_>]) -> Markup {
    let mut names: Vec<&str> = Vec::new();
    let runs = subjects.iter().flat_map(|figures| &figures.runs);
    for kind in runs.flat_map(|run| &run.kinds) {
        if kind.name != ALL && !names.contains(&kind.name.as_str()) {
            names.push(&kind.name);
        }
    }
    wide(html! {
        table {
            thead { tr {
                th scope="col" { "store" } th.number scope="col" { "operations" }
                @for (percentile, _) in PERCENTILES { th.number scope="col" { (percentile) } }
                th.number scope="col" { "errors" }
            } }
            @for kind in names {
                tbody.group { tr { th scope="rowgroup" colspan="7" { (kind) } } }
                tbody {
                    @for figures in subjects {
                        tr {
                            th scope="row" { (key(figures.place)) " " (figures.setup.name) }
                            td.number { (count(figures.answered(kind))) }
                            @for (_, percentile) in PERCENTILES {
                                td.number { (latency(figures, kind, percentile)) }
                            }
                            (errors(&figures.errors(kind)))
                        }
                    }
                }
            }
        }
    })
}

/// What a run took, by name, as text; unknown is said to be unknown.
type Resource = (&'static str, fn(&Run) -> Option<f64>, fn(f64) -> String);

const RESOURCES: [Resource; 9] = [
    ("CPU per operation", |run| Some(run.resources.cpu_per_operation), time),
    (
        "processors kept busy",
        |run| Some(run.resources.processors_busy),
        |busy| format!("{busy:.2}"),
    ),
    ("memory at most", |run| Some(run.resources.rss_peak as f64), bytes),
    ("memory at the end", |run| Some(run.resources.rss as f64), bytes),
    ("keys and values written", |run| Some(run.resources.user_written as f64), bytes),
    ("handed to the disk", |run| run.resources.disk_written.map(|bytes| bytes as f64), bytes),
    (
        "write amplification",
        |run| run.resources.write_amplification(),
        |times| format!("{} times", crate::report::units::ratio(times)),
    ),
    (
        "barriers",
        |run| run.resources.barriers.map(|barriers| barriers as f64),
        |number| count(number as u64),
    ),
    ("size on the disk", |run| run.resources.disk_size.map(|bytes| bytes as f64), bytes),
];

/// A column for each store.
pub(super) fn resources(subjects: &[Figures<'_>]) -> Markup {
    wide(html! {
        table.resources {
            thead { tr {
                th scope="col" { "a run" }
                @for figures in subjects {
                    th.number scope="col" { (key(figures.place)) " " (figures.setup.name) }
                }
            } }
            tbody {
                @for (title, resource, text) in RESOURCES {
                    tr {
                        th scope="row" { (title) }
                        @for figures in subjects {
                            td.number { (figures.median(resource).map_or(UNKNOWN.to_owned(), text)) }
                        }
                    }
                }
            }
        }
    })
}

/// A row for each run.
pub(super) fn runs(report: &Report) -> Markup {
    html! {
        details {
            summary {
                @match report.runs.len() {
                    1 => { "1 run, and its histogram log" }
                    runs => { (runs) " runs, and their histogram logs" }
                }
            }
            (wide(html! {
                table {
                    thead { tr {
                        th scope="col" { "store" } th.number scope="col" { "round" }
                        th scope="col" { "load" } th.number scope="col" { "warm-up" }
                        th.number scope="col" { "measured" } th.number scope="col" { "operations" }
                        th.number scope="col" { "throughput" } th scope="col" { "log" }
                    } }
                    tbody { @for (index, run) in report.runs.iter().enumerate() {
                        tr.worse[run.saturated.is_some() || run.wrong_count > 0] {
                            th scope="row" {
                                (key(run.subject)) " " (name(report, run.subject))
                                @if run.saturated.is_some() { span.of.bad { "SATURATED" } }
                                @if run.wrong_count > 0 { span.of.bad { "WRONG ANSWERS" } }
                            }
                            td.number { (run.round) }
                            td { (mode(&run.mode)) }
                            td.number {
                                (format!("{:.1} s", run.warmup_seconds))
                                @if !run.warm { span.of { "not settled" } }
                            }
                            td.number { (format!("{:.1} s", run.seconds)) }
                            td.number { (count(run.operations)) }
                            td.number { (rate(run.throughput)) }
                            td { code { (hlog::name(report, index, run)) } }
                        }
                    } }
                }
            }))
        }
    }
}
