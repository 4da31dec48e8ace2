//! What the program says: results on stdout, everything else on stderr.
//!
//! As text for people or as JSON for programs. In JSON every result is one object on one
//! line; a list is one object a line. Notes, reports of single records and errors go to
//! stderr in both forms and are JSON there only when `--output json` asks for it, so that
//! a pipe that carries JSON does not make errors hard to read.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use data_encoding::{BASE64, HEXLOWER};
use pinstate_core::format::{Fault, Position};
use pinstate_core::pin::Cid;
use pinstate_core::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure, Outcome, Told};
use crate::redact;

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 64 << 10;

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum Form {
    /// Text where stdout is a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a line, also for errors and notes on stderr.
    Json,
}

/// Where a command's output goes, and in which form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    json_messages: bool,
}

impl Output {
    /// The output of the form that was asked for.
    pub(crate) fn new(form: Form) -> Self {
        match form {
            Form::Auto => Self { json: !io::stdout().is_terminal(), json_messages: false },
            Form::Text => Self { json: false, json_messages: false },
            Form::Json => Self { json: true, json_messages: true },
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints a result: its text, or its JSON in one line.
    pub(crate) fn result(self, text: impl fmt::Display, json: &impl Serialize) -> Outcome<()> {
        let mut lines = self.lines();
        lines.result(text, json)?;
        lines.finish()
    }

    /// Prints many results.
    pub(crate) fn lines(self) -> Lines {
        Lines { output: self, to: BufWriter::with_capacity(BUFFER_BYTES, io::stdout()) }
    }

    /// Says something on the side.
    pub(crate) fn note(self, text: impl fmt::Display) {
        self.message("note", &text, || json!({ "note": text.to_string() }));
    }

    /// Tells a program how far something is; people have a line of their own.
    pub(crate) fn progress(self, json: &impl Serialize) {
        if self.json_messages {
            self.message("progress", &"", || json!({ "progress": json }));
        }
    }

    /// Reports a stored record that cannot be read or written, by its key.
    pub(crate) fn unreadable(self, key: &[u8], fault: &Fault) {
        let key = HEXLOWER.encode(key);
        self.message("unreadable record", &format_args!("key {key}: {fault}"), || {
            json!({ "unreadable": { "key": key, "field": fault.field, "reason": fault.reason } })
        });
    }

    /// Reports an entry of an input that was not stored.
    pub(crate) fn rejected(self, at: Position, fault: &Fault) {
        self.message("rejected", &format_args!("{}: {fault}", Place(at, fault.offset)), || {
            json!({ "rejected": {
                "entry": at.ordinal,
                "line": at.line,
                "byte": fault.offset.unwrap_or(at.offset),
                "field": fault.field,
                "reason": fault.reason,
            } })
        });
    }

    /// Tells of the failure that ends the command, and gives its exit code.
    pub(crate) fn failure(self, failure: &Failure) -> Exit {
        if let Failure::Error(told) = failure {
            self.error(told);
        }
        failure.exit()
    }

    fn error(self, told: &Told) {
        let error = &told.error;
        let mut text = match told.exit {
            // Operation and kind say nothing to someone who mistyped an option.
            Exit::Usage => one_line(&plain(error)),
            _ => one_line(&error.to_string()),
        };
        if let (Exit::Failed, Some(key)) = (told.exit, error.key())
            && error.kind() == ErrorKind::NotFound
            && let Ok(cid) = Cid::from_bytes(key.as_bytes())
        {
            text = format!("{text}: {cid}");
        }
        // A store's URI may have been given for something else, such as a file.
        let text = redact::quoted(&text);
        self.message("error", &text, || {
            json!({ "error": {
                "kind": error.kind(),
                "message": text,
                "operation": error.operation(),
                "outcome": error.outcome(),
                "retry": error.retry_class(),
                "backend": error.backend(),
                "hint": told.hint,
                "exit": told.exit as u8,
            } })
        });
        if let (Some(hint), false) = (&told.hint, self.json_messages) {
            self.message("hint", hint, || Value::Null);
        }
    }

    fn message(self, label: &str, text: &dyn fmt::Display, json: impl FnOnce() -> Value) {
        let line = match self.json_messages {
            true => format!("{}\n", json()),
            false => format!("{label}: {text}\n"),
        };
        // In one piece, so that nobody else's line comes in between. Where stderr is gone there
        // is nowhere to say so.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// An error without its operation and kind: message, facts, causes.
fn plain(error: &Error) -> String {
    let mut text = error.message().to_owned();
    let facts: Vec<String> =
        error.context().map(|(name, value)| format!("{name} {value}")).collect();
    if !facts.is_empty() {
        text = format!("{text} ({})", facts.join(", "));
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Errors of engines and files may bring line feeds along; an error is one line here.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Where an entry stands, for people.
pub(crate) struct Place(pub(crate) Position, pub(crate) Option<u64>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at, offset) = self;
        write!(f, "entry {}", at.ordinal)?;
        if at.line > 0 {
            write!(f, ", line {}", at.line)?;
        }
        write!(f, ", byte {}", offset.unwrap_or(at.offset))
    }
}

/// Many results, collected before they are written.
#[derive(Debug)]
pub(crate) struct Lines {
    output: Output,
    to: BufWriter<Stdout>,
}

impl Lines {
    /// Prints a result: its text, or its JSON in one line.
    pub(crate) fn result(&mut self, text: impl fmt::Display, json: &impl Serialize) -> Outcome<()> {
        if self.output.json {
            serde_json::to_writer(&mut self.to, json)
                .map_err(io::Error::from)
                .and_then(|()| self.to.write_all(b"\n"))
        } else {
            writeln!(self.to, "{text}")
        }
        .map_err(Failure::stdout)
    }

    /// Prints bytes as they are; a line of them brings its own end.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.to.write_all(bytes).map_err(Failure::stdout)
    }

    /// Writes what is still collected.
    pub(crate) fn finish(mut self) -> Outcome<()> {
        self.to.flush().map_err(Failure::stdout)
    }

    /// Writes what has been collected so far.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.to.flush().map_err(Failure::stdout)
    }
}

/// Bytes for a JSON document: as text where they are text, else in base64.
pub(crate) fn bytes_json(bytes: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("raw", text.to_owned()),
        Err(_) => ("raw_base64", BASE64.encode(bytes)),
    }
}
