//! `export`: the pinset as a file, a raft folder or a stream.

use std::fs::{self, File};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use pinstate_core::digest::Kind;
use pinstate_core::format::manifest::{Format, Manifest};
use pinstate_core::format::raft::{RaftError, RaftSnapshotOptions, RaftSnapshotWriter};
use pinstate_core::pin::{PeerId, Zone};
use pinstate_core::transfer::{
    ExportEnd, ExportOptions, ExportReport, Records, StopFlag, export_records,
};
use pinstate_core::{
    CheckedScan, CountOptions, Error, ErrorKind, Namespace, Operation, ScanOptions,
};
use serde_json::json;

use crate::args::{Global, parsed};
use crate::digester::SharedDigest;
use crate::exit::{Exit, Failure, Outcome};
use crate::formats::{WriteFormat, encoder};
use crate::observe::MetricsArgs;
use crate::outfile::{Hashed, NewFile, sync_folder};
use crate::output::Output;
use crate::progress::{Progress, Total, wanted};
use crate::session::{Access, Choice, Session};
use crate::signal;

/// Write the pinset to a file, a raft folder or stdout
///
/// A file is there as a whole or not at all, with FILE.manifest beside it, by which an
/// import can tell whether it has all of it. A stored record that cannot be read, or that
/// the format has no form for, is reported and left out, and the exit code is 3.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File, or folder of a raft snapshot; nothing or - for stdout, without a manifest
    file: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t)]
    format: WriteFormat,
    /// Time zone of the times in JSON, such as Europe/Berlin: reproduces the bytes of a host
    /// in that zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    /// Peers of the cluster that is to start on a raft snapshot
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_parser = parsed::<PeerId>)]
    peers: Vec<PeerId>,
    #[command(flatten)]
    metrics: MetricsArgs,
}

/// Exports the pinset of the store that the command line names.
pub(crate) async fn run(global: &Global, args: ExportArgs, out: Output) -> Outcome {
    run_on(Choice::new(global)?, global, args, out).await
}

/// Exports the pinset of a store.
pub(crate) async fn run_on(
    choice: Choice,
    global: &Global,
    args: ExportArgs,
    out: Output,
) -> Outcome {
    let _metrics = args.metrics.serve(global, out).await?;
    let job = Job::new(args)?;
    let stop = signal::watch();
    let session = Session::open_choice(choice, global, out, Access::Read).await?;
    let result = async { job.run(&*session.namespace().await?, &stop, out).await }.await;
    session.close(result).await
}

/// What is written, and where.
pub(crate) struct Job {
    format: Format,
    zone: Zone,
    zone_name: String,
    /// `None` for stdout.
    path: Option<PathBuf>,
    peers: Vec<String>,
}

/// An export that has come to its end.
pub(crate) struct Written {
    pub(crate) report: ExportReport,
    /// Of a file and not of a stream.
    pub(crate) digest: Option<String>,
}

impl Job {
    /// A file of this format, in UTC.
    pub(crate) fn to_file(format: Format, path: PathBuf) -> Self {
        let zone_name = "UTC".to_owned();
        Self { format, zone: Zone::Utc, zone_name, path: Some(path), peers: Vec::new() }
    }

    fn new(args: ExportArgs) -> Outcome<Self> {
        let format = Format::from(args.format);
        let path = args.file.filter(|path| path != Path::new("-"));
        if format == Format::Raft && path.is_none() {
            return Err(Failure::usage("a raft snapshot is a folder: name it"));
        }
        if format != Format::Ndjson && !args.tz.eq_ignore_ascii_case("UTC") {
            return Err(Failure::usage(format!("--tz: a {format} has no times as text")));
        }
        if format != Format::Raft && !args.peers.is_empty() {
            return Err(Failure::usage("--peers belong to a raft snapshot: say --format raft"));
        }
        let zone = Zone::named(&args.tz).map_err(|fault| Failure::usage(fault.to_string()))?;
        let peers = args.peers.iter().map(ToString::to_string).collect();
        Ok(Self { format, zone, zone_name: args.tz, path, peers })
    }

    async fn run(self, namespace: &dyn Namespace, stop: &StopFlag, out: Output) -> Outcome {
        let total = match wanted() {
            true => Total::Pins(namespace.count(CountOptions::estimate()).await?.value()),
            false => Total::Unknown,
        };
        let scan = namespace.scan(ScanOptions::new()).await.map_err(|error| self.failed(error))?;
        let mut records = CheckedScan::new(scan);
        match self.write(&mut records, total, &|_| Ok(()), stop, out).await? {
            Some(written) => self.tell(&written, out),
            None => Ok(Exit::Interrupted),
        }
    }

