//! What is said of jobs: plans, how far they are, and what they came to.

use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use pinstate_migrate::job::{Plan, Progress, Report, VerifiedBy, Weight};
use serde_json::{Value, json};

use crate::exit::Outcome;
use crate::output::Output;
use crate::progress::wanted;
use crate::redact;

/// A plan.
pub(super) fn plan(plan: &Plan, to: &str, out: Output) -> Outcome<()> {
    let count =
        |n: Option<u64>| n.map_or("unknown".to_owned(), |n| format!("about {}", HumanCount(n)));
    let target = match &plan.target {
        Some(target) => target.name.clone(),
        None => format!("{}, which is not there yet", redact::store(to)),
    };
    let mut text = format!(
        "from      {}\nto        {target}\nmode      {}\npins      {}",
        plan.source.name,
        plan.settings.mode.name(),
        count(plan.records)
    );
    if let Some(bytes) = plan.bytes {
        text.push_str(&format!("\nbytes     about {} of keys and values", HumanBytes(bytes)));
    }
    if plan.target_records.is_some() {
        text.push_str(&format!("\nthere     {} pins", count(plan.target_records)));
    }
    if let Some(seconds) = plan.read_seconds {
        text.push_str(&format!(
            "\ntime      reading takes one reader about {}; writing is not tried",
            HumanDuration(std::time::Duration::from_secs(seconds))
        ));
    }
    for finding in &plan.findings {
        let label = match finding.weight {
            Weight::Note => "note",
            Weight::Warning => "warning",
            Weight::Stop => "stop",
        };
        text.push_str(&format!("\n{label:<9} {}", finding.text));
    }
    let mut json = serde_json::to_value(plan).unwrap_or_default();
    if let Value::Object(object) = &mut json {
        object.insert("possible".to_owned(), Value::Bool(plan.is_possible()));
    }
    out.result(text, &json)
}

/// Says that what was told is all that was done.
pub(super) fn nothing_done(out: Output) {
    out.note("this is a plan, and nothing was done: 'migrate run' with --yes does it");
}

/// How far a job is, in one line.
pub(super) fn line(progress: &Progress, dead: u64) -> String {
    let counts = &progress.counts;
    let done = match (progress.fraction(), progress.expected) {
        (Some(fraction), Some(expected)) => format!(
            "{:.1}% ({}/{})",
            fraction * 100.0,
            HumanCount(counts.read),
            HumanCount(expected)
        ),
        (Some(fraction), None) if fraction >= 1.0 => format!("100% ({})", HumanCount(counts.read)),
        _ => format!("{} pins", HumanCount(counts.read)),
    };
    let (complete, all) = progress.parts;
    let mut line = done;
    // Of what is over there is no speed.
    if !progress.phase.is_over() {
        let bytes = HumanBytes(progress.bytes_per_second.max(0.0) as u64);
        line.push_str(&format!(" {:.0}/s {bytes}/s", progress.rows_per_second));
    }
    line.push_str(&format!(" | parts {complete}/{all} | dead {dead}"));
    if complete < all {
        let left = progress
            .remaining()
            .map_or("unknown".to_owned(), |left| HumanDuration(left).to_string());
        line.push_str(&format!(" | ETA {left}"));
    }
    if progress.retries > 0 {
        line.push_str(&format!(" | retries {}", progress.retries));
    }
    if let Some(reason) = &progress.throttled {
        line.push_str(&format!(" | throttled: {reason}"));
    }
    line
}

/// How far a job is, for programs.
pub(super) fn document(progress: &Progress) -> Value {
    let mut json = serde_json::to_value(progress).unwrap_or_default();
    if let Value::Object(object) = &mut json {
        object.insert("fraction".to_owned(), json!(progress.fraction()));
        let left = progress.remaining().map(|left| left.as_secs());
        object.insert("seconds_left".to_owned(), json!(left));
    }
    json
}

/// Shows how far a job is while it runs: a line for people, documents for programs.
pub(super) struct Display {
    bar: ProgressBar,
    out: Output,
}

impl Display {
    pub(super) fn new(out: Output) -> Self {
        let bar = if wanted() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{prefix} {wide_msg}");
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())), out }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        self.bar.set_prefix(progress.phase.name());
        self.bar.set_message(line(progress, progress.counts.dead));
        self.bar.tick();
        self.out.progress(&document(progress));
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// What a job came to.
pub(super) fn report(report: &Report, out: Output) -> Outcome<()> {
    let counts = &report.counts;
    let mut text = format!(
        "{}: {} pins read, {} written, {} left out, {} newer at the target, {} dead letters",
        report.phase.name(),
        counts.read,
        counts.written,
        counts.left_out,
        counts.superseded,
        report.dead
    );
    if let Some(verified) = &report.verified {
        let how = match verified.by {
            VerifiedBy::Digest => "by what was copied",
            _ => "by a comparison of both",
        };
        text.push_str(&if verified.equal {
            format!("\nverified {how}: {} pins at the target", verified.target)
        } else {
            format!(
                "\nnot the same {how}: {} missing, {} extra, {} different",
                verified.missing, verified.extra, verified.different
            )
        });
        text.push_str(&format!("; durable: {}", verified.durability));
    }
    let place = report.folder.path().join("certificate.html");
    text.push_str(&format!("\ncertificate: {}", place.display()));
    if report.dead > 0 {
        let letters = report.folder.letters();
        text.push_str(&format!(
            "\ndead letters: {}; 'pinstate migrate retry-dead' tries them again",
            letters.display()
        ));
    }
    let json = json!({
        "phase": report.phase,
        "counts": report.counts,
        "dead": report.dead,
        "verified": report.verified,
        "folder": report.folder.path().display().to_string(),
    });
    out.result(text, &json)
}
