//! What was measured, where, and how to read it.

use maud::{Markup, html};

use super::plot::key;
use crate::outcome::{Report, Setup};
use crate::report::figures::Figures;
use crate::report::units::bytes;

/// The detail that is shown as a badge: which levels of the conformance suite a store reaches.
const CONFORMANCE: &str = "conformance";

/// A card for each store.
pub(super) fn setups(subjects: &[Figures<'_>]) -> Markup {
    let differs = |promise: fn(&Setup) -> &str| {
        let mut promises = subjects.iter().map(|figures| promise(figures.setup));
        let first = promises.next();
        promises.any(|other| Some(other) != first)
    };
    let durability = differs(|setup| &setup.durability);
    let consistency = differs(|setup| &setup.consistency);
    html! {
        @if durability || consistency {
            p.note { "Promises that are not the same for all stand out." }
        }
        div.runs.small {
            @for figures in subjects {
                @let setup = figures.setup;
                section.run.plain {
                    h3 { (key(figures.place)) " " (setup.name) }
                    p.what { (setup.backend) " · " (setup.location) }
                    @if let Some(level) = setup.details.get(CONFORMANCE) {
                        ul.levels { li.reached { b { "conformance" } span { (level) } } }
                    }
                    dl {
                        dt { "durability" } dd.odd[durability] { (setup.durability) }
                        dt { "consistency" } dd.odd[consistency] { (setup.consistency) }
                        @for (name, text) in &setup.details {
                            @if name != CONFORMANCE { dt { (name) } dd { (text) } }
                        }
                    }
                }
            }
        }
    }
}

/// A few sentences for who sees such a page for the first time.
pub(super) fn reading() -> Markup {
    html! {
        div.reading {
            p {
                b { "Latency" } " counts from the time at which an operation was to begin. Where "
                "operations come at a rate of their own (open loop), that time is laid down "
                "beforehand: an operation that has to wait because the store is busy is charged "
                "for the waiting, as a user would feel it. In a closed loop clients wait for their "
                "answers, so that nobody asks while a store stalls: good for the most it can do, "
                "and blind to its worst moments."
            }
            p {
                b { "Saturated" } " is a run that could not keep its rate. What had to wait grew and "
                "grew, and so did latencies: they tell how long the run was. Ask for less, or "
                "compare the throughput of closed loops."
            }
            p {
                b { "p99" } " is the time that 99 of 100 operations did not exceed. Each run has its "
                "own; a store's figure is the median of its runs."
            }
            p {
                b { "No difference shown" } " does not mean that there is none: it was smaller than "
                "what matters, or chance may be the reason. More and longer rounds show more."
            }
            p {
                b { "Promises" } " come before speed: a store that forgets on a loss of power, or "
                "whose readers may see old values, has less to do. Where promises differ, so does "
                "what is compared."
            }
        }
    }
}

/// The machine, the seed and the workload.
pub(super) fn environment(report: &Report) -> Markup {
    let environment = &report.environment;
    let workload = &report.workload;
    html! {
        dl.facts {
            dt { "processor" } dd { (environment.processor) ", " (environment.processors) " of them" }
            dt { "memory" } dd { (bytes(environment.memory as f64)) }
            dt { "system" } dd { (environment.system) }
            dt { "pinstate" } dd { (report.version) }
            dt { "seed" } dd { code { (report.seed) } }
            dt { "workload" } dd { (workload.name) ", with the hash " code { (workload.hash) } }
        }
        pre.toml { (workload.toml) }
    }
}
