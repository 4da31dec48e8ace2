//! `migrate status --watch`: how far jobs are, until they are over.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Place;
use super::jobs::{self, Standing, standings};
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::signal;

/// How often a terminal is drawn anew.
const TICK: Duration = Duration::from_millis(500);

/// How often is looked where a line that changed stays: a log is to be read by somebody.
const SLOW_TICK: Duration = Duration::from_secs(2);

/// Shows how far the jobs are, in place on a terminal and else as a line whenever something
/// changed, and ends when nobody works on any. What they came to is printed as 'status' does.
pub(super) async fn status(place: &Place, out: Output) -> Outcome {
    let stop = signal::watch();
    let in_place = io::stdout().is_terminal() && !out.is_json();
    let mut drawing = in_place.then(Drawing::new);
    let mut said: Vec<String> = Vec::new();
    loop {
        let now = standings(place)?;
        // A job that nobody works on makes no step, however long one looks at it.
        let over = now.iter().all(|job| job.is_over || job.interrupted);
        if over || stop.is_set() {
            if let Some(drawing) = drawing.take() {
                drawing.clear();
            }
            if over && now.iter().any(|job| job.interrupted) {
                out.note("nobody works on what is interrupted: the same 'migrate run' goes on");
            }
            jobs::status(place, out)?;
            return Ok(if over { Exit::Done } else { Exit::Interrupted });
        }
        match &mut drawing {
            Some(drawing) => drawing.show(&now),
            None => {
                let texts: Vec<String> = now.iter().map(|job| job.text.clone()).collect();
                let mut lines = out.lines();
                for (at, job) in now.iter().enumerate() {
                    if said.get(at) != texts.get(at) {
                        lines.result(&job.text, &job.json)?;
                    }
                }
                lines.finish()?;
                said = texts;
            }
        }
        let tick = if drawing.is_some() { TICK } else { SLOW_TICK };
        tokio::select! {
            () = tokio::time::sleep(tick) => {}
            () = stop.stopped() => {}
        }
    }
}

/// The lines on the terminal that are drawn anew.
struct Drawing {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

impl Drawing {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        Self { all, lines: Vec::new() }
    }

    fn show(&mut self, jobs: &[Standing]) {
        let texts: Vec<&str> = jobs.iter().flat_map(|job| job.text.lines()).collect();
        while self.lines.len() < texts.len() {
            let style = ProgressStyle::with_template("{wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            self.lines.push(self.all.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (line, text) in self.lines.iter().zip(texts) {
            line.set_message(text.to_owned());
            line.tick();
        }
    }

    fn clear(self) {
        // The terminal is gone, or the lines are.
        let _ = self.all.clear();
    }
}
