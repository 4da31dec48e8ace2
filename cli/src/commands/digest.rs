//! `digest`: one line by which two pinsets can be compared.

use clap::{Args, ValueEnum};
use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::Fault;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{CheckedScan, Namespace, ScanOptions};
use serde_json::json;

use crate::args::Global;
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::session::{Access, Session};
use crate::signal;

/// What the digest is taken over.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// pin: what the pins say, the same for every copy. raw: the stored bytes
    #[arg(long, value_enum, default_value_t)]
    kind: Over,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Over {
    #[default]
    Pin,
    Raw,
}

/// Prints the digest: equal for two stores with the same pins, in whatever order and
/// backend. It finds loss and damage, and is no defence against forgery.
pub(crate) async fn run(global: &Global, args: DigestArgs, out: Output) -> Outcome {
    let stop = signal::watch();
    let session = Session::open(global, out, Access::Read).await?;
    let kind = match args.kind {
        Over::Pin => Kind::Pin,
        Over::Raw => Kind::Raw,
    };
    let result = async { digest(&*session.namespace().await?, kind, &stop, out).await }.await;
    session.close(result).await
}

async fn digest(namespace: &dyn Namespace, kind: Kind, stop: &StopFlag, out: Output) -> Outcome {
    let mut digest = Digest::new(kind);
    let mut unreadable = 0_u64;
    let mut scan = CheckedScan::new(namespace.scan(ScanOptions::new()).await?);
    while let Some(page) = scan.next_page().await? {
        if stop.is_set() {
            out.note("stopped before the end, so there is no digest");
            return Ok(Exit::Interrupted);
        }
        for item in page.items {
            let (key, fault) = match item {
                Ok(record) => match digest.add_record(record.key.as_bytes(), &record.value) {
                    Ok(()) => continue,
                    Err(fault) => (record.key, fault),
                },
                Err(damaged) => (damaged.key, whole(damaged.reason)),
            };
            unreadable += 1;
            out.unreadable(key.as_bytes(), &fault);
        }
    }
    let json = json!({
        "digest": digest.to_string(),
        "pins": digest.count(),
        "unreadable": unreadable,
    });
    out.result(digest, &json)?;
    Ok(if unreadable == 0 { Exit::Done } else { Exit::Rejected })
}

/// The fault of a record that is at fault as a whole.
fn whole(reason: String) -> Fault {
    Fault { field: "".into(), reason: reason.into(), offset: None, recoverable: true }
}
