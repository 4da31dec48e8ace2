//! `State` as a library user sees it, over the memory backend.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{bent_store, namespace};
use futures::TryStreamExt;
use pinstate_core::format::Leniency;
use pinstate_core::pin::{Cid, PeerId, Pin, PinType, PinView, UnixSeconds};
use pinstate_core::state::{BadPin, ListItem};
use pinstate_core::*;

fn cid(n: u8) -> Cid {
    Cid::from_bytes(&[&[1, 0x55, 0x12, 32][..], &[n; 32]].concat()).unwrap()
}

fn peer(n: u8) -> PeerId {
    PeerId::from_bytes(&[0, 1, n]).unwrap()
}

fn pin(n: u8) -> Pin {
    let mut pin = Pin::new(cid(n));
    pin.name = format!("pin {n}");
    pin
}

async fn state() -> (State, Arc<common::Bends>) {
    let (store, bends) = bent_store();
    let namespace = namespace(&store).await;
    (State::new(namespace, Arc::new(Clock::volatile())), bends)
}

async fn put_raw(state: &State, n: u8, value: &'static [u8]) {
    let version = state.clock().draw().await.unwrap();
    let put = Put::new(Key::copy_from(cid(n).as_bytes()), value, version);
    state.namespace().put(put, WriteOptions::new()).await.unwrap();
}

/// What is listed, by names, in whichever way.
async fn names(state: &State, options: ListOptions) -> Vec<String> {
    let list = state.list(options.clone()).await.unwrap().into_stream();
    let items: Vec<_> = list.try_collect().await.unwrap();
    let named = |item: &ListItem| match item {
        Ok(pin) => pin.view().unwrap().name().to_owned(),
        Err(bad) => format!("bad: {}: {}, {:?}", bad.key, bad.fault, bad.raw),
    };
    let names: Vec<String> = items.iter().map(named).collect();

    let mut list = state.list(options).await.unwrap();
    let mut viewed = Vec::new();
    let mut look = |pin: Result<PinView<'_>, BadPin>| {
        viewed.push(pin.map_or_else(|bad| named(&Err(bad)), |view| view.name().to_owned()));
    };
    while list.next_views(&mut look).await.unwrap().is_some() {}
    assert_eq!(viewed, names);
    names
}

#[tokio::test]
async fn add_get_has_rm() {
    let (state, _) = state().await;
    state.add(&pin(1)).await.unwrap();
    assert_eq!(state.get(&cid(1)).await.unwrap(), pin(1));
    assert!(state.has(&cid(1)).await.unwrap());
    let mut again = Pin::new(cid(1));
    again.max_depth = 0;
    state.add(&again).await.unwrap();
    assert_eq!(state.get(&cid(1)).await.unwrap(), again, "the whole pin is replaced");
    state.rm(&cid(1)).await.unwrap();
    state.rm(&cid(1)).await.unwrap();
    assert!(!state.has(&cid(1)).await.unwrap());
    let error = state.get(&cid(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::NotFound, NOT_FOUND_TEXT));
}

#[tokio::test]
async fn a_pin_that_storage_would_not_keep_is_refused_and_not_written() {
    let (state, _) = state().await;
    let mut pin = pin(1);
    pin.user_allocations = vec![peer(1)];
    let error = state.add(&pin).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("user_allocations"), "{error}");
    assert!(!state.has(&cid(1)).await.unwrap());
    assert!(state.batch().add(&pin).is_err());
}

