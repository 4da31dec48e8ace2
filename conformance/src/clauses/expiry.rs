//! Pins that expire. As in ipfs-cluster an expiry is data: whoever runs the cluster unpins
//! what has expired, and until then the record stays.

use futures::TryStreamExt;
use pinstate_core::pin::{Pin, UnixSeconds};
use pinstate_core::{CountOptions, ListOptions, PinFilter, ScanOptions, State};

use super::pins::cid;
use crate::case::Cx;
use crate::check::{Checked, same};
use crate::clause::clauses;

clauses! {
    T1: "a pin stays when it has expired, for get, has, list and count alike",
        "whoever unpins what has expired must be able to see it",
        [expired_pins_stay];
    T3: "a pin that replaces another has its own expiry, or none",
        "an expiry that is left over unpins what was to stay",
        [replaced_expiry];
    T5: "an expiry survives reopening as the same moment",
        "a pin must not live longer for every restart",
        [after_reopening if PERSISTENT];
    T6: "filters tell what has expired at a moment from what has not",
        "one second early unpins what its owner still pays for",
        [at_the_second];
}

/// A moment that is long over, and one far ahead.
const PAST: i64 = 1_000_000_000;
const AHEAD: i64 = 4_102_444_800;

fn expiring(i: usize, at: Option<i64>) -> Checked<Pin> {
    let mut pin = Pin::new(cid(i)?);
    pin.expire_at = at.map(UnixSeconds);
    Ok(pin)
}

async fn expired_pins_stay(cx: Cx) -> Checked {
    let state = cx.state().await?;
    for (i, at) in [(1, Some(PAST)), (2, Some(AHEAD)), (3, None)] {
        let pin = expiring(i, at)?;
        state.add(&pin).await?;
        same("get", state.get(&pin.cid).await?.expire_at, pin.expire_at)?;
        same("has", state.has(&pin.cid).await?, true)?;
    }
    same("count", state.count(CountOptions::new()).await?.value(), 3)?;
    same("list", listed(&state, PinFilter::new()).await?, 3)?;
    state.rm(&cid(1)?).await?;
    same("list without it", listed(&state, PinFilter::new()).await?, 2)
}

async fn listed(state: &State, filter: PinFilter) -> Checked<usize> {
    let list = state.list(ListOptions::new().with_filter(filter)).await?;
    let items: Vec<_> = list.into_stream().try_collect().await?;
    Ok(items.len())
}

async fn replaced_expiry(cx: Cx) -> Checked {
    let state = cx.state().await?;
    for at in [Some(PAST), None, Some(AHEAD), Some(AHEAD + 1), Some(PAST), None] {
        let pin = expiring(1, at)?;
        state.add(&pin).await?;
        same("the expiry", state.get(&pin.cid).await?.expire_at, pin.expire_at)?;
        let all: Vec<_> = state.list(ListOptions::new()).await?.into_stream().try_collect().await?;
        let views = all.iter().flatten().filter_map(|stored| stored.view().ok());
        let expiries: Vec<_> = views.map(|view| view.to_pin().expire_at).collect();
        same("the expiry in a list", expiries, vec![pin.expire_at])?;
    }
    Ok(())
}

async fn after_reopening(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    let state = ns.state();
    let pins = [expiring(1, Some(PAST))?, expiring(2, Some(AHEAD))?, expiring(3, None)?];
    for pin in &pins {
        state.add(pin).await?;
    }
    let rows = ns.scan(ScanOptions::new()).await?;
    store.close().await?;
    drop((state, store));
    let store = own.open().await?;
    let again = cx.open(&store, &ns.name).await?;
    same("the records", again.scan(ScanOptions::new()).await?, rows)?;
    let state = again.state();
    for pin in &pins {
        same("a pin", &state.get(&pin.cid).await?, pin)?;
    }
    store.close().await?;
    Ok(())
}

async fn at_the_second(cx: Cx) -> Checked {
    let state = cx.state().await?;
    for (i, later) in (0..10).zip(0_i64..) {
        state.add(&expiring(i, Some(AHEAD + later))?).await?;
    }
    state.add(&expiring(10, None)?).await?;
    for after in 0_i64..10 {
        let now = UnixSeconds(AHEAD + after);
        let expired = listed(&state, PinFilter::new().with_expired(true, now)).await?;
        let others = listed(&state, PinFilter::new().with_expired(false, now)).await?;
        let by_hand = (0..10).filter(|i| has_ended(*i, now)).count();
        same("pins that have expired", expired, by_hand)?;
        same("pins that have not", others, 11 - by_hand)?;
    }
    Ok(())
}

/// A pin has ended when its second has come.
fn has_ended(i: i64, now: UnixSeconds) -> bool {
    AHEAD + i <= now.0
}
