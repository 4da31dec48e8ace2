//! `verify` and `diff`: are two pinsets the same, and where are they not?

mod backup;
mod sides;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pinstate_core::digest::Kind;
use pinstate_core::pin::Cid;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Key, NamespaceName};
use pinstate_migrate::{
    CompareOptions, Comparison, Difference, FieldDifference, Level, Repaired, Totals, What,
    compare, repair,
};
use serde_json::{Value, json};

use self::backup::SnapshotBackup;
use self::sides::Sides;
use crate::args::{Global, namespace};
use crate::exit::{Exit, Failure, Outcome};
use crate::formats::ReadFormat;
use crate::output::Output;
use crate::progress::Meter;
use crate::session::Access;
use crate::signal;

/// How often the display is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// What is compared, and how.
#[derive(Debug, Args)]
pub(crate) struct Compared {
    /// What should be: a store, by URI or name, a file as 'export' writes one, or a running peer
    /// of ipfs-cluster, by its REST API: http://HOST:9094, or with a user,
    /// http://USER@HOST:9094?password_file=FILE
    left: String,
    /// What is held against it
    right: String,
    /// Namespace of the left store [default: that of --namespace]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    left_namespace: Option<NamespaceName>,
    /// Namespace of the right store [default: that of --namespace]
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    right_namespace: Option<NamespaceName>,
    /// Format of the files that are compared
    #[arg(long, value_enum, default_value_t)]
    format: ReadFormat,
    /// Compare the bytes that are stored, not what they mean as pins. JSON keeps no stored
    /// bytes
    #[arg(long)]
    raw: bool,
    /// The pinsets are being written to: what differs is looked up so many times again, with
    /// longer and longer pauses, and only what still differs counts
    #[arg(long, value_name = "TIMES", num_args = 0..=1, default_value_t = 0,
        default_missing_value = "3")]
    live: u32,
    /// Differences after which no more are looked for
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    most: usize,
    /// Parts that are read at the same time [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
}

/// Compare two pinsets, of stores or files, and say exactly which pins are not the same.
///
/// Each side is read once. A pin is missing where only the left side has it, extra where only
/// the right one has, different where they have it otherwise. Exit code 4 if there is any.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    compared: Compared,
    /// How much is found out: 0 the numbers of pins; 1 whether the pins are the same; 2 which
    /// ones are not; 3 also in which fields
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    level: Amount,
    /// Make the right store like the left side, and compare again
    #[arg(long)]
    repair: bool,
    /// How often that is done at most
    #[arg(long, value_name = "N", default_value_t = 3, requires = "repair",
        value_parser = clap::value_parser!(u32).range(1..))]
    max_rounds: u32,
    /// Also delete from the right store what the left side has not
    #[arg(long, requires = "repair")]
    delete_extra: bool,
    /// Pins to be deleted beyond which nothing is repaired at all
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "delete_extra")]
    max_delete: u64,
    /// New file for what is replaced or deleted, as a snapshot: 'import --mode merge' brings
    /// it back
    #[arg(long, value_name = "FILE", requires = "repair")]
    backup: Option<PathBuf>,
}

/// Say which pins of two pinsets are not the same, and in which fields.
///
/// The same as verify --level 3. Exit code 4 if there is any difference.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    compared: Compared,
}

/// How much is found out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Amount {
    #[value(name = "0", alias = "count")]
    Count,
    #[value(name = "1", alias = "digest")]
    Digest,
    #[default]
    #[value(name = "2", alias = "list")]
    List,
    #[value(name = "3", alias = "fields")]
    Fields,
}

impl From<Amount> for Level {
    fn from(amount: Amount) -> Self {
        match amount {
            Amount::Count => Self::Count,
            Amount::Digest => Self::Digest,
            Amount::List => Self::List,
            Amount::Fields => Self::Fields,
        }
    }
}

