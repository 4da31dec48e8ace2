//! Reports: the page, `bench.json`, the histogram logs and the table.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "report/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use pinstate_bench::outcome::{Mode, Report, Verdict, Window};
use pinstate_bench::report::{html, read, table, write};

use self::sample::{HOSTILE, sample};

const ESCAPED: &str = "&lt;script&gt;alert(&quot;sled&quot;)&lt;/script&gt;";

/// Each element is closed where it has to be, and each attribute is in quotes.
#[track_caller]
fn well_formed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let (text, from) = rest.split_at(start);
        assert!(!text.contains('>') || open.last() == Some(&"style"), "{text}");
        let end = from.find('>').unwrap();
        let tag = &from[1..end];
        rest = &from[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes something else");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        let name = tag.split(' ').next().unwrap();
        let plain = |letter: char| letter.is_ascii_alphanumeric();
        assert!(!name.is_empty() && name.chars().all(plain), "<{tag}>");
        if name != "meta" {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

/// The windows of a log, as other tools see them: start and length in seconds, and the times.
fn read_log(path: &Path) -> Vec<(f64, f64, Histogram<u64>)> {
    let text = std::fs::read(path).unwrap();
    let mut deserializer = Deserializer::new();
    let mut windows = Vec::new();
    for entry in IntervalLogIterator::new(&text) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        let encoded = interval.encoded_histogram().as_bytes();
        let bytes = data_encoding::BASE64.decode(encoded).unwrap();
        let histogram = deserializer.deserialize(&mut bytes.as_slice()).unwrap();
        let start = interval.start_timestamp().as_secs_f64();
        windows.push((start, interval.duration().as_secs_f64(), histogram));
    }
    windows
}

/// So many of a window's operations took no longer.
fn quantile(window: &Window, quantile: f64) -> u64 {
    let all: u64 = window.times.iter().map(|(_, count)| u64::from(*count)).sum();
    let mut seen = 0;
    let reached = window.times.iter().find(|(_, count)| {
        seen += u64::from(*count);
        seen as f64 >= quantile * all as f64
    });
    reached.unwrap().0
}

#[test]
fn the_page_names_everything_and_obeys_nobody() {
    let report = sample(3, 4);
    let page = html(&report);
    well_formed(&page);
    for inside in ["<script", "<b>nothing", "<b>&"] {
        assert!(!page.contains(inside), "{inside}");
    }
    for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    let named = [
        ESCAPED,
        "memory",
        "scylla",
        "/tmp/&lt;b&gt;&amp;&quot;pins&quot;",
        "each write is on the disk",
        "quorum reads",
        "64 MiB",
        "<b>conformance</b><span>core, durable</span>",
        "open loop at 800/s, poisson arrivals",
        "seed <code>42</code>",
        "b3:5f1d9c0e",
        "preload = 10000",
        "AMD EPYC 7763",
        "24 GiB",
        "Linux 6.12.9",
        ">get<",
        ">put<",
        ">delete<",
        "timeout 3",
        "3.44 times",
        "31 MiB",
        "unknown",
        "99.9 %",
        "Round 2: the queue grew to 9,120 operations",
        "scylla in round 2: it was saturated",
        "memory, round 2: its windows still changed after 8 s",
        "run-001-",
    ];
    for name in named {
        assert!(page.contains(name), "{name} is not on the page");
    }
}

#[test]
fn what_must_be_seen_stands_at_the_top() {
    let page = html(&sample(3, 4));
    let top = &page[..page.find("<h2>Figures</h2>").unwrap()];
    let seen = [
        &format!("<h2 class=\"bad\">{ESCAPED} answered wrongly</h2>"),
        "4 answers that no right store gives",
        "get of k17 gave &lt;b&gt;nothing&lt;/b&gt;, and it was put before",
        "3 more.",
        &format!("{ESCAPED} answered wrongly: its speed counts for nothing"),
        "scylla is SATURATED in 1 of 4 runs",
        "No contest among equals",
        "<li>durability: &quot;none: gone with the process&quot; and &quot;each write is on the disk&quot;",
        "<li>consistency: &quot;linearizable&quot; and &quot;quorum reads&quot;",
        "scylla is slower than memory in p50, p99 and p99.9; no difference was shown in throughput",
    ];
    for text in seen {
        assert!(top.contains(text), "{text} is not at the top");
    }
    let good = html(&sample(2, 2));
    for text in ["answered wrongly", "SATURATED", "Saturated runs are red", "WRONG"] {
        assert!(!good.contains(text), "{text} of a store that did nothing wrong");
    }
}

#[test]
fn latencies_of_saturated_runs_are_told_nowhere() {
    let mut report = sample(3, 3);
    let run = report.runs.iter().find(|run| run.saturated.is_some()).unwrap();
    // Some seconds, while the others stay below 100 ms.
    assert!(run.kinds[0].latency.p50 > 1_000_000_000);
    let told = table(&report);
    let row = told.lines().find(|line| line.starts_with("scylla  ")).unwrap().to_owned();
    assert!(row.contains("SATURATED in 1 of 3 runs") && !row.contains(" s "), "{row}");

    // And where there is no other, none are.
    report.runs.retain(|run| run.subject != 2 || run.saturated.is_some());
    let told = table(&report);
    let row: Vec<&str> = told
        .lines()
        .find(|line| line.starts_with("scylla  "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row, ["scylla", "496/s", "-", "-", "-", "-", "300", "µs", "0", "SATURATED"]);
    well_formed(&html(&report));
    report.runs.retain(|run| run.subject == 2);
    let page = html(&report);
    well_formed(&page);
    assert!(page.contains("there are no latencies to draw"));
}

#[test]
fn reports_of_every_size_are_drawn() {
    let mut reports = [sample(1, 1), sample(2, 14), sample(2, 0), sample(0, 0)];
    for run in &mut reports[0].runs {
        run.mode = Mode::Closed { clients: 8 };
    }
    for report in &reports {
        let page = html(report);
        well_formed(&page);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }
    let one = html(&reports[0]);
    assert!(one.contains("closed loop of 8 clients") && one.contains("1 round ·"));
    assert!(!one.contains("<h2>Ratios</h2>"), "one store is compared with none");

    // Nothing answered, and windows by the thousand.
    let mut report = sample(2, 1);
    for window in report.runs.iter_mut().flat_map(|run| &mut run.windows) {
        window.operations = 0;
        window.times.clear();
    }
    well_formed(&html(&report));
    let mut report = sample(1, 1);
    let window = report.runs[0].windows[0].clone();
    let at = |at: u32| Window { at: f64::from(at), seconds: 1.0, ..window.clone() };
    report.runs[0].windows = (0..3_000).map(at).collect();
    let page = html(&report);
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/if need be");
    let report = sample(3, 3);
    // Over what is there.
    write(&sample(2, 1), &folder).unwrap();
    let files = write(&report, &folder).unwrap();
    assert_eq!(files.json, folder.join("bench.json"));
    let again = read(&files.json).unwrap();
    let value = |report: &Report| serde_json::to_value(report).unwrap();
    assert_eq!(value(&again), value(&report));
    assert_eq!(std::fs::read_to_string(&files.page).unwrap(), html(&report));
    assert_eq!(files.logs.len(), report.runs.len());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".new"), "{name} is left");
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.json");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        error.to_string().replace(&path.display().to_string(), "FILE")
    };
    assert_eq!(
        refused("{\"schema\": 2, \"of\": \"tomorrow\"}"),
        "FILE was written by a newer version: it has the form 2, and this version reads the form 1"
    );
    assert!(refused("{\"schema\": 0}").contains("by an older version"));
    assert!(refused("{}").starts_with("FILE is no report of a benchmark: missing field"));
    assert!(refused("{\"schema\": 1}").starts_with("the report FILE is damaged: missing field"));
    std::fs::remove_file(&path).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("bench.json"), "{error}");
}

