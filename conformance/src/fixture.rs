//! Stores that an earlier release has written, and what must be read from them.
//!
//! A fixture is a folder: in `files/` what a site of [`Plug::site_in`] keeps there, beside it
//! `fixture.json`, which says what is in the store. A test program whose main is
//! [`Suite::main`](crate::Suite::main) writes one into the folder that
//! `PINSTATE_CONFORMANCE_FIXTURE` names, instead of running the suite.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pinstate_core::digest::{Digest, Kind};
use pinstate_core::{
    CheckedScan, Delete, Error, ErrorKind, Expect, Key, NamespaceName, Operation, Put, Result,
    ScanOptions, Store, Version, WriteOptions,
};
use serde::{Deserialize, Serialize};

use crate::plug::Plug;

/// The folder of the store's files in a fixture.
pub(crate) const FILES: &str = "files";
const CONTENTS: &str = "fixture.json";

/// What is in a store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contents {
    pub(crate) backend: String,
    /// The version of the format that the files have.
    pub(crate) format: u32,
    /// By namespace a digest over every row, markers of deletes included: over its key, and
    /// its version (eight bytes, big-endian), 1 for a marker or 0, and its value.
    pub(crate) namespaces: BTreeMap<String, String>,
    /// Revisions and values, in hex, of the control records.
    pub(crate) control: BTreeMap<String, (u64, String)>,
}

impl Contents {
    /// What a store has now.
    pub(crate) async fn of(store: &dyn Store) -> Result<Self> {
        let mut namespaces = BTreeMap::new();
        for info in store.list_namespaces().await? {
            let ns = store.open_namespace(&info.name).await?;
            let mut digest = Digest::new(Kind::Raw);
            let scan = ns.scan(ScanOptions::new().include_deleted()).await?;
            let mut scan = CheckedScan::new(scan);
            while let Some(page) = scan.next_page().await? {
                for item in page.items {
                    let row = item.map_err(|damaged| {
                        let message = format!("a row cannot be read: {damaged:?}");
                        Error::new(ErrorKind::Corrupt, Operation::Scan, message)
                    })?;
                    let mut bytes = row.version.0.to_be_bytes().to_vec();
                    bytes.push(row.deleted.into());
                    bytes.extend_from_slice(&row.value);
                    digest.add(row.key.as_bytes(), &bytes);
                }
            }
            namespaces.insert(info.name.to_string(), digest.to_string());
        }
        let control = store.control_list("").await?.into_iter().map(|(key, record)| {
            (key, (record.revision, data_encoding::HEXLOWER.encode(&record.value)))
        });
        let identity = store.identity();
        Ok(Self {
            backend: identity.backend.to_owned(),
            format: identity.format,
            namespaces,
            control: control.collect(),
        })
    }

    /// What the fixture in a folder says of itself.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let text = std::fs::read(folder.join(CONTENTS))?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }
}

/// Writes a fixture of the present format into a folder, which must not be there.
pub(crate) fn write(plug: &dyn Plug, folder: &Path) -> io::Result<()> {
    // The first format's folder has none around it yet.
    folder.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::create_dir(folder)?;
    let files = folder.join(FILES);
    std::fs::create_dir(&files)?;
    let site = plug
        .site_in(&files)
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the plug has no 'site_in'"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let contents = runtime.block_on(async {
        let store = site.open().await?;
        fill(&store).await?;
        let contents = Contents::of(&*store).await?;
        store.close().await?;
        Ok::<_, Error>(contents)
    });
    let text = serde_json::to_string_pretty(&contents.map_err(io::Error::other)?)?;
    std::fs::write(folder.join(CONTENTS), text + "\n")
}

/// Rows in the larger namespace.
const ROWS: i64 = 60;

/// Some of everything that a store keeps.
async fn fill(store: &Arc<dyn Store>) -> Result<()> {
    for (seed, name) in (0..).zip(["fixture-pins", "fixture-other", "fixture-dropped"]) {
        let name: NamespaceName = name.parse()?;
        store.create_namespace(&name).await?;
        let ns = store.open_namespace(&name).await?;
        for n in 0..ROWS {
            let key = |n: i64| Key::new(format!("\u{1}key {n:03}\0").into_bytes());
            let mut random = fastrand::Rng::with_seed(n.unsigned_abs() ^ (seed << 32));
            let len = if n % 20 == 6 { 2_000 } else { random.usize(..120) };
            let value: Bytes = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            let version = Version(1_700_000_000_000_000 + n);
            ns.put(Put::new(key(n), value, version), WriteOptions::new()).await?;
            let later = Version(version.0 + 1);
            match n % 10 {
                3 => drop(ns.delete(Delete::new(key(n), later), WriteOptions::new()).await?),
                5 => drop(ns.delete(Delete::new(key(n), later), WriteOptions::if_newer()).await?),
                8 => {
                    let put = Put::new(key(n - 1), Bytes::new(), later);
                    ns.put(put, WriteOptions::new()).await?;
                }
                _ => {}
            }
        }
    }
    store.drop_namespace(&"fixture-dropped".parse()?).await?;
    for (key, value) in [("fixture/empty", &b""[..]), ("fixture/set", b"\0\xff")] {
        // That it was written is seen in what is there in the end.
        let _ = store.control_set(key, Expect::Absent, value).await?;
    }
    store.sync().await?;
    Ok(())
}
