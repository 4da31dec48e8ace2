//! `import`: the pins of a file, a raft folder or a stream.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use pinstate_core::format::manifest::Format;
use pinstate_core::format::{Entry, Leniency};
use pinstate_core::transfer::{self, ImportEnd, ImportOptions, ImportReport, StopFlag};
use pinstate_core::{
    CheckedScan, Clock, Durability, Error, ErrorKind, Namespace, NamespaceName, Operation,
    Outcome as Happened, ScanOptions,
};
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Failure, Outcome};
use crate::formats::{Overrides, ReadFormat, decoder};
use crate::input::Input;
use crate::observe::MetricsArgs;
use crate::output::{Output, Place};
use crate::progress::{Progress, Rejects, Tell, Total};
use crate::session::{Access, Choice, Session};
use crate::signal;
use crate::staging::Staging;

/// Store the pins of a file, a raft folder, stdin or a running peer
///
/// A FILE.manifest beside the file is compared before anything is stored. An entry that
/// cannot be stored ends the import, unless --rejects names a file for such entries.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File, folder of a raft snapshot, or address of a peer's REST API: http://HOST:9094;
    /// nothing or - for stdin
    file: Option<PathBuf>,
    /// What it is
    #[arg(long, value_enum, default_value_t)]
    format: ReadFormat,
    /// What to do with the pins that are there
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Store what ipfs-cluster v1.1.6 would, and count what a strict reader refuses
    #[arg(long)]
    compat: bool,
    /// Write entries that cannot be stored to this new file, with the reason, and go on
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// With --mode replace: take an input without any pin
    #[arg(long)]
    allow_empty: bool,
    /// With --mode replace: where stdin is put aside to be checked [default: the system's
    /// folder for temporary files]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// With --mode replace: nobody else writes to the store meanwhile; needed where others can
    #[arg(long)]
    exclusive: bool,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// What to do with the pins that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Refuse to import if there are any; a file is checked before anything is stored
    #[default]
    FailIfNotEmpty,
    /// Keep them, except for those that the input has, too
    Merge,
    /// Put the input in their place, in one step, when all of it was checked and loaded
    Replace,
}

/// Imports into the store that the command line names.
pub(crate) async fn run(global: &Global, args: ImportArgs, out: Output) -> Outcome {
    run_on(Choice::new(global)?, global, args, out).await
}

/// Imports into a store.
pub(crate) async fn run_on(
    choice: Choice,
    global: &Global,
    args: ImportArgs,
    out: Output,
) -> Outcome {
    let _metrics = args.metrics.serve(global, out).await?;
    let stop = signal::watch();
    let leniency = if args.compat { Leniency::Compat } else { Leniency::Strict };
    let input = Input::open(args.file.as_deref(), args.format, leniency, out, &stop).await?;
    args.overrides.check(input.format)?;
    let session = Session::open_choice(choice, global, out, Access::Create).await?;
    let rejects = match args.rejects.as_deref().map(Rejects::create).transpose() {
        Ok(rejects) => rejects,
        Err(failure) => return session.close(Err(failure)).await,
    };
    let mut job = Job { input, args, leniency, rejects, stop, out };
    let result = match job.args.mode {
        Mode::FailIfNotEmpty => job.fill_empty(&session).await,
        Mode::Merge => {
            let tell = job.tell();
            job.merge(&session, tell).await
        }
        Mode::Replace => job.replace(&session).await,
    };
    session.close(result).await
}

struct Job {
    input: Input,
    args: ImportArgs,
    leniency: Leniency,
    rejects: Option<Rejects>,
    stop: StopFlag,
    out: Output,
}

impl Job {
    async fn fill_empty(&mut self, session: &Session) -> Outcome {
        let mut tell = self.tell();
        if let Some(namespace) = session.existing().await?
            && has_pins(&*namespace).await?
        {
            let message = format!("the namespace '{}' has pins already", session.namespace);
            return Err(Failure::from(Error::new(ErrorKind::Conflict, Operation::Import, message))
                .with_hint(
                    "--mode merge adds to them, --mode replace puts the input in their place; \
                 ipfs-cluster's own 'state import' would have replaced them",
                ));
        }
        // What is left out is written to a file while it is stored: no need to look before.
        if self.input.is_file() && self.args.rejects.is_none() {
            let report = self.check().await?;
            if let Some(exit) = self.not_stored(&report)? {
                return Ok(exit);
            }
            tell = Tell::Nothing;
        }
        self.merge(session, tell).await
    }

