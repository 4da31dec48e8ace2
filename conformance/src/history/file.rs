//! Histories as files: JSON lines, a header first.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::event::{Barrier, Event, History};
use super::promise::{Origin, Promise};

/// The version of the file's format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Line {
    /// The first one. One that a run has saved says what it is judged by.
    PinstateHistory {
        format: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        promise: Option<Promise>,
    },
    /// An operation.
    Event(Event),
    /// A barrier.
    Barrier(Barrier),
    /// The last one, without which the file is not complete.
    End { events: usize, barriers: usize },
}

fn bad(number: usize, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {number} of a history: {what}"))
}

impl History {
    /// Writes the history as JSON lines, which [`read`](Self::read) reads.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        self.write_with(to, None)
    }

    /// Writes it with what the header says of it.
    pub(super) fn write_with(
        &self,
        to: impl Write,
        about: Option<(Origin, Promise)>,
    ) -> io::Result<()> {
        let mut to = io::BufWriter::new(to);
        let mut line = |line: Line| -> io::Result<()> {
            serde_json::to_writer(&mut to, &line)?;
            to.write_all(b"\n")
        };
        let (origin, promise) = about.unzip();
        line(Line::PinstateHistory { format: FORMAT, origin, promise })?;
        for event in &self.events {
            line(Line::Event(event.clone()))?;
        }
        for barrier in &self.barriers {
            line(Line::Barrier(*barrier))?;
        }
        line(Line::End { events: self.events.len(), barriers: self.barriers.len() })?;
        to.flush()
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// The reader's; `InvalidData`, with the number of the line, where it is no history, one
    /// of another format, or not a whole one.
    pub fn read(from: impl BufRead) -> io::Result<Self> {
        Ok(Self::read_with(from)?.0)
    }

    /// Reads it with what the header says of it.
    pub(super) fn read_with(from: impl BufRead) -> io::Result<(Self, Option<(Origin, Promise)>)> {
        let mut about = None;
        let mut history = Self::default();
        let mut ended = false;
        let mut last = 0;
        for (index, line) in from.lines().enumerate() {
            let number = index + 1;
            last = number;
            let line: Line = serde_json::from_str(&line?).map_err(|error| bad(number, error))?;
            match line {
                _ if ended => return Err(bad(number, "expected nothing after the end")),
                Line::PinstateHistory { format: FORMAT, origin, promise } if number == 1 => {
                    about = promise.map(|promise| (origin.unwrap_or_default(), promise));
                }
                Line::PinstateHistory { format, .. } if number == 1 => {
                    return Err(bad(number, format!("format {format}, known is {FORMAT}")));
                }
                _ if number == 1 => return Err(bad(number, "expected the header of a history")),
                Line::PinstateHistory { .. } => return Err(bad(number, "a second header")),
                Line::Event(event) => history.events.push(event),
                Line::Barrier(barrier) => history.barriers.push(barrier),
                Line::End { events, barriers } => {
                    if (events, barriers) != (history.events.len(), history.barriers.len()) {
                        return Err(bad(number, "the counts of the end are not those of the file"));
                    }
                    ended = true;
                }
            }
        }
        if ended {
            Ok((history, about))
        } else {
            Err(bad(last + 1, "expected the end, the file was cut"))
        }
    }
}
