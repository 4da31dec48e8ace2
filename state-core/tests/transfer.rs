//! Import and export over the memory backend: order, failures, reports.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{bent_store, namespace};
use parking_lot::Mutex;
use pinstate_core::format::snapshot::{SnapshotDecoder, SnapshotEncoder};
use pinstate_core::format::{Encoder, Leniency};
use pinstate_core::pin::{Cid, Pin};
use pinstate_core::transfer::{
    ExportEnd, ExportOptions, ImportEnd, ImportOptions, ImportReport, Unwatched, export, import,
};
use pinstate_core::*;

fn cid(n: usize) -> Cid {
    let digest: Vec<u8> =
        (0..32).map(|i| (n.wrapping_mul(2_654_435_761) >> (i % 4 * 8)) as u8).collect();
    Cid::from_bytes(&[&[1, 0x55, 0x12, 32][..], &digest].concat()).unwrap()
}

fn named(n: usize, name: &str) -> Pin {
    let mut pin = Pin::new(cid(n));
    pin.name = name.to_owned();
    pin
}

/// A snapshot with these pins in this order.
fn snapshot(pins: impl IntoIterator<Item = Pin>) -> Vec<u8> {
    let mut out = Vec::new();
    for pin in pins {
        let mut value = Vec::new();
        pin::encode(&pin, &mut value);
        SnapshotEncoder::new().encode(pin.cid.as_bytes(), &value, &mut out).unwrap();
    }
    out
}

async fn load(state: &State, input: &[u8], options: ImportOptions) -> ImportReport {
    let decoder = Box::new(SnapshotDecoder::new(Leniency::Strict));
    let namespace = Arc::clone(state.namespace());
    import(namespace, state.clock(), input, decoder, options, &mut Unwatched).await
}