#[test]
fn nothing_stays_behind_where_a_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("bench.html");
    std::fs::create_dir(&place).unwrap();
    let error = write(&sample(1, 1), folder.path()).unwrap_err();
    assert!(error.to_string().contains(&format!("cannot write {}", place.display())), "{error}");
    // `bench.json` says that the others are there.
    assert!(!folder.path().join("bench.json").exists());
    assert!(!folder.path().join("bench.html.new").exists());
}

#[test]
fn logs_hold_what_the_windows_hold() {
    let folder = tempfile::tempdir().unwrap();
    let report = sample(3, 2);
    let files = write(&report, folder.path()).unwrap();
    for (run, log) in report.runs.iter().zip(&files.logs) {
        let windows = read_log(log);
        assert_eq!(windows.len(), run.windows.len());
        for (window, (start, seconds, histogram)) in run.windows.iter().zip(&windows) {
            assert_eq!((*start, *seconds), (window.at, window.seconds));
            assert_eq!(histogram.len(), window.operations);
            for part in [0.5, 0.9, 0.99, 0.999, 1.0] {
                let (found, expected) = (histogram.value_at_quantile(part), quantile(window, part));
                assert!(histogram.equivalent(found, expected), "{part}: {found}, {expected}");
            }
        }
        let text = std::fs::read_to_string(log).unwrap();
        assert_eq!(text.contains("#SATURATED: "), run.saturated.is_some());
    }
    // A name is no line of its own.
    let mut report = report;
    report.subjects[0].name = "memory\n[BaseTime: 5 (seconds since epoch)]".to_owned();
    let files = write(&report, folder.path()).unwrap();
    for log in files.logs {
        assert!(!std::fs::read_to_string(log).unwrap().contains("\n#[BaseTime"));
    }
}