/// Compares, and repairs where that is wanted.
pub(crate) async fn verify(global: &Global, args: VerifyArgs, out: Output) -> Outcome {
    if args.repair && Level::from(args.level) < Level::List {
        return Err(Failure::usage("--repair needs to know which pins differ: --level 2 or 3"));
    }
    let stop = signal::watch();
    let access = if args.repair { Access::Modify } else { Access::Read };
    let sides = Sides::open(global, &args.compared, access, out, &stop).await?;
    let result = async {
        let run = Run { out, sides: &sides, options: options(&args.compared, args.level, &stop) };
        if args.repair { run.mend(&args).await } else { run.once().await }
    }
    .await;
    sides.close(result).await
}

/// Shows the differences.
pub(crate) async fn diff(global: &Global, args: DiffArgs, out: Output) -> Outcome {
    let stop = signal::watch();
    let sides = Sides::open(global, &args.compared, Access::Read, out, &stop).await?;
    let options = options(&args.compared, Amount::Fields, &stop);
    let result = Run { out, sides: &sides, options }.once().await;
    sides.close(result).await
}

fn options(compared: &Compared, amount: Amount, stop: &StopFlag) -> CompareOptions {
    let mut options = CompareOptions::new();
    options.level = amount.into();
    options.kind = if compared.raw { Kind::Raw } else { Kind::Pin };
    options.live = compared.live;
    options.most = compared.most;
    options.stop = stop.clone();
    if let Some(workers) = compared.workers {
        options.workers = usize::from(workers);
    }
    options
}

struct Run<'a> {
    out: Output,
    sides: &'a Sides,
    options: CompareOptions,
}

impl Run<'_> {
    async fn once(&self) -> Outcome {
        let comparison = self.compare().await?;
        self.tell(&comparison, None)
    }

    async fn compare(&self) -> Outcome<Comparison> {
        let (left, right) = self.sides.pinsets();
        let mut meter = Meter::new("compare");
        let read = std::sync::Arc::clone(&self.options.read);
        let before = read.load(Ordering::Relaxed);
        let comparing = compare(left, right, &self.options);
        tokio::pin!(comparing);
        let comparison = loop {
            tokio::select! {
                biased;
                comparison = &mut comparing => break comparison,
                () = tokio::time::sleep(TICK) => {
                    meter.show(read.load(Ordering::Relaxed) - before, "rows");
                }
            }
        };
        meter.finish();
        Ok(comparison?)
    }

    async fn mend(&self, args: &VerifyArgs) -> Outcome {
        let (right, clock) = self.sides.repaired().await?;
        let (left, _) = self.sides.pinsets();
        let mut backup = SnapshotBackup::new(args.backup.clone());
        let mut total = Repaired::default();
        let mut comparison = self.compare().await?;
        for _ in 0..args.max_rounds {
            if comparison.is_equal() {
                break;
            }
            let differences = comparison.differences.as_deref().unwrap_or_default();
            let extra = differences.iter().filter(|one| one.what == What::Extra).count() as u64;
            if args.delete_extra && extra > args.max_delete {
                return Err(Failure::usage(format!(
                    "{extra} pins of the right store would be deleted, and --max-delete says at \
                     most {}: nothing was changed in this round",
                    args.max_delete
                )));
            }
            let repaired =
                repair(&*left, &*right, &clock, differences, args.delete_extra, &mut backup)
                    .await?;
            total.written += repaired.written;
            total.deleted += repaired.deleted;
            (total.extra, total.unclear) = (repaired.extra, repaired.unclear);
            self.sides.sync().await?;
            comparison = self.compare().await?;
            if repaired.written + repaired.deleted == 0 {
                break;
            }
        }
        backup.finish()?;
        self.tell(&comparison, Some(total))
    }

    fn tell(&self, comparison: &Comparison, repaired: Option<Repaired>) -> Outcome {
        let mut lines = self.out.lines();
        for difference in comparison.differences.iter().flatten() {
            let fields = difference.fields();
            lines.result(text(difference, &fields), &document(difference, &fields))?;
        }
        let equal = comparison.is_equal();
        let (left, right) = (comparison.left, comparison.right);
        let json = json!({
            "equal": equal,
            "level": self.options.level as u8,
            "left": totals(left),
            "right": totals(right),
            "differences": comparison.differences.as_ref().map(Vec::len),
            "more": comparison.cut,
            "settled": comparison.settled,
            "repaired": repaired.map(|repaired| json!({
                "written": repaired.written,
                "deleted": repaired.deleted,
                "extra": repaired.extra,
                "unclear": repaired.unclear,
            })),
        });
        lines.result(self.summary(comparison, repaired), &json)?;
        lines.finish()?;
        Ok(if equal { Exit::Done } else { Exit::Different })
    }

    fn summary(&self, comparison: &Comparison, repaired: Option<Repaired>) -> String {
        let (left, right) = (comparison.left, comparison.right);
        let mut text = match (&comparison.differences, comparison.is_equal()) {
            (None, true) if comparison.buckets.is_none() => {
                format!("as many pins on both sides: {}", left.rows)
            }
            (_, true) => format!("the same: {} pins", left.rows),
            (None, false) => format!("not the same: {} and {} pins", left.rows, right.rows),
            (Some(differences), false) => {
                let of = |what| differences.iter().filter(|one| one.what == what).count();
                format!(
                    "not the same: {} and {} pins, {} missing, {} extra, {} different{}",
                    left.rows,
                    right.rows,
                    of(What::Missing),
                    of(What::Extra),
                    of(What::Different),
                    if comparison.cut { ", and more" } else { "" }
                )
            }
        };
        for (side, totals) in [("left", left), ("right", right)] {
            if totals.damaged > 0 {
                text.push_str(&format!("; the {side} store cannot read {} rows", totals.damaged));
            }
            if totals.unreadable > 0 {
                text.push_str(&format!(
                    "; {} records of the {side} side are no pins and were compared byte by byte",
                    totals.unreadable
                ));
            }
        }
        if comparison.settled > 0 {
            text.push_str(&format!("; {} no longer differed", comparison.settled));
        }
        if let Some(repaired) = repaired {
            text.push_str(&format!(
                "; repaired: {} written, {} deleted",
                repaired.written, repaired.deleted
            ));
            if repaired.extra > 0 {
                text.push_str(&format!(
                    ", {} extra ones left alone (--delete-extra deletes them)",
                    repaired.extra
                ));
            }
            if repaired.unclear > 0 {
                text.push_str(&format!(
                    ", {} left alone that the left side cannot tell",
                    repaired.unclear
                ));
            }
        }
        text
    }
}

