//! Pinsets that ipfs-cluster's own code wrote, through the memory backend and out again.
//!
//! `interop/roundtrip.sh` does the same through sled and the binary, with random pins, and
//! lets ipfs-cluster's code read what comes out.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use common::{bent_store, namespace};
use pinstate_core::format::ndjson::{NdjsonDecoder, NdjsonEncoder};
use pinstate_core::format::raft::RaftSnapshot;
use pinstate_core::format::snapshot::{SnapshotDecoder, SnapshotEncoder};
use pinstate_core::format::{Decoder, Encoder, Entry, Leniency};
use pinstate_core::pin::Zone;
use pinstate_core::transfer::{ExportOptions, ImportOptions, Unwatched, export, import};
use pinstate_core::{Clock, Namespace};

async fn loaded(input: &[u8], decoder: Box<dyn Decoder>) -> Arc<dyn Namespace> {
    let (store, _) = bent_store();
    let pins = namespace(&store).await;
    let options = ImportOptions::new().with_batch(37).with_run(100);
    let clock = Clock::volatile();
    let report = import(Arc::clone(&pins), &clock, input, decoder, options, &mut Unwatched).await;
    assert!(report.complete().unwrap().stored > 100);
    pins
}

async fn written(pins: &dyn Namespace, encoder: impl Fn() -> Box<dyn Encoder>) -> Vec<u8> {
    let mut out = Vec::new();
    let report = export(pins, encoder, &mut out, ExportOptions::new(), &mut Unwatched).await;
    report.complete().unwrap();
    out
}

fn lines(text: &[u8]) -> Vec<String> {
    let mut lines: Vec<_> = String::from_utf8_lossy(text).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn entries(snapshot: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<Entry> = Vec::new();
    SnapshotDecoder::new(Leniency::Strict).decode(snapshot, true, usize::MAX, &mut found);
    let mut entries: Vec<_> = found
        .into_iter()
        .map(|entry| entry.body.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap())
        .collect();
    entries.sort();
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ipfs_cluster_wrote_comes_out_as_it_was() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/testdata");
    let ndjson = std::fs::read(data.join("sample.ndjson")).unwrap();
    let snapshot = std::fs::read(data.join("sample.snapshot")).unwrap();
    let folder = RaftSnapshot::open(&data.join("raft"), Leniency::Strict).unwrap();
    let mut raft = Vec::new();
    folder.verify().unwrap().read_to_end(&mut raft).unwrap();
    let strict = Leniency::Strict;
    for (from, input, decoder) in [
        (
            "ndjson",
            &ndjson,
            Box::new(NdjsonDecoder::new(strict, Default::default())) as Box<dyn Decoder>,
        ),
        ("snapshot", &snapshot, Box::new(SnapshotDecoder::new(strict))),
        ("raft", &raft, Box::new(SnapshotDecoder::new(strict))),
    ] {
        let pins = loaded(input, decoder).await;
        let out = written(&*pins, || Box::new(NdjsonEncoder::new(Zone::Utc))).await;
        assert!(lines(&out) == lines(&ndjson), "{from} in, ndjson out");
        let out = written(&*pins, || Box::new(SnapshotEncoder::new())).await;
        assert!(entries(&out) == entries(&snapshot), "{from} in, snapshot out");
    }
}
