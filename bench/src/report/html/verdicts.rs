//! What it comes to: at the top, in words.

use maud::{Markup, html};

use crate::outcome::{Comparison, Report, Verdict};
use crate::report::figures::{Figures, failed, headline, name, title, values, word};
use crate::report::units::{chance, count, ratio};

/// Stores that answered wrongly have failed, however fast they were.
pub(super) fn wrong(subjects: &[Figures<'_>]) -> Markup {
    html! {
        @for figures in subjects.iter().filter(|figures| figures.wrong() > 0) {
            section.failure.wrong {
                h2.bad { (figures.setup.name) " answered wrongly" }
                p {
                    @match figures.wrong() { 1 => { "One answer" }, more => { (count(more)) " answers" } }
                    " that no right store gives: whatever else is said of it here, it has failed."
                }
                @for run in figures.runs.iter().filter(|run| run.wrong_count > 0) {
                    h4 { "Round " (run.round) ", " (count(run.wrong_count)) " wrong" }
                    ul.answers { @for answer in &run.wrong { li { code { (answer) } } } }
                    @if (run.wrong.len() as u64) < run.wrong_count {
                        p.note { (count(run.wrong_count - run.wrong.len() as u64)) " more." }
                    }
                }
            }
        }
    }
}

/// Runs that did not keep their rate.
pub(super) fn saturated(subjects: &[Figures<'_>]) -> Markup {
    html! {
        @for figures in subjects {
            @if let Some(saturation) = figures.saturation() {
                section.failure {
                    p.verdict.bad { (figures.setup.name) " is " (saturation) }
                    p {
                        "It could not keep the rate. The latencies of such runs tell how long they "
                        "were and not how fast the store is; they are compared with nothing."
                    }
                    ul.answers {
                        @for run in figures.saturated() {
                            li {
                                "Round " (run.round) ": "
                                (run.saturated.as_deref().unwrap_or_default())
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Each comparison as a card.
pub(super) fn comparisons(report: &Report) -> Markup {
    html! {
        @if !report.comparisons.is_empty() {
            div.runs { @for comparison in &report.comparisons { (card(report, comparison)) } }
        }
    }
}

/// The colour of a card: what all verdicts have in common.
fn standing(report: &Report, comparison: &Comparison) -> &'static str {
    if !failed(report, comparison).is_empty() {
        return "red";
    }
    let any = |verdict| comparison.metrics.iter().any(|metric| metric.verdict == verdict);
    match (any(Verdict::Faster), any(Verdict::Slower)) {
        (true, true) => "weak",
        (true, false) => "green",
        (false, true) => "red",
        (false, false) => "even",
    }
}

fn card(report: &Report, comparison: &Comparison) -> Markup {
    let (base, other) = (name(report, comparison.base), name(report, comparison.other));
    html! {
        section.run.(standing(report, comparison)) {
            p.verdict { (other) " " (headline(report, comparison)) }
            @for subject in failed(report, comparison) {
                p.problem { (subject) " answered wrongly: its speed counts for nothing." }
            }
            @if !comparison.unequal.is_empty() {
                div.unequal {
                    b { "No contest among equals: what they promise is not the same." }
                    ul { @for promise in &comparison.unequal { li { (promise) } } }
                }
            }
            ul.sentences {
                @for metric in &comparison.metrics {
                    @let (first, second) = values(metric);
                    @let (low, high) = metric.interval;
                    li {
                        b { (title(metric)) } ": " (second) ", "
                        b { (ratio(metric.ratio)) " times" } " the " (first) " of " (base) " ("
                        (ratio(low)) " to " (ratio(high)) ", p " (chance(metric.p)) "): " (word(metric.verdict)) "."
                    }
                }
            }
            @for left_out in &comparison.left_out { p.problem.weak { "Left out: " (left_out) } }
        }
    }
}