#[tokio::test]
async fn unreadable_values_are_there_and_are_not_pins() {
    let (state, _) = state().await;
    state.add(&pin(1)).await.unwrap();
    put_raw(&state, 2, b"\xff\xff").await;
    assert!(state.has(&cid(2)).await.unwrap());
    assert_eq!(state.get(&cid(2)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(state.count(CountOptions::new()).await.unwrap(), Count::Exact(2));
    let filter = PinFilter::new().with_type(PinType::META);
    let listed = names(&state, ListOptions::new().with_filter(filter)).await;
    assert!(matches!(&listed[..], [bad] if bad.starts_with("bad: ")), "{listed:?}");
}

#[tokio::test]
async fn filters_equal_filtering_by_hand() {
    let (state, _) = state().await;
    for n in 0..8 {
        let mut pin = pin(n);
        pin.pin_type = if n % 2 == 0 { PinType::DATA } else { PinType::META };
        pin.allocations = (0..n).map(peer).collect();
        pin.expire_at = (n > 4).then_some(UnixSeconds(i64::from(n) * 100));
        state.add(&pin).await.unwrap();
    }
    let filtered = |filter| {
        let state = state.clone();
        async move { names(&state, ListOptions::new().with_filter(filter)).await }
    };
    let wanted = |ns: &[u8]| ns.iter().map(|n| format!("pin {n}")).collect::<Vec<_>>();
    let all = PinFilter::new();
    assert_eq!(filtered(all.clone().with_type(PinType::META)).await, wanted(&[1, 3, 5, 7]));
    let both = all.clone().with_type(PinType::META).with_type(PinType::DATA);
    assert_eq!(filtered(both).await.len(), 8);
    assert_eq!(filtered(all.clone().with_name("pin [0-2]").unwrap()).await, wanted(&[0, 1, 2]));
    assert_eq!(filtered(all.clone().with_allocation(peer(5))).await, wanted(&[6, 7]));
    let now = UnixSeconds(600);
    assert_eq!(filtered(all.clone().with_expired(true, now)).await, wanted(&[5, 6]));
    assert_eq!(filtered(all.clone().with_expired(false, now)).await.len(), 6);
    assert!(all.with_name("[").is_err());
}

#[tokio::test]
async fn limits_and_cursors_leave_nothing_out_and_repeat_nothing() {
    let (state, _) = state().await;
    for n in 0..20 {
        state.add(&pin(n)).await.unwrap();
    }
    for limit in [1, 3, 7, 19, 20, 21] {
        let mut seen = Vec::new();
        let mut options = ListOptions::new().with_limit(limit);
        options.page_rows = 4;
        loop {
            let mut list = state.list(options.clone()).await.unwrap();
            let before = seen.len();
            let mut views = state.list(options.clone()).await.unwrap();
            while let Some(page) = list.next_page().await.unwrap() {
                let mut viewed = Vec::new();
                let look = |pin: Result<PinView<'_>, _>| viewed.push(pin.unwrap().cid());
                assert_eq!(views.next_views(look).await.unwrap().as_ref(), Some(&page.cursor));
                let keys = page.items.iter().map(|item| &item.as_ref().unwrap().key);
                assert!(keys.map(Key::as_bytes).eq(viewed.iter().map(Cid::as_bytes)));
                seen.extend(page.items.into_iter().map(|item| item.unwrap().key));
                options.after = Some(page.cursor.to_string().parse().unwrap());
            }
            assert_eq!(views.next_views(|_| ()).await.unwrap(), None);
            if seen.len() - before < usize::try_from(limit).unwrap() {
                break;
            }
        }
        assert_eq!(seen.len(), 20, "limit {limit}");
        assert!(seen.is_sorted_by(|a, b| a < b), "limit {limit}");
    }
}

#[tokio::test]
async fn a_batch_is_invisible_until_committed_and_can_be_used_again() {
    let (state, _) = state().await;
    let mut batch = state.batch();
    for n in 0..5 {
        batch.add(&pin(n)).unwrap();
    }
    batch.rm(&cid(3));
    assert!(!state.has(&cid(0)).await.unwrap());
    assert_eq!(batch.commit().await.unwrap(), 6);
    assert!(state.has(&cid(0)).await.unwrap() && !state.has(&cid(3)).await.unwrap());
    assert_eq!(batch.commit().await.unwrap(), 0);
    state.rm(&cid(0)).await.unwrap();
    batch.add(&pin(9)).unwrap();
    assert_eq!(batch.commit().await.unwrap(), 1);
    assert!(!state.has(&cid(0)).await.unwrap(), "the first commit was applied again");
    drop({
        let mut dropped = state.batch();
        dropped.add(&pin(30)).unwrap();
        dropped
    });
    assert!(!state.has(&cid(30)).await.unwrap());
}

#[tokio::test]
async fn a_failed_commit_keeps_what_did_not_succeed_with_its_version() {
    let (state, bends) = state().await;
    let mut batch = state.batch();
    for n in 0..4 {
        batch.add(&pin(n)).unwrap();
    }
    *bends.apply.lock() = Some(Box::new(|_, mut outcome| {
        outcome.items[1] = Err(Error::new(ErrorKind::Timeout, Operation::Apply, "bent"));
        Ok(outcome)
    }));
    assert_eq!(batch.commit().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(batch.len(), 1);
    let first = state.get_stored(&cid(1)).await.unwrap().version;
    *bends.apply.lock() = None;
    assert_eq!(batch.commit().await.unwrap(), 1);
    assert_eq!(state.get_stored(&cid(1)).await.unwrap().version, first);
}

#[tokio::test]
async fn snapshots_go_out_and_in_with_the_same_bytes() {
    let (state, _) = state().await;
    for n in 0..50 {
        state.add(&pin(n)).await.unwrap();
    }
    let mut first = Vec::new();
    assert_eq!(state.marshal(&mut first).await.unwrap().pins, 50);
    let (other, _) = self::state().await;
    other.add(&pin(200)).await.unwrap();
    assert_eq!(other.unmarshal(&first[..], Leniency::Strict).await.unwrap().stored, 50);
    assert!(other.has(&cid(200)).await.unwrap(), "what was there stays");
    other.rm(&cid(200)).await.unwrap();
    let mut second = Vec::new();
    other.marshal(&mut second).await.unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_truncated_snapshot_is_refused_strictly_and_counted_compatibly() {
    let (state, _) = state().await;
    for n in 0..3 {
        state.add(&pin(n)).await.unwrap();
    }
    let mut whole = Vec::new();
    state.marshal(&mut whole).await.unwrap();
    for cut in 1..whole.len() / 3 {
        let cut = &whole[..whole.len() - cut];
        let (strict, _) = self::state().await;
        let error = strict.unmarshal(cut, Leniency::Strict).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("entry 3"), "{error}");
        let (compat, _) = self::state().await;
        let report = compat.unmarshal(cut, Leniency::Compat).await.unwrap();
        assert_eq!((report.stored, report.let_through.values().sum::<u64>()), (2, 1));
    }
}

#[tokio::test]
async fn a_failing_store_is_never_an_empty_one() {
    let (state, bends) = state().await;
    state.add(&pin(1)).await.unwrap();
    *bends.scan.lock() = Some(Box::new(|step| match step {
        ScanStep::Page(_) => Err(Error::new(ErrorKind::Unavailable, Operation::Scan, "bent")),
        end => Ok(end),
    }));
    let list = state.list(ListOptions::new()).await.unwrap().into_stream();
    let failure: Result<Vec<_>> = list.try_collect().await;
    assert_eq!(failure.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(state.marshal(&mut Vec::new()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