    /// Writes these records. Nothing is put in its place where it was stopped, or what it came
    /// to is not `enough`.
    pub(crate) async fn write(
        &self,
        records: &mut dyn Records,
        total: Total,
        enough: &(dyn Fn(&ExportReport) -> Outcome<()> + Sync),
        stop: &StopFlag,
        out: Output,
    ) -> Outcome<Option<Written>> {
        let target = Target::open(self.path.as_deref(), self.format, &self.peers)?;
        let has_manifest = target.has_manifest();
        // A snapshot keeps the stored bytes, JSON what they mean.
        let kind = if self.format == Format::Ndjson { Kind::Pin } else { Kind::Raw };
        let digest = has_manifest.then(|| SharedDigest::new(kind));
        let encoder = || {
            let encoder = encoder(self.format, &self.zone);
            match &digest {
                Some(digest) => digest.watch(encoder),
                None => encoder,
            }
        };
        let mut progress = Progress::new(out, "export", total);
        let mut writer = Hashed::new(target, has_manifest);
        let options = ExportOptions::new().with_stop(stop.clone());
        let report = export_records(records, encoder, &mut writer, options, &mut progress).await;
        progress.finish()?;
        let Hashed { to: target, hasher } = writer;
        match &report.end {
            ExportEnd::Complete => {}
            ExportEnd::Failed(error) => return Err(self.failed(error.clone())),
            _ => {
                self.stopped(&report, out);
                return Ok(None);
            }
        }
        enough(&report)?;
        let mut digest_text = None;
        match (self.path.as_deref(), hasher, digest) {
            (Some(path), Some(hasher), Some(digest)) => {
                let digest = digest.digest();
                let mut manifest = Manifest::new(self.format, report.pins, hasher.finish(), digest);
                if self.format == Format::Ndjson {
                    manifest = manifest.in_zone(&self.zone_name);
                }
                digest_text = Some(digest.to_string());
                place(path, target, &manifest)?;
            }
            _ => target.commit().map_err(Failure::stdout)?,
        }
        Ok(Some(Written { report, digest: digest_text }))
    }

    fn stopped(&self, report: &ExportReport, out: Output) {
        match &self.path {
            Some(path) => out.note(format_args!(
                "stopped after {} pins; {} was not written",
                report.pins,
                path.display()
            )),
            None => out.note(format_args!("stopped after {} pins; more are missing", report.pins)),
        }
    }

    /// The failure of an export; that nobody reads it any more is none.
    fn failed(&self, error: Error) -> Failure {
        let cause =
            std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause {
            Some(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => match &self.path {
                Some(path) => error.with_context("file", path.display()).into(),
                None => error.into(),
            },
        }
    }

    /// Says what was done: on stdout, unless the export itself went there.
    fn tell(&self, written: &Written, out: Output) -> Outcome {
        let Written { report, digest } = written;
        let exit = if report.skipped == 0 { Exit::Done } else { Exit::Rejected };
        if report.skipped > 0 {
            out.note(format_args!("{} records were left out, see above", report.skipped));
        }
        let Some(path) = &self.path else {
            out.note(format_args!("exported {} pins, {} bytes", report.pins, report.bytes));
            return Ok(exit);
        };
        let path = path.display().to_string();
        let json = json!({
            "file": path,
            "format": self.format,
            "pins": report.pins,
            "bytes": report.bytes,
            "left_out": report.skipped,
            "digest": digest,
        });
        let text = format!("exported {} pins, {} bytes to {path}", report.pins, report.bytes);
        out.result(text, &json)?;
        Ok(exit)
    }
}

/// Where an export goes.
enum Target {
    Stdout(Stdout),
    /// Something that is no regular file, such as a device: written as it is.
    Special(File),
    File(NewFile),
    Raft(Box<RaftSnapshotWriter>),
}

impl Target {
    fn open(path: Option<&Path>, format: Format, peers: &[String]) -> Outcome<Self> {
        let Some(path) = path else { return Ok(Self::Stdout(io::stdout())) };
        if format == Format::Raft {
            let options = RaftSnapshotOptions::for_peers(peers.iter().cloned());
            let writer = RaftSnapshotWriter::create(path, options).map_err(refused)?;
            return Ok(Self::Raft(Box::new(writer)));
        }
        let cannot = |error| {
            let message = format!("cannot write {}", path.display());
            Failure::file(Operation::Export, message, error)
        };
        match fs::metadata(path) {
            Ok(about) if about.is_dir() => Err(Failure::usage(format!(
                "{} is a folder: name a file, or say --format raft",
                path.display()
            ))),
            Ok(about) if !about.is_file() => {
                File::options().write(true).open(path).map(Self::Special).map_err(cannot)
            }
            _ => NewFile::create(path).map(Self::File).map_err(cannot),
        }
    }

    fn has_manifest(&self) -> bool {
        matches!(self, Self::File(_) | Self::Raft(_))
    }

    /// Puts what was written in its place.
    fn commit(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut to) => to.flush(),
            Self::Special(mut to) => to.flush(),
            Self::File(file) => file.commit(),
            Self::Raft(writer) => writer.finish().map(drop).map_err(io::Error::other),
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(to) => to.write(bytes),
            Self::Special(to) => to.write(bytes),
            Self::File(to) => to.write(bytes),
            Self::Raft(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(to) => to.flush(),
            Self::Special(to) => to.flush(),
            Self::File(to) => to.flush(),
            Self::Raft(to) => to.flush(),
        }
    }
}

/// Puts export and manifest in their places. The old manifest goes first and the new one
/// comes last, so that whatever happens no manifest stands beside an export that is not its.
fn place(path: &Path, target: Target, manifest: &Manifest) -> Outcome<()> {
    let beside = Manifest::path_for(path);
    let written = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => sync_folder(&beside)?,
        }
        target.commit()?;
        let mut file = NewFile::create(&beside)?;
        file.write_all(manifest.to_json().as_bytes())?;
        file.commit()
    };
    written().map_err(|error| {
        Failure::file(Operation::Export, format_args!("cannot finish {}", path.display()), error)
    })
}

fn refused(error: RaftError) -> Failure {
    let kind = match error {
        RaftError::Io { .. } => ErrorKind::Io,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, Operation::Export, error.to_string()).into()
}
