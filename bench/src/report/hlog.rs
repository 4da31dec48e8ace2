//! Histogram logs: what the tools around [HdrHistogram](https://hdrhistogram.org) read.
//!
//! An interval for each window. Histograms are in the second version of the encoding and
//! compressed, since other readers take no others.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::outcome::{Report, Run, Window};

/// What the log of a run is called: its place among the runs makes it the only one of its name.
pub(super) fn name(report: &Report, index: usize, run: &Run) -> String {
    let subject = report.subjects.get(run.subject).map_or("", |setup| setup.name.as_str());
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let subject: String = subject.chars().map(plain).take(40).collect();
    format!("run-{:03}-{subject}.hlog", index + 1)
}

/// All times of some windows in one histogram, with the three digits that they have.
///
/// # Errors
/// Never in practice: it grows with what comes.
pub(super) fn histogram<'a>(
    windows: impl IntoIterator<Item = &'a Window>,
) -> io::Result<Histogram<u64>> {
    let mut histogram = Histogram::new(3).map_err(io::Error::other)?;
    for (time, count) in windows.into_iter().flat_map(|window| &window.times) {
        histogram.record_n(*time, u64::from(*count)).map_err(io::Error::other)?;
    }
    Ok(histogram)
}

/// The log of a run. When the run began is not known, so its times count from there.
pub(super) fn log(report: &Report, run: &Run) -> io::Result<Vec<u8>> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    let mut say = |what: &str, text: &dyn Display| {
        // A line that a name breaks would be no comment.
        builder.add_comment(&format!("{what}: {}", text.to_string().escape_debug()));
    };
    if let Some(setup) = report.subjects.get(run.subject) {
        say("subject", &setup.name);
    }
    say("round", &run.round);
    say("workload", &report.workload.name);
    say("seed", &report.seed);
    if let Some(why) = &run.saturated {
        say("SATURATED", why);
    }
    say("times", &"nanoseconds, from when operations were to begin; the maximum in milliseconds");
    say("start", &"seconds from the beginning of what was measured");
    let mut writer =
        builder.with_max_value_divisor(1e6).begin_log_with(&mut log, &mut serializer)?;
    for window in &run.windows {
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(io::Error::other);
        let histogram = histogram([window])?;
        writer
            .write_histogram(&histogram, seconds(window.at)?, seconds(window.seconds)?, None)
            .map_err(|error| io::Error::other(error.to_string()))?;
    }
    Ok(log)
}
