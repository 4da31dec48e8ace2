//! `digest`: one line by which two pinsets can be compared.

use clap::{Args, ValueEnum};
use pinstate_core::digest::{Digest, Kind};
use pinstate_core::format::Fault;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{CheckedScan, Namespace, ScanOptions};
use pinstate_migrate::Pinset;
use serde_json::json;

use crate::args::Global;
use crate::ends::{End, Ends};
use crate::exit::{Exit, Outcome};
use crate::formats::ReadFormat;
use crate::output::Output;
use crate::session::{Access, Session};
use crate::signal;

/// What the digest is taken of, and over what.
#[derive(Debug, Args)]
pub(crate) struct DigestArgs {
    /// A file as 'export' writes one, in which each entry counts, also one that stands twice; a
    /// running peer of ipfs-cluster (http://HOST:9094); or a store [default: that of --store]
    #[arg(value_name = "STORE|FILE|PEER")]
    of: Option<String>,
    /// pin: what the pins say, the same for every copy. raw: the stored bytes
    #[arg(long, value_enum, default_value_t)]
    kind: Over,
    /// Format of the file
    #[arg(long, value_enum, default_value_t, requires = "of")]
    format: ReadFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Over {
    #[default]
    Pin,
    Raw,
}

/// Prints the digest: equal for two pinsets with the same pins, in whatever order, backend or
/// format. It finds loss and damage, and is no defence against forgery.
pub(crate) async fn run(global: &Global, args: DigestArgs, out: Output) -> Outcome {
    let stop = signal::watch();
    let kind = match args.kind {
        Over::Pin => Kind::Pin,
        Over::Raw => Kind::Raw,
    };
    let run = Run { digest: Digest::new(kind), unreadable: 0, stop: &stop, out };
    let Some(of) = &args.of else {
        let session = Session::open(global, out, Access::Read).await?;
        let result = async { run.store(&*session.namespace().await?).await }.await;
        return session.close(result).await;
    };
    let ends = Ends { global, format: args.format, out, stop: &stop };
    let end = ends.open(of, &global.namespace, Access::Read).await?;
    let result = run.end(&end).await;
    end.close(result).await
}

struct Run<'a> {
    digest: Digest,
    unreadable: u64,
    stop: &'a StopFlag,
    out: Output,
}

impl Run<'_> {
    async fn end(self, end: &End) -> Outcome {
        match end.pins().await? {
            (_, Some(namespace)) => self.store(&*namespace).await,
            (pins, None) => self.entries(&*pins).await,
        }
    }

    async fn store(mut self, namespace: &dyn Namespace) -> Outcome {
        let mut scan = CheckedScan::new(namespace.scan(ScanOptions::new()).await?);
        while let Some(page) = scan.next_page().await? {
            if self.stop.is_set() {
                return Ok(self.stopped());
            }
            for item in page.items {
                match item {
                    Ok(record) => self.take(record.key.as_bytes(), &record.value),
                    Err(damaged) => self.unreadable(damaged.key.as_bytes(), whole(damaged.reason)),
                }
            }
        }
        self.tell()
    }

    /// The entries of a file or a peer, where one that is no pin is the end of it.
    async fn entries(mut self, pins: &dyn Pinset) -> Outcome {
        for mut rows in pins.parts(1).await? {
            while let Some(rows) = rows.next().await? {
                if self.stop.is_set() {
                    return Ok(self.stopped());
                }
                for row in rows {
                    self.take(row.key.as_bytes(), &row.value);
                }
            }
        }
        self.tell()
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        if let Err(fault) = self.digest.add_record(key, value) {
            self.unreadable(key, fault);
        }
    }

    fn unreadable(&mut self, key: &[u8], fault: Fault) {
        self.unreadable += 1;
        self.out.unreadable(key, &fault);
    }

    fn stopped(&self) -> Exit {
        self.out.note("stopped before the end, so there is no digest");
        Exit::Interrupted
    }

    fn tell(self) -> Outcome {
        let json = json!({
            "digest": self.digest.to_string(),
            "pins": self.digest.count(),
            "unreadable": self.unreadable,
        });
        self.out.result(self.digest, &json)?;
        Ok(if self.unreadable == 0 { Exit::Done } else { Exit::Rejected })
    }
}

/// The fault of a record that is at fault as a whole.
fn whole(reason: String) -> Fault {
    Fault { field: "".into(), reason: reason.into(), offset: None, recoverable: true }
}
