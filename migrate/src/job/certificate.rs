//! What a job that is over can show: as JSON, and as one page that needs nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::ledger::{Counts, Note, Phase, Run, Standing, Verified, VerifiedBy};
use super::settings::Settings;
use super::source::Identity;

const STYLE: &str = include_str!("certificate/certificate.css");

/// What was moved, what was left, how it was compared, and who did it when.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Certificate {
    /// The version of this document's form.
    pub format: u32,
    /// The job.
    pub job: String,
    /// How it ended.
    pub phase: Phase,
    /// What was read.
    pub source: Identity,
    /// What was written.
    pub target: Identity,
    /// What the job was told.
    pub settings: Settings,
    /// What was done with the records.
    pub counts: Counts,
    /// Dead letters that are still there.
    pub dead: u64,
    /// The sum over what was written, under the job's own secret: two jobs have different ones.
    pub sum: String,
    /// What the comparison came to.
    pub verified: Option<Verified>,
    /// Every process that worked on it.
    pub runs: Vec<Run>,
    /// Milliseconds that workers have waited in all, by the reason.
    pub throttled: BTreeMap<String, u64>,
    /// What was changed while it ran.
    pub notes: Vec<Note>,
}

impl Certificate {
    pub(super) fn of(standing: &Standing) -> Self {
        let header = &standing.header;
        let mut throttled = BTreeMap::new();
        for ended in standing.runs.iter().filter_map(|run| run.ended.as_ref()) {
            for (why, millis) in &ended.throttled {
                *throttled.entry(why.clone()).or_default() += millis;
            }
        }
        let sums = standing.parts.values();
        let sums = sums.map(|part| u128::from_str_radix(&part.sum, 16).unwrap_or_default());
        let sum = sums.fold(0_u128, u128::wrapping_add);
        Self {
            format: 1,
            job: header.job.to_string(),
            phase: standing.phase,
            source: header.source.clone(),
            target: header.target.clone(),
            settings: header.settings.clone(),
            counts: standing.counts(),
            dead: standing.dead(),
            sum: format!("{sum:032x}"),
            verified: standing.verified.clone(),
            runs: standing.runs.clone(),
            throttled,
            notes: standing.notes.clone(),
        }
    }

    /// Whether everything that should be in the target certainly is.
    fn is_good(&self) -> bool {
        self.phase == Phase::Done && self.dead == 0
    }

