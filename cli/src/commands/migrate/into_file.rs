//! Into a file: written whole, and compared with its source before that is believed.

use std::path::PathBuf;
use std::sync::Arc;

use pinstate_core::digest::Kind;
use pinstate_core::format::manifest::Format;
use pinstate_core::pin::Zone;
use pinstate_core::transfer::{ExportReport, StopFlag};
use pinstate_core::{Error, ErrorKind, NamespaceName, Operation};
use pinstate_migrate::job::{MaxErrors, Mode, RuledRecords, Settings, Source, plan, ruled_pins};
use pinstate_migrate::{CompareOptions, Difference, Level, What, compare};
use serde_json::json;

use super::args::{Route, Told};
use super::ends::source;
use super::{RunArgs, now, tell};
use crate::args::Global;
use crate::commands::export::{Job, Written};
use crate::ends::{End, Ends};
use crate::exit::{Exit, Failure, Outcome};
use crate::formats::{ReadFormat, encoder};
use crate::output::Output;
use crate::progress::Total;
use crate::session::Access;
use crate::signal;

/// A source that is to be written to a file.
pub(super) struct IntoFile {
    from: String,
    namespace: Option<NamespaceName>,
    read: ReadFormat,
    format: Format,
    path: PathBuf,
    settings: Settings,
}

impl IntoFile {
    /// What the command line asks for.
    pub(super) fn new(route: &Route, told: &Told) -> Outcome<Self> {
        let settings = told.settings(now())?;
        if matches!(settings.mode, Mode::Merge | Mode::IfNewer) {
            return Err(Failure::usage("a file is written anew: nothing can be added to it")
                .with_hint("--mode replace puts the new one in the place of an old one"));
        }
        Ok(Self {
            from: route.from.clone(),
            namespace: route.from_namespace.clone(),
            read: route.format,
            format: told.to_format.unwrap_or_default().into(),
            path: PathBuf::from(&route.to),
            settings,
        })
    }

    /// Says what would be written.
    pub(super) async fn plan(self, global: &Global, out: Output) -> Outcome {
        self.check()?;
        let stop = signal::watch();
        let end = self.open(global, out, &stop).await?;
        let nowhere = std::path::Path::new("");
        let result = async {
            let plan = plan(nowhere, &*source(&end).await?, None, &self.settings).await?;
            tell::plan(&plan, &self.path.display().to_string(), out)
        }
        .await;
        end.close(result).await?;
        out.note(format_args!("the target is the {} {}", self.format, self.path.display()));
        tell::nothing_done(out);
        Ok(Exit::Done)
    }

    /// Writes it, and compares the two.
    pub(super) async fn run(self, global: &Global, args: &RunArgs, out: Output) -> Outcome {
        if args.speed.is_set() {
            return Err(Failure::usage("a file is written as fast as its source can be read")
                .with_hint("limits are for stores"));
        }
        self.check()?;
        let stop = signal::watch();
        let end = self.open(global, out, &stop).await?;
        let result = async {
            let source = source(&end).await?;
            // A stream is the same for the copy and for the comparison.
            let aside = tempfile::tempdir().map_err(|error| {
                Failure::file(Operation::Migrate, "cannot make a temporary folder", error)
            })?;
            tokio::select! {
                kept = source.keep(aside.path()) => kept?,
                () = stop.stopped() => return Ok(Exit::Interrupted),
            }
            self.write(source, args, global, out, &stop).await
        }
        .await;
        end.close(result).await
    }

    fn check(&self) -> Outcome<()> {
        if self.settings.mode == Mode::FailIfNotEmpty && self.path.exists() {
            let message = format!("{} is there already", self.path.display());
            return Err(Failure::from(Error::new(
                ErrorKind::Conflict,
                Operation::Migrate,
                message,
            ))
            .with_hint("--mode replace puts the new one in its place"));
        }
        Ok(())
    }

    async fn open(&self, global: &Global, out: Output, stop: &StopFlag) -> Outcome<End> {
        let ends = Ends { global, format: self.read, out, stop };
        let namespace = self.namespace.as_ref().unwrap_or(&global.namespace);
        ends.open(&self.from, namespace, Access::Read).await
    }

    async fn write(
        &self,
        source: Arc<dyn Source>,
        args: &RunArgs,
        global: &Global,
        out: Output,
        stop: &StopFlag,
    ) -> Outcome {
        let tuning = args.tuned.tuning();
        let rules = &self.settings.rules;
        let mut records = RuledRecords::new(Arc::clone(&source), rules, tuning.page_rows).await?;
        let total = source.estimate().await?.map_or(Total::Unknown, Total::Pins);
        let job = Job::to_file(self.format, self.path.clone());
        let enough = |report: &ExportReport| enough(tuning.max_errors, report);
        let Some(written) = job.write(&mut records, total, &enough, stop, out).await? else {
            return Ok(Exit::Interrupted);
        };
        let name = self.path.display().to_string();
        let ends = Ends { global, format: ReadFormat::Auto, out, stop };
        let file = ends.open(&name, &global.namespace, Access::Read).await?;
        let mut options = CompareOptions::new();
        options.level = Level::Fields;
        // JSON keeps what a pin says, and not its bytes.
        options.kind = if self.format == Format::Ndjson { Kind::Pin } else { Kind::Raw };
        options.workers = tuning.workers;
        options.stop = stop.clone();
        let (pins, _) = file.pins().await?;
        let comparison = compare(ruled_pins(&*source, rules)?, pins, &options).await?;
        let mut differences = comparison.differences.iter().flatten();
        let equal = differences.all(|one| self.has_no_form(one)) && !comparison.cut;
        self.tell(&written, equal, out)
    }

    /// Whether a record is missing because the format has no form for it: that was told when
    /// it was to be written.
    fn has_no_form(&self, difference: &Difference) -> bool {
        let found = difference.found.as_ref().and_then(|[source, _]| source.values.last());
        let (What::Missing, Some(value)) = (difference.what, found) else { return false };
        let key = difference.key.as_bytes();
        encoder(self.format, &Zone::Utc).encode(key, value, &mut Vec::new()).is_err()
    }

    fn tell(&self, written: &Written, equal: bool, out: Output) -> Outcome {
        let Written { report, digest } = written;
        let json = json!({
            "file": self.path.display().to_string(),
            "format": self.format,
            "pins": report.pins,
            "bytes": report.bytes,
            "left_out": report.skipped,
            "digest": digest,
            "equal": equal,
        });
        let same =
            if equal { "and it is what the source has" } else { "and the source has others" };
        let text = format!(
            "{} pins, {} bytes in {}, {same}",
            report.pins,
            report.bytes,
            self.path.display()
        );
        out.result(text, &json)?;
        Ok(match (equal, report.skipped) {
            (false, _) => Exit::Different,
            (true, 0) => Exit::Done,
            (true, _) => Exit::Rejected,
        })
    }
}

/// Refuses a file that lacks more than may be missing.
fn enough(max_errors: MaxErrors, report: &ExportReport) -> Outcome<()> {
    if !max_errors.exceeded(report.skipped, report.pins + report.skipped) {
        return Ok(());
    }
    let message = format!(
        "{} records cannot be written, and that is more than --max-errors: nothing was written",
        report.skipped
    );
    Err(Error::new(ErrorKind::InvalidInput, Operation::Migrate, message).into())
}