    async fn merge(&mut self, session: &Session, tell: Tell) -> Outcome {
        let clock = session.clock().await?;
        let report = self.load(session.namespace().await?, &clock, tell).await?;
        let reached = session.store.sync().await;
        match &report.end {
            ImportEnd::Complete => {
                self.promised(&report)?;
                self.summary(session, &report, &reached?)
            }
            ImportEnd::Stopped => {
                self.summary(session, &report, &reached?)?;
                self.out.note(
                    "stopped before the end of the input; importing it again with --mode merge \
                     goes on",
                );
                Ok(Exit::Interrupted)
            }
            ImportEnd::Refused(entry) => Err(refused(entry, report.stored).with_hint(
                "correct the entry and import again with --mode merge, or leave out what \
                     cannot be stored with --rejects FILE",
            )),
            _ => Err(ended(report, "importing the input again with --mode merge goes on")),
        }
    }

    async fn replace(&mut self, session: &Session) -> Outcome {
        session.alone(self.args.exclusive).await?;
        if session.namespace != NamespaceName::default() {
            // As everywhere, a misspelt name makes no namespace.
            session.namespace().await?;
        }
        self.input.spool(self.args.spool.clone(), &self.stop).await?;
        let checked = self.check().await?;
        if let Some(exit) = self.not_stored(&checked)? {
            return Ok(exit);
        }
        if checked.stored == 0 && !self.args.allow_empty {
            return Err(Failure::from(Error::new(
                ErrorKind::InvalidInput,
                Operation::Import,
                format!("{} has no pins, and would leave none", self.input.name),
            ))
            .with_hint("say --allow-empty if that is meant; nothing was changed"));
        }
        let clock = session.clock().await?;
        let target = session.namespace.clone();
        let staging = Staging::begin(Arc::clone(&session.store), target).await?;
        let report = match staging.namespace().await {
            // Told already when the input was checked.
            Ok(namespace) => self.load(namespace, &clock, Tell::Nothing).await,
            Err(error) => Err(error.into()),
        };
        match report {
            Ok(report) if matches!(report.end, ImportEnd::Complete) => {
                if report.stored != checked.stored {
                    staging.abandon().await?;
                    return Err(Failure::from(Error::new(
                        ErrorKind::Internal,
                        Operation::Import,
                        format!(
                            "{} pins were loaded and {} were expected; nothing was changed",
                            report.stored, checked.stored
                        ),
                    )));
                }
                let reached = staging.put_in_place().await?;
                self.summary(session, &checked, &reached)
            }
            ended => {
                // An error of this would hide why it came to it; the next opening tries again.
                let left = staging.abandon().await.is_err();
                if left {
                    self.out.note(
                        "what was loaded is removed when the store is opened next, or by the next \
                         import or cleanup with --exclusive where others can write to it",
                    );
                }
                match ended {
                    Err(failure) => Err(failure),
                    Ok(report) => match self.not_stored(&report)? {
                        Some(exit) => Ok(exit),
                        None => Ok(Exit::Failed),
                    },
                }
            }
        }
    }

    /// Reads the whole input without storing anything.
    async fn check(&mut self) -> Outcome<ImportReport> {
        let mut progress = Progress::new(self.out, "check", self.total())
            .telling(self.tell(), self.rejects.take());
        let options = self.options();
        let decoder = decoder(self.input.format, self.leniency, &self.args.overrides);
        let reader = self.input.reader()?;
        let report = transfer::check(reader, decoder, options, &mut progress).await;
        progress.finish()?;
        if matches!(report.end, ImportEnd::Complete) {
            self.promised(&report)?;
        }
        Ok(report)
    }

    /// Stores the input in a namespace.
    async fn load(
        &mut self,
        namespace: Arc<dyn Namespace>,
        clock: &Clock,
        tell: Tell,
    ) -> Outcome<ImportReport> {
        let mut progress =
            Progress::new(self.out, "import", self.total()).telling(tell, self.rejects.take());
        let options = self.options();
        let decoder = decoder(self.input.format, self.leniency, &self.args.overrides);
        let reader = self.input.reader()?;
        let report =
            transfer::import(namespace, clock, reader, decoder, options, &mut progress).await;
        progress.finish()?;
        Ok(report)
    }

    /// Whether an entry that cannot be stored does not end the import.
    ///
    /// Of a snapshot ipfs-cluster itself refuses nothing but what is no msgpack. What a
    /// compatible reader refuses beyond that are keys that are no CIDs, which would be pins
    /// that no list ever shows.
    fn goes_on(&self) -> bool {
        let compat = self.leniency == Leniency::Compat;
        self.args.rejects.is_some() || compat && self.input.format != Format::Ndjson
    }

    /// Which refused entries the first pass over the input tells.
    fn tell(&self) -> Tell {
        if self.goes_on() { Tell::All } else { Tell::PassedOver }
    }

