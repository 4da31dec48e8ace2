//! Stopping an import whose input has nothing more to say and does not end.

#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{bent_store, namespace};
use pinstate_core::format::Leniency;
use pinstate_core::format::ndjson::NdjsonDecoder;
use pinstate_core::transfer::{ImportEnd, ImportOptions, StopFlag, Unwatched, import};
use pinstate_core::{Clock, CountOptions};

#[tokio::test]
async fn an_import_that_waits_for_its_input_stops() {
    let (store, _) = bent_store();
    let pins = namespace(&store).await;
    let (_never_closed, input) = tokio::io::duplex(64);
    let stop = StopFlag::new();
    let running = {
        let (pins, stop) = (Arc::clone(&pins), stop.clone());
        tokio::spawn(async move {
            let decoder = Box::new(NdjsonDecoder::new(Leniency::Strict, Default::default()));
            let options = ImportOptions::new().with_stop(stop);
            import(pins, &Clock::volatile(), input, decoder, options, &mut Unwatched).await
        })
    };
    tokio::task::yield_now().await;
    stop.stop();
    let report = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    assert!(matches!(report.end, ImportEnd::Stopped), "{:?}", report.end);
    assert_eq!(pins.count(CountOptions::new()).await.unwrap().value(), 0);
}

#[tokio::test]
async fn whoever_waits_for_a_stop_learns_of_one_before_and_after() {
    let stop = StopFlag::new();
    let later = tokio::spawn({
        let stop = stop.clone();
        async move { stop.stopped().await }
    });
    tokio::task::yield_now().await;
    stop.stop();
    later.await.unwrap();
    stop.stopped().await;
}