#[test]
fn the_table_says_what_matters() {
    let mut report = sample(3, 4);
    report.subjects[1].name = "sled\u{1b}[31m".to_owned();
    report.comparisons[1].metrics[1].verdict = Verdict::Faster;
    let told = table(&report);
    let lines: Vec<&str> = told.lines().collect();
    let expected = [
        "churn: Pins come and go: what a busy cluster does all day.",
        "open loop at 800/s, poisson arrivals, 4 rounds, seed 42",
        "WRONG ANSWERS from sled\u{fffd}[31m: 4",
        "  round 3: get of k17 gave <b>nothing</b>, and it was put before",
        "scylla is faster than memory in p50, and slower in p99 and p99.9; no difference was \
         shown in throughput",
        "  UNEQUAL PROMISES, consistency: \"linearizable\" and \"quorum reads\"",
        "  sled\u{fffd}[31m ANSWERED WRONGLY: its speed counts for nothing",
        "  left out: scylla in round 2: it was saturated",
        "memory, round 2: still changed when measuring began",
    ];
    for line in expected {
        assert!(lines.contains(&line), "{line}\nis not in\n{told}");
    }
    // Columns end where the others of them end.
    let at = |start: &str, part: &str| {
        let line = lines.iter().find(|line| line.starts_with(start)).unwrap();
        let end = line.find(part).unwrap() + part.len();
        line[..end].chars().count()
    };
    let throughput = at("        ", "throughput");
    assert_eq!(at("memory  ", "/s"), throughput, "\n{told}");
    assert_eq!(at("scylla  ", "/s"), throughput, "\n{told}");
}

/// The middle of what sound runs say: not the mean, and not of all runs.
#[test]
fn figures_are_medians() {
    let mut report = sample(1, 3);
    let times = [1_000_000, 2_000_000, 90_000_000];
    for (run, time) in report.runs.iter_mut().zip(times) {
        run.kinds[0].latency.p99 = time;
        run.kinds[0].errors = BTreeMap::from([("busy".to_owned(), 2)]);
    }
    assert!(table(&report).lines().any(|line| line.contains("  2 ms  ") && line.ends_with("  6")));
    report.runs[2].saturated = Some("slow".to_owned());
    assert!(table(&report).contains("  1.50 ms  "), "{}", table(&report));
}

/// Reports to look at: into the folder that `PINSTATE_BENCH_SAMPLE` names.
#[test]
fn samples_are_written_where_they_are_asked_for() {
    let Some(folder) = std::env::var_os("PINSTATE_BENCH_SAMPLE") else { return };
    for (name, subjects, rounds) in [("one", 1, 1), ("two", 2, 5), ("three", 3, 5)] {
        write(&sample(subjects, rounds), &Path::new(&folder).join(name)).unwrap();
    }
    assert!(Path::new(&folder).join("three/bench.html").exists(), "for {HOSTILE}");
}