    fn verdict(&self) -> String {
        match self.phase {
            Phase::Done if self.dead == 0 => "Moved, and verified".to_owned(),
            Phase::Done => format!("Moved and verified, but for {} records", self.dead),
            Phase::Different => "The target is not what it should be".to_owned(),
            Phase::Aborted => "Given up".to_owned(),
            Phase::Copying | Phase::Verifying | Phase::Replacing => "Not over".to_owned(),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// As an HTML page: no script, no font, no picture from elsewhere.
    #[must_use]
    pub fn html(&self) -> String {
        let title = format!("Migration from {} to {}", self.source.name, self.target.name);
        let class = if self.is_good() { "verdict good" } else { "verdict bad" };
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
                    header {
                        h1 { "Migration certificate" }
                        p.route {
                            span { (self.source.name) } " → " span { (self.target.name) }
                        }
                    }
                    p class=(class) { (self.verdict()) }
                    (self.numbers())
                    section { h2 { "How it was verified" } (self.comparison()) }
                    section { h2 { "What it was told" } (self.told()) }
                    section { h2 { "Who worked on it" } (self.processes()) }
                    @if !self.throttled.is_empty() {
                        section {
                            h2 { "What it waited for" }
                            table { tbody {
                                @for (why, millis) in &self.throttled {
                                    tr { th scope="row" { (why) } td { (seconds(*millis)) } }
                                }
                            } }
                        }
                    }
                    @if !self.notes.is_empty() {
                        section {
                            h2 { "What was changed meanwhile" }
                            table { tbody {
                                @for note in &self.notes {
                                    tr { th scope="row" { (moment(note.at)) } td { (note.text) } }
                                }
                            } }
                        }
                    }
                    footer { "Job " code { (self.job) } }
                }
            }
        };
        page.into_string()
    }

    fn numbers(&self) -> Markup {
        let numbers = [
            ("read", self.counts.read),
            ("written", self.counts.written),
            ("left out by rules", self.counts.left_out),
            ("newer at the target", self.counts.superseded),
            ("dead letters", self.dead),
        ];
        html! {
            ul.numbers {
                @for (what, number) in numbers { li { b { (grouped(number)) } " " (what) } }
                li { b { (grouped(self.counts.bytes)) } " bytes of keys and values" }
            }
        }
    }

    fn comparison(&self) -> Markup {
        let Some(verified) = &self.verified else {
            return html! { p.bad { "The target was not compared." } };
        };
        let how = match verified.by {
            VerifiedBy::Digest => {
                "The target was read once more: it has as many records as were written, and they \
                 come to the same sum under a secret of this job."
            }
            VerifiedBy::Comparison => {
                "Source and target were read once more and compared record by record, byte by byte."
            }
        };
        let rows = [
            ("records of the source", verified.source),
            ("records of the target", verified.target),
            ("missing from the target", verified.missing),
            ("at the target and not at the source", verified.extra),
            ("different", verified.different),
            ("newer at the target, as they may be", verified.newer),
            ("of the target alone, as they may be", verified.other),
        ];
        html! {
            p { (how) }
            table { tbody {
                // Some of it can only be in some modes.
                @for (what, number) in rows.into_iter().filter(|(what, number)| {
                    *number > 0 || !what.ends_with("as they may be")
                }) {
                    tr { th scope="row" { (what) } td { (grouped(number)) } }
                }
                tr { th scope="row" { "sum" } td { code { (self.sum) } } }
                tr { th scope="row" { "durable against" } td { (verified.durability) } }
                tr { th scope="row" { "when" } td { (moment(verified.at)) } }
            } }
        }
    }

    fn told(&self) -> Markup {
        let rules = serde_json::to_value(&self.settings.rules).unwrap_or_default();
        let nothing = |value: &serde_json::Value| {
            value.is_null()
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty)
        };
        let rules = rules.as_object().into_iter().flatten();
        html! {
            table { tbody {
                tr { th scope="row" { "mode" } td { (self.settings.mode.name()) } }
                @for (name, value) in rules.filter(|(_, value)| !nothing(value)) {
                    tr { th scope="row" { (name.replace('_', " ")) } td { code { (value) } } }
                }
                @for (side, identity) in [("source", &self.source), ("target", &self.target)] {
                    tr {
                        th scope="row" { (side) }
                        td { (identity.name) br; code { (identity.id) } }
                    }
                }
            } }
        }
    }

    fn processes(&self) -> Markup {
        html! {
            table.runs {
                thead { tr {
                    th scope="col" { "began" } th scope="col" { "ended" }
                    th scope="col" { "who" } th scope="col" { "how" }
                } }
                tbody {
                    @for run in &self.runs {
                        tr {
                            td { (moment(run.began)) }
                            @match &run.ended {
                                Some(ended) => {
                                    td { (moment(ended.at)) }
                                    td { "process " (run.pid) " on " (run.host) ", pinstate " (run.program) }
                                    td {
                                        (run.workers) " workers, pages of " (run.page_rows)
                                        @if ended.retries > 0 { ", " (ended.retries) " calls made again" }
                                        @if let Some(error) = &ended.error { br; span.bad { (error) } }
                                    }
                                }
                                None => {
                                    td.bad { "died" }
                                    td { "process " (run.pid) " on " (run.host) ", pinstate " (run.program) }
                                    td { (run.workers) " workers, pages of " (run.page_rows) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A moment, in UTC.
fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

fn seconds(millis: u64) -> String {
    format!("{:.1} s", millis as f64 / 1_000.0)
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (digit, left) in digits.chars().zip((1..=digits.len()).rev()) {
        out.push(digit);
        if left > 1 && left % 3 == 1 {
            out.push('\u{202f}');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(super::grouped(number).replace('\u{202f}', " "), text);
        }
        assert_eq!(super::moment(0), "1970-01-01T00:00:00Z");
    }
}