fn totals(totals: Totals) -> Value {
    json!({ "pins": totals.rows, "damaged": totals.damaged, "unreadable": totals.unreadable })
}

/// A key as people know it: a CID, or what it is in hexadecimal.
fn shown(key: &Key) -> (&'static str, String) {
    match Cid::from_bytes(key.as_bytes()) {
        Ok(cid) => ("cid", cid.to_string()),
        Err(_) => ("key", data_encoding::HEXLOWER.encode(key.as_bytes())),
    }
}

fn text(difference: &Difference, fields: &[FieldDifference]) -> String {
    let mut text = format!("{:<9}  {}", difference.what.name(), shown(&difference.key).1);
    let side = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), Value::to_string);
    for field in fields {
        text.push_str(&format!(
            "\n    {}: {} -> {}",
            field.field,
            side(&field.left),
            side(&field.right)
        ));
    }
    if difference.what == What::Different
        && fields.is_empty()
        && let Some(why) = unlike(difference)
    {
        text.push_str("\n    ");
        text.push_str(why);
    }
    text
}

/// Why records differ that differ in no field.
fn unlike(difference: &Difference) -> Option<&'static str> {
    let [left, right] = difference.found.as_ref()?;
    Some(if left.damaged || right.damaged {
        "a store cannot read its row"
    } else if left.values.len() != 1 || right.values.len() != 1 {
        "it is there several times"
    } else {
        "the fields are the same, the stored bytes are not"
    })
}

fn document(difference: &Difference, fields: &[FieldDifference]) -> Value {
    let (name, key) = shown(&difference.key);
    let mut json = json!({ "difference": difference.what.name(), name: key });
    if let Value::Object(object) = &mut json {
        if difference.found.is_some() {
            object.insert("fields".to_owned(), json!(fields));
        }
        if fields.is_empty()
            && difference.what == What::Different
            && let Some(why) = unlike(difference)
        {
            object.insert("why".to_owned(), why.into());
        }
    }
    json
}
