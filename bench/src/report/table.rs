//! The report as text for terminals.

use std::fmt::Write as _;

use super::figures::{ALL, Figures, failed, headline, mode, name, title, values, word};
use super::units::{UNKNOWN, chance, count, rate, ratio, time};
use crate::outcome::{Comparison, Report};

/// What to write where a latency would mean nothing.
const NONE: &str = "-";

/// The figures of each store, then each comparison.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    head(&mut text, report);
    for figures in &Figures::of(report) {
        let (wrong, name) = (figures.wrong(), &figures.setup.name);
        if wrong > 0 {
            line(&mut text, 0, &format!("WRONG ANSWERS from {name}: {}", count(wrong)));
            let told = figures.runs.iter().flat_map(|run| run.wrong.iter().map(|t| (run.round, t)));
            for (round, answer) in told.take(3) {
                line(&mut text, 2, &format!("round {round}: {answer}"));
            }
            text.push('\n');
        }
    }
    subjects(&mut text, report);
    for comparison in &report.comparisons {
        text.push('\n');
        compared(&mut text, report, comparison);
    }
    text
}

fn head(text: &mut String, report: &Report) {
    let rounds = report.runs.iter().map(|run| run.round).collect::<std::collections::BTreeSet<_>>();
    let rounds = match rounds.len() {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    };
    line(text, 0, &format!("{}: {}", report.workload.name, report.workload.about));
    let load = report.runs.first().map(|run| format!("{}, ", mode(&run.mode))).unwrap_or_default();
    line(text, 0, &format!("{load}{rounds}, seed {}", report.seed));
    text.push('\n');
}

fn subjects(text: &mut String, report: &Report) {
    let heads = ["", "throughput", "p50", "p99", "p99.9", "max", "CPU per op", "errors", ""];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for figures in Figures::of(report) {
        let latency = |figure| figures.latency(ALL, figure).map_or(NONE.to_owned(), time);
        let errors: u64 = figures.errors(ALL).values().sum();
        rows.push(vec![
            figures.setup.name.clone(),
            figures.median(|run| Some(run.throughput)).map_or(UNKNOWN.to_owned(), rate),
            latency(|latencies| latencies.p50),
            latency(|latencies| latencies.p99),
            latency(|latencies| latencies.p999),
            latency(|latencies| latencies.max),
            figures
                .median(|run| Some(run.resources.cpu_per_operation))
                .map_or(UNKNOWN.to_owned(), time),
            count(errors),
            figures.saturation().unwrap_or_default(),
        ]);
    }
    grid(text, 0, &rows);
    for run in report.runs.iter().filter(|run| !run.warm) {
        let who = name(report, run.subject);
        line(text, 0, &format!("{who}, round {}: still changed when measuring began", run.round));
    }
}

fn compared(text: &mut String, report: &Report, comparison: &Comparison) {
    let (base, other) = (name(report, comparison.base), name(report, comparison.other));
    line(text, 0, &format!("{other} {}", headline(report, comparison)));
    for subject in failed(report, comparison) {
        line(text, 2, &format!("{subject} ANSWERED WRONGLY: its speed counts for nothing"));
    }
    for promise in &comparison.unequal {
        line(text, 2, &format!("UNEQUAL PROMISES, {promise}"));
    }
    let heads = ["", base, other, "ratio", "95 % interval", "p", ""];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for metric in &comparison.metrics {
        let (base, other) = values(metric);
        let (low, high) = metric.interval;
        rows.push(vec![
            title(metric).to_owned(),
            base,
            other,
            ratio(metric.ratio),
            format!("{} to {}", ratio(low), ratio(high)),
            chance(metric.p),
            word(metric.verdict).to_owned(),
        ]);
    }
    if rows.len() > 1 {
        grid(text, 2, &rows);
    }
    for left_out in &comparison.left_out {
        line(text, 2, &format!("left out: {left_out}"));
    }
}

/// Columns as wide as what is in them. The first and the last are words, and begin at the left.
fn grid(text: &mut String, indent: usize, rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut written = " ".repeat(indent);
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = if column == 0 { "" } else { "  " };
            let _ = match column {
                0 => write!(written, "{cell:<width$}"),
                last if last + 1 == columns => write!(written, "{space}{cell}"),
                _ => write!(written, "{space}{cell:>width$}"),
            };
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
}

fn line(text: &mut String, indent: usize, what: &str) {
    let _ = writeln!(text, "{:indent$}{}", "", plain(what));
}

/// A terminal obeys control characters, whoever wrote them.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
