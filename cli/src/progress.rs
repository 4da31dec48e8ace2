//! What is seen of an import or export while it runs, and what it leaves out.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use pinstate_core::Operation;
use pinstate_core::format::Entry;
use pinstate_core::transfer::{Skipped, Watch};
use serde_json::{Map, Value, json};

use crate::exit::{Failure, Outcome};
use crate::output::{Output, bytes_json};

/// How much there is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Total {
    /// So many bytes of input.
    Bytes(u64),
    /// So many pins, about.
    Pins(u64),
    /// Nobody knows.
    Unknown,
}

/// Which refused entries are told one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tell {
    /// All.
    All,
    /// Those that end nothing. The one that ends the work is told as the error that it is.
    PassedOver,
    /// None: they were told already.
    Nothing,
}

/// Watches a transfer: a bar where stderr is a terminal, a report for each record that is
/// left out, and a file of them where one is wanted.
pub(crate) struct Progress {
    out: Output,
    bar: ProgressBar,
    total: Total,
    pins: u64,
    bytes: u64,
    tell: Tell,
    rejects: Option<Rejects>,
}

impl Progress {
    /// A watch over work with this name.
    pub(crate) fn new(out: Output, label: &'static str, total: Total) -> Self {
        let bar = match total {
            _ if !wanted() => ProgressBar::hidden(),
            Total::Bytes(n) | Total::Pins(n) => {
                ProgressBar::new(n).with_style(styled("{prefix} {wide_bar} {msg}, {eta} left"))
            }
            Total::Unknown => {
                ProgressBar::new_spinner().with_style(styled("{prefix} {spinner} {msg}, {elapsed}"))
            }
        };
        let bar = bar.with_prefix(label);
        Self { out, bar, total, pins: 0, bytes: 0, tell: Tell::Nothing, rejects: None }
    }

    /// Tells of refused entries, and writes them to a file where there is one.
    pub(crate) fn telling(mut self, tell: Tell, rejects: Option<Rejects>) -> Self {
        self.tell = tell;
        self.rejects = rejects;
        self
    }

    /// Takes the bar away, and finishes the file of rejected entries.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        self.bar.finish_and_clear();
        self.rejects.as_mut().map_or(Ok(()), Rejects::finish)
    }
}

/// Shows how far something has come that has no known end.
pub(crate) struct Meter(ProgressBar);

impl Meter {
    /// One with this name; seen where stderr is a terminal.
    pub(crate) fn new(label: &'static str) -> Self {
        let bar = if wanted() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        Self(bar.with_style(styled("{prefix} {spinner} {msg}, {elapsed}")).with_prefix(label))
    }

    /// Shows that so much is done.
    pub(crate) fn show(&mut self, done: u64, what: &str) {
        let rate = done as f64 / self.0.elapsed().as_secs_f64().max(0.001);
        self.0.set_message(format!("{done} {what}, {rate:.0} {what}/s"));
        self.0.tick();
    }

    /// Takes it away.
    pub(crate) fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// Whether somebody sees a progress bar.
pub(crate) fn wanted() -> bool {
    io::stderr().is_terminal()
}

fn styled(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Watch for Progress {
    fn advance(&mut self, pins: u64, bytes: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.pins += pins;
        self.bytes += bytes;
        let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
        let rate = self.pins as f64 / seconds;
        let bytes = HumanBytes(self.bytes);
        self.bar.set_message(format!("{} pins, {rate:.0} pins/s, {bytes}", self.pins));
        match self.total {
            Total::Bytes(_) => self.bar.set_position(self.bytes),
            Total::Pins(_) => self.bar.set_position(self.pins),
            Total::Unknown => self.bar.tick(),
        }
    }

    fn rejected(&mut self, entry: &Entry) {
        let Err(fault) = &entry.body else { return };
        if let Some(rejects) = &mut self.rejects {
            rejects.write(entry);
        }
        let told = match self.tell {
            Tell::All => true,
            // The mark of an entry that ipfs-cluster passes over, too.
            Tell::PassedOver => !entry.let_through.is_empty(),
            Tell::Nothing => false,
        };
        if told {
            self.bar.suspend(|| self.out.rejected(entry.at, fault));
        }
    }

    fn skipped(&mut self, record: &Skipped) {
        self.bar.suspend(|| self.out.unreadable(&record.key, &record.fault));
    }
}

/// The file that rejected entries are written to: a JSON document a line with where the
/// entry stood, what is wrong with it, and its own bytes.
#[derive(Debug)]
pub(crate) struct Rejects {
    to: BufWriter<File>,
    path: PathBuf,
    written: u64,
    failed: Option<io::Error>,
}

impl Rejects {
    /// Makes the file; one that is there is not overwritten.
    pub(crate) fn create(path: &Path) -> Outcome<Self> {
        match File::create_new(path) {
            Ok(file) => Ok(Self {
                to: BufWriter::new(file),
                path: path.to_path_buf(),
                written: 0,
                failed: None,
            }),
            Err(error) => {
                let message = format!("cannot create {}", path.display());
                let failure = Failure::file(Operation::Import, message, error);
                Err(failure.with_hint("--rejects wants the name of a new file"))
            }
        }
    }

    fn write(&mut self, entry: &Entry) {
        let Err(fault) = &entry.body else { return };
        let mut json = Map::new();
        let at = entry.at;
        json.insert("entry".into(), json!(at.ordinal));
        json.insert("line".into(), json!(at.line));
        json.insert("byte".into(), json!(fault.offset.unwrap_or(at.offset)));
        json.insert("field".into(), json!(fault.field));
        json.insert("reason".into(), json!(fault.reason));
        let (name, raw) = bytes_json(&entry.raw);
        json.insert(name.into(), Value::String(raw));
        if let Err(error) = writeln!(self.to, "{}", Value::Object(json)) {
            self.failed.get_or_insert(error);
        }
        self.written += 1;
    }

    /// Writes and syncs what is still collected.
    fn finish(&mut self) -> Outcome<()> {
        let written = match self.failed.take() {
            Some(error) => Err(error),
            None => self.to.flush().and_then(|()| self.to.get_ref().sync_all()),
        };
        written.map_err(|error| {
            let message = format!("cannot write {}", self.path.display());
            Failure::file(Operation::Import, message, error)
        })
    }
}

impl Drop for Rejects {
    fn drop(&mut self) {
        if self.written == 0 {
            // There was nothing to reject: an empty file would only be in the next one's way.
            let _ = fs::remove_file(&self.path);
        }
    }
}