    fn options(&self) -> ImportOptions {
        ImportOptions::new()
            .keep_going(self.goes_on())
            // So that merging an input again whose import was interrupted goes on where it was.
            .pass_over_equal(self.args.mode == Mode::Merge)
            .with_stop(self.stop.clone())
    }

    fn total(&self) -> Total {
        self.input.bytes().map_or(Total::Unknown, Total::Bytes)
    }

    /// What became of a pass over the input after which nothing is stored, unless it was
    /// complete.
    fn not_stored(&self, report: &ImportReport) -> Outcome<Option<Exit>> {
        match &report.end {
            ImportEnd::Complete => Ok(None),
            ImportEnd::Stopped => {
                self.out.note("stopped; nothing was stored, and nothing was changed");
                Ok(Some(Exit::Interrupted))
            }
            ImportEnd::Refused(entry) => Err(refused(entry, 0).with_hint(
                "nothing was stored: correct the entry, or leave out what cannot be stored with \
                 --rejects FILE",
            )),
            ImportEnd::Failed(error) => {
                Err(Failure::from(error.clone()).with_hint("nothing was changed"))
            }
            _ => Ok(Some(Exit::Failed)),
        }
    }

    /// Refuses an input that has not as many entries as its manifest promises.
    fn promised(&self, report: &ImportReport) -> Outcome<()> {
        match self.input.promised {
            Some(promised) if promised != report.read => Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Import,
                format!(
                    "{} has {} pins, and its manifest says {promised}",
                    self.input.name, report.read
                ),
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// The last line: how many pins, and what they are safe from.
    fn summary(&self, session: &Session, report: &ImportReport, reached: &Durability) -> Outcome {
        for (kind, entries) in &report.let_through {
            self.out
                .note(format_args!("let through as ipfs-cluster does: {kind}, {entries} times"));
        }
        if report.rejected > 0 {
            let text = format!("{} entries were not stored, see above", report.rejected);
            self.out.note(text);
        }
        let json = json!({
            "file": self.input.name,
            "format": self.input.format,
            "namespace": session.namespace,
            "pins": report.stored,
            "unchanged": report.unchanged,
            "read": report.read,
            "rejected": report.rejected,
            "let_through": report.let_through,
            "bytes": report.bytes,
            "complete": matches!(report.end, ImportEnd::Complete),
            "durability": reached,
        });
        let unchanged = match report.unchanged {
            0 => String::new(),
            pins => format!(", {pins} of which were there"),
        };
        let text = format!(
            "imported {} pins into '{}'{unchanged}; durability: {reached}",
            report.stored, session.namespace
        );
        self.out.result(text, &json)?;
        Ok(if report.rejected == 0 { Exit::Done } else { Exit::Rejected })
    }
}

/// Whether there is any record, readable or not.
async fn has_pins(namespace: &dyn Namespace) -> Outcome<bool> {
    let options = ScanOptions::new().with_page_rows(1).keys_only();
    let mut scan = CheckedScan::new(namespace.scan(options).await?);
    while let Some(page) = scan.next_page().await? {
        if !page.items.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The failure for an entry that cannot be stored.
fn refused(entry: &Entry, stored: u64) -> Failure {
    let (reason, offset) = match &entry.body {
        Err(fault) => (fault.to_string(), fault.offset),
        Ok(_) => ("it was refused".to_owned(), None),
    };
    let place = Place(entry.at, offset);
    let before = match stored {
        0 => "nothing is stored".to_owned(),
        1 => "one pin before it is stored".to_owned(),
        pins => format!("{pins} pins before it are stored"),
    };
    let message = format!("{place}: {reason}; {before}");
    let happened = if stored == 0 { Happened::NotApplied } else { Happened::Unknown };
    Error::new(ErrorKind::InvalidInput, Operation::Import, message).with_outcome(happened).into()
}

/// The failure of an import that broke off.
fn ended(report: ImportReport, hint: &str) -> Failure {
    let (stored, unknown, line) = (report.stored, report.unknown, report.last.line);
    let (entry, byte) = (report.last.ordinal, report.last.offset);
    match report.complete() {
        Err(mut error) => {
            if unknown > 0 {
                error = error.with_context("pins stored perhaps", unknown);
            }
            if stored > 0 {
                error = error.with_context("last entry read", entry).with_context("at byte", byte);
                if line > 0 {
                    error = error.with_context("in line", line);
                }
            }
            Failure::from(error).with_hint(hint)
        }
        Ok(_) => Failure::from(Error::new(
            ErrorKind::Internal,
            Operation::Import,
            "the import ended in a way that this program does not know",
        )),
    }
}