async fn state() -> (State, Arc<common::Bends>) {
    let (store, bends) = bent_store();
    (State::new(namespace(&store).await, Arc::new(Clock::volatile())), bends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_entry_of_a_key_wins_within_a_run_and_across_runs() {
    let pins = (0..5_000).map(|i| named(i % 37, &i.to_string()));
    let input = snapshot(pins);
    for run in [1, 7, 100, 50_000] {
        let (state, _) = state().await;
        let options = ImportOptions::new().with_run(run).with_batch(5);
        let report = load(&state, &input, options).await.complete().unwrap();
        assert_eq!((report.read, report.stored), (5_000, 5_000), "run {run}");
        for n in 0..37 {
            let last = (0..5_000).filter(|i| i % 37 == n).max().unwrap();
            assert_eq!(state.get(&cid(n)).await.unwrap().name, last.to_string(), "run {run}");
        }
        assert_eq!(state.count(CountOptions::new()).await.unwrap(), Count::Exact(37));
    }
}

#[tokio::test]
async fn an_import_made_again_writes_what_had_been_under_way_and_no_more() {
    let (state, bends) = state().await;
    let written = Arc::new(Mutex::new(0));
    let count = Arc::clone(&written);
    *bends.apply.lock() = Some(Box::new(move |batch, outcome| {
        *count.lock() += batch.len();
        Ok(outcome)
    }));
    let pin = |n: usize| named(n, if n == 10 { "another" } else { "same" });
    let options = || ImportOptions::new().with_run(100).with_batch(10);
    let part = snapshot((0..450).map(|n| named(n, "same")));
    load(&state, &part, options()).await.complete().unwrap();
    let whole = snapshot((0..1_000).map(pin));
    *written.lock() = 0;
    let report = load(&state, &whole, options().pass_over_equal(true)).await;
    let report = report.complete().unwrap();
    let (stored, unchanged) = (report.stored, report.unchanged);
    assert_eq!(stored, 1_000);
    // Of the fifth run, which was half there, batches may be written as a whole.
    assert!((399..=449).contains(&unchanged), "{unchanged} unchanged");
    assert_eq!(*written.lock() as u64, 1_000 - unchanged);
    for n in 0..1_000 {
        assert_eq!(state.get(&cid(n)).await.unwrap().name, pin(n).name);
    }

    // Unless it is asked to, it writes everything.
    *written.lock() = 0;
    let report = load(&state, &whole, options()).await.complete().unwrap();
    assert_eq!((report.unchanged, *written.lock()), (0, 1_000));
}

#[tokio::test]
async fn an_import_stops_at_a_bad_entry_with_everything_before_it_stored() {
    let mut input = snapshot((0..50).map(|n| named(n, "good")));
    let at = input.len();
    input.extend_from_slice(&snapshot([named(99, "bad")]));
    input[at + 20] = b'?';
    input.extend_from_slice(&snapshot((50..60).map(|n| named(n, "after"))));
    let (state, _) = state().await;
    let report = load(&state, &input, ImportOptions::new().with_batch(7)).await;
    let ImportEnd::Refused(entry) = &report.end else { panic!("{report:?}") };
    assert_eq!((entry.at.ordinal, entry.at.offset), (51, at as u64));
    assert_eq!((report.read, report.stored, report.rejected), (51, 50, 1));
    assert_eq!(state.count(CountOptions::new()).await.unwrap(), Count::Exact(50));
    let error = report.complete().unwrap_err().to_string();
    assert!(error.contains("entry 51") && error.contains("pins stored before 50"), "{error}");

    let (state, _) = self::state().await;
    let report = load(&state, &input, ImportOptions::new().keep_going(true)).await;
    let report = report.complete().unwrap();
    assert_eq!((report.stored, report.rejected), (60, 1));
    assert_eq!(state.count(CountOptions::new()).await.unwrap(), Count::Exact(60));
}

#[tokio::test]
async fn a_store_that_fails_ends_the_import_with_what_is_known() {
    let (state, bends) = state().await;
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    *bends.apply.lock() = Some(Box::new(move |_, mut outcome| {
        *count.lock() += 1;
        if *count.lock() == 3 {
            outcome.items[4] = Err(Error::new(ErrorKind::Timeout, Operation::Apply, "bent"));
            outcome.items[5] = Err(Error::new(ErrorKind::TooLarge, Operation::Apply, "bent"));
        }
        Ok(outcome)
    }));
    let input = snapshot((0..1_000).map(|n| named(n, "")));
    let mut options = ImportOptions::new().with_batch(10);
    options.in_flight = 1;
    let report = load(&state, &input, options).await;
    let ImportEnd::Failed(error) = &report.end else { panic!("{report:?}") };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!((report.stored, report.unknown), (28, 1));
    assert!(*calls.lock() <= 4, "it went on after the failure");
}

#[tokio::test]
async fn answers_that_are_missing_are_failures() {
    let (state, bends) = state().await;
    *bends.apply.lock() = Some(Box::new(|_, mut outcome| {
        outcome.items.pop();
        Ok(outcome)
    }));
    let report = load(&state, &snapshot((0..10).map(|n| named(n, ""))), ImportOptions::new()).await;
    assert!(matches!(report.end, ImportEnd::Failed(_)), "{report:?}");
    assert_eq!((report.stored, report.unknown), (9, 1));
}

#[tokio::test]
async fn an_input_that_fails_is_no_end_of_input() {
    struct Broken(Vec<u8>);
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            into: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if self.0.is_empty() {
                return std::task::Poll::Ready(Err(std::io::Error::other("the cable is out")));
            }
            let n = self.0.len().min(into.remaining());
            into.put_slice(&self.0.drain(..n).collect::<Vec<_>>());
            std::task::Poll::Ready(Ok(()))
        }
    }
    let (state, _) = state().await;
    let input = Broken(snapshot((0..10).map(|n| named(n, ""))));
    let error = state.unmarshal(input, Leniency::Strict).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("the cable is out"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_keeps_the_stores_order_on_any_number_of_threads() {
    let (state, _) = state().await;
    let input = snapshot((0..3_333).map(|n| named(n, "")));
    assert!(matches!(load(&state, &input, ImportOptions::new()).await.end, ImportEnd::Complete));
    let mut outputs = Vec::new();
    for encoders in [1, 2, 5] {
        let mut out = Vec::new();
        let encoder = || Box::new(SnapshotEncoder::new()) as _;
        let mut options = ExportOptions::new().with_encoders(encoders);
        options.scan = ScanOptions::new().with_page_rows(100);
        let report = export(&**state.namespace(), encoder, &mut out, options, &mut Unwatched).await;
        assert!(matches!(report.end, ExportEnd::Complete), "{report:?}");
        assert_eq!((report.pins, report.bytes), (3_333, out.len() as u64));
        outputs.push(out);
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn an_export_that_cannot_write_or_read_says_so() {
    struct Full;
    impl tokio::io::AsyncWrite for Full {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Err(std::io::ErrorKind::StorageFull.into()))
        }
        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
    let (state, bends) = state().await;
    let input = snapshot((0..100).map(|n| named(n, "")));
    assert!(matches!(load(&state, &input, ImportOptions::new()).await.end, ImportEnd::Complete));
    assert_eq!(state.marshal(&mut Full).await.unwrap_err().kind(), ErrorKind::Io);
    let mut steps = 0;
    *bends.scan.lock() = Some(Box::new(move |step| {
        steps += 1;
        Ok(if steps == 1 { step } else { ScanStep::End(ScanEnd::new(7)) })
    }));
    assert_eq!(state.marshal(&mut Vec::new()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
