//! One HTML page that needs nothing else: no script, no font, no picture from elsewhere.
//!
//! Drawings stretch to the room there is, and what is written at their axes does not: it is
//! text beside the drawing, of one size on every screen.

mod columns;
mod curve;
mod heat;
mod parts;
mod plot;
mod ratios;
mod tables;
mod time;
mod verdicts;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use self::columns::Columns;
use super::figures::{Figures, mode};
use super::units;
use crate::outcome::Report;

const STYLE: &str = include_str!("report.css");

/// The report as one page.
#[must_use]
pub fn html(report: &Report) -> String {
    let subjects = Figures::of(report);
    let columns = Columns::of(report);
    let names: Vec<&str> = subjects.iter().map(|figures| figures.setup.name.as_str()).collect();
    let title = format!("{} on {}", report.workload.name, units::list(&names));
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { (report.workload.about) }
                    (what(report))
                }
                (verdicts::wrong(&subjects))
                (verdicts::saturated(&subjects))
                (verdicts::comparisons(report))
                section {
                    h2 { "Figures" }
                    (tables::figures(&subjects))
                    p.note {
                        "Medians of the runs that kept their rate; errors are those of all runs."
                    }
                    (tables::not_warm(report))
                }
                @if !report.comparisons.is_empty() {
                    section {
                        h2 { "Ratios" }
                        (ratios::ratios(report))
                    }
                }
                section {
                    h2 { "Latency" }
                    (curve::curve(&subjects))
                }
                section {
                    h2 { "Over time" }
                    div.charts {
                        (time::throughput(&subjects, &columns))
                        (time::p99(&subjects, &columns))
                    }
                    div.charts.small { (heat::heat(&subjects, &columns)) }
                }
                section {
                    h2 { "What was measured" }
                    (parts::setups(&subjects))
                }
                section {
                    h2 { "Kinds of operations" }
                    (tables::kinds(&subjects))
                }
                section {
                    h2 { "What it took" }
                    (tables::resources(&subjects))
                    p.note {
                        "Of the process that gave the load, in which embedded stores work too. A "
                        "server's own processes are not counted."
                    }
                }
                section {
                    h2 { "Runs" }
                    (tables::runs(report))
                }
                section {
                    h2 { "How to read this" }
                    (parts::reading())
                }
                section {
                    h2 { "To have it again" }
                    (parts::environment(report))
                }
            }
        }
    };
    page.into_string()
}

/// When, how long, and how the load was given.
fn what(report: &Report) -> Markup {
    let mut rounds: Vec<usize> = report.runs.iter().map(|run| run.round).collect();
    rounds.sort_unstable();
    rounds.dedup();
    let mut modes: Vec<String> = report.runs.iter().map(|run| mode(&run.mode)).collect();
    modes.dedup();
    markup! {
        p.what {
            (report.began) " · " (format!("{:.0} s", report.seconds))
            @if modes.len() == 1 { @for mode in &modes { " · " (mode) } }
            " · " (rounds.len()) @if rounds.len() == 1 { " round" } @else { " rounds" }
            " · seed " code { (report.seed) }
            " · pinstate " (report.version)
        }
    }
}
