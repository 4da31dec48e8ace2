//! Several clients at the same time, whose histories are checked; and futures that are
//! dropped on the way.

use std::sync::Arc;

use pinstate_core::{ControlWritten, Expect, Key, ScanOptions, WriteOptions, Written};
use tokio::sync::Barrier;

use crate::case::{ASKED, Cx, PAUSE};
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;
use crate::clients::{Mix, Plan, Round, joined, polled};
use crate::history::{Answer, Event, History, Promise, Reply};

clauses! {
    X1: "each key behaves as if operations happened one at a time, each within its call",
        "a pin that was acknowledged is not seen, or one that was removed is seen again",
        [
            hot_keys if LINEARIZABLE,
            hot_keys_with_conditions if LINEARIZABLE,
            hot_keys_in_bulk if LINEARIZABLE,
        ];
    X2: "no update is lost where each is made on the condition that nothing changed",
        "two writers that each believe to have won lose one another's pins",
        [counter_by_version if IF_VERSION, counter_in_a_control_record];
    X3: "a handle reads its own writes, and in the end all handles agree on what may stay",
        "a peer that cannot see what it pinned pins it again, or gives up",
        [own_writes if READ_YOUR_WRITES, handles_agree_in_the_end];
    X4: "a scan sees what its own handle had written",
        "a pin that was just added is missing from the next export",
        [scans_see_own_writes if READ_YOUR_WRITES];
    Q3: "a write whose future is dropped applies as a whole or not at all, and not after a barrier",
        "a command that was interrupted undoes what was done after it",
        [cancelled_writes if LINEARIZABLE, cancelled_writes_settle as long];
}

/// As many rounds as the profile has, and then, up to eight times as many, until clients have
/// met in the ways that these marks are called after.
async fn linearizable(cx: &Cx, plan: Plan, marks: &[&'static str]) -> Checked {
    let rounds = cx.size(12, 60) as u64;
    // Each in a namespace of its own.
    for round in 0..rounds * 8 {
        if round >= rounds && marks.iter().all(|mark| cx.has_met(mark)) {
            break;
        }
        let seed = cx.seed.wrapping_add(round);
        let history = Round::new(cx, plan.keys).await?.run(plan, seed).await?;
        mark(cx, &history);
        keeps(cx, &history, Promise::Linearizable)?;
    }
    Ok(())
}

pub(super) fn keeps(cx: &Cx, history: &History, promise: Promise) -> Checked {
    cx.desk.judge(history, promise).map_err(Violation::new)
}

/// Says what of it a history has met.
fn mark(cx: &Cx, history: &History) {
    let answered = || history.events.iter().filter_map(|event| Some((event, event.answered()?)));
    for (event, (at, answer)) in answered() {
        if matches!(
            answer,
            Answer::Written(Reply::Superseded { .. } | Reply::Refused { .. } | Reply::Resolved)
        ) {
            cx.mark("condition_lost");
        }
        let meets = |other: &Event, until: u64| {
            other.client != event.client
                && other.key == event.key
                && other.invoked < at
                && event.invoked < until
        };
        if !event.call.is_write() {
            continue;
        }
        for (other, _) in answered().filter(|(other, (until, _))| meets(other, *until)) {
            cx.mark(if other.call.is_write() { "writes_at_once" } else { "read_during_write" });
        }
    }
}

async fn hot_keys(cx: Cx) -> Checked {
    let plan = Plan { mix: Mix::Plain, clients: 8, keys: 2, operations: 80 };
    linearizable(&cx, plan, &["writes_at_once", "read_during_write"]).await
}

async fn hot_keys_with_conditions(cx: Cx) -> Checked {
    let plan = Plan { mix: Mix::Conditions, clients: 6, keys: 2, operations: 80 };
    linearizable(&cx, plan, &["condition_lost"]).await
}

async fn hot_keys_in_bulk(cx: Cx) -> Checked {
    let plan = Plan { mix: Mix::Bulk, clients: 5, keys: 4, operations: 60 };
    linearizable(&cx, plan, &[]).await
}

/// Clients that each add to a counter, and how often.
const ADDERS: u32 = 4;
const ADDITIONS: u32 = 8;

async fn counter_by_version(cx: Cx) -> Checked {
    let round = Round::new(&cx, 1).await?;
    let key = round.keys.first().cloned().unwrap_or_default();
    let first = round.client(0).await?;
    first.put(&key, "0", None, WriteOptions::new()).await?;
    cx.settled().await;
    // Once all have read the same, so that at least once all but one lose.
    let read = Arc::new(Barrier::new(ADDERS as usize));
    let mut tasks = Vec::new();
    for number in 1..=ADDERS {
        let (client, key, cx) = (round.client(number).await?, key.clone(), cx.clone());
        let read = Arc::clone(&read);
        tasks.push(tokio::spawn(async move {
            let mut met = false;
            for _ in 0..ADDITIONS {
                loop {
                    let record = client.get(&key).await;
                    if !std::mem::replace(&mut met, true) {
                        read.wait().await;
                    }
                    let record = record?;
                    let record = record.ok_or_else(|| Violation::new("the counter is gone"))?;
                    tokio::task::yield_now().await;
                    let next = format!("{} by client {number}", count_of(&record.value)? + 1);
                    let options = WriteOptions::if_version(record.version);
                    if client.put(&key, next, None, options).await? == Written::Applied {
                        break;
                    }
                    cx.mark("update_retried");
                }
            }
            Ok(())
        }));
    }
    joined(tasks).await?;
    cx.settled().await;
    let last = first.get(&key).await?.ok_or_else(|| Violation::new("the counter is gone"))?;
    same("additions that were kept", count_of(&last.value)?, ADDERS * ADDITIONS)?;
    if cx.is_linearizable() {
        keeps(&cx, &round.recorder.history(), Promise::Linearizable)?;
    }
    Ok(())
}

/// The number at the beginning of a counter's value.
fn count_of(value: &[u8]) -> Checked<u32> {
    let text = String::from_utf8_lossy(value);
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| Violation::new(format!("a counter: expected a number, got {text:?}")))
}

async fn counter_in_a_control_record(cx: Cx) -> Checked {
    let key = format!("{}/counter", cx.name()?);
    let written = cx.store().control_set(&key, Expect::Absent, b"0").await?;
    holds(written.is_applied(), || format!("a new control record: got {written:?}"))?;
    let read = Arc::new(Barrier::new(ADDERS as usize));
    let tasks = (0..ADDERS).map(|_| {
        let (store, key, cx) = (Arc::clone(cx.store()), key.clone(), cx.clone());
        let read = Arc::clone(&read);
        tokio::spawn(async move {
            let mut met = false;
            for _ in 0..ADDITIONS / 2 {
                loop {
                    let record = store.control_get(&key).await;
                    if !std::mem::replace(&mut met, true) {
                        read.wait().await;
                    }
                    let record = record?;
                    let record = record.ok_or_else(|| Violation::new("the counter is gone"))?;
                    tokio::task::yield_now().await;
                    let next = (count_of(&record.value)? + 1).to_string();
                    let expect = Expect::Revision(record.revision);
                    if store.control_set(&key, expect, next.as_bytes()).await?.is_applied() {
                        break;
                    }
                    cx.mark("control_retried");
                }
            }
            Ok(())
        })
    });
    joined(tasks.collect()).await?;
    let record = cx.store().control_get(&key).await?;
    let record = record.ok_or_else(|| Violation::new("the counter is gone"))?;
    let deleted = cx.store().control_delete(&key, Expect::Revision(record.revision)).await?;
    same("its deletion", deleted, ControlWritten::Applied { revision: 0 })?;
    same("additions that were kept", count_of(&record.value)?, ADDERS * (ADDITIONS / 2))
}

async fn own_writes(cx: Cx) -> Checked {
    for (round, mix) in [(0, Mix::Plain), (1, Mix::Conditions), (2, Mix::Bulk)] {
        let plan = Plan { mix, clients: 4, keys: 3, operations: 40 };
        let seed = cx.seed.wrapping_add(round);
        let history = Round::new(&cx, 3).await?.run(plan, seed).await?;
        keeps(&cx, &history, Promise::OwnWrites)?;
    }
    Ok(())
}

async fn handles_agree_in_the_end(cx: Cx) -> Checked {
    let round = Round::new(&cx, 12).await?;
    round.run(Plan { mix: Mix::Conditions, clients: 6, keys: 12, operations: 40 }, cx.seed).await?;
    cx.store().sync().await?;
    settles(&round, 0).await
}

/// Two handles must agree on each key: at once where the store is linearizable, when the time
/// is over in which it settles where it names one, else soon.
async fn settles(round: &Round, mut observer: u32) -> Checked {
    let in_time = round.cx.settles_in_time();
    round.cx.settled().await;
    let mut asked = 0;
    loop {
        // New ones each time: what the others saw before they agreed is no matter.
        observer += 2;
        let observers = [1_000 + observer, 1_001 + observer];
        for number in observers {
            let client = round.client(number).await?;
            for key in &round.keys {
                client.get(key).await?;
                client.has(key).await?;
            }
        }
        asked += 1;
        let history = round.recorder.history();
        let promise = Promise::Settled { observers: observers.to_vec() };
        if !in_time && asked < ASKED && promise.judge(&history).is_err() {
            tokio::time::sleep(PAUSE).await;
        } else {
            return keeps(&round.cx, &history, promise);
        }
    }
}

async fn scans_see_own_writes(cx: Cx) -> Checked {
    let round = Round::new(&cx, 6).await?;
    let mut tasks = Vec::new();
    for number in 0..4 {
        let (client, keys) = (round.client(number).await?, round.keys.clone());
        let mut rng = fastrand::Rng::with_seed(cx.seed.wrapping_add(u64::from(number)));
        tasks.push(tokio::spawn(async move {
            for turn in 0..15 {
                let key = rng.choice(&keys).cloned().unwrap_or_default();
                if rng.u8(..3) == 0 {
                    client.delete(&key, None, WriteOptions::new()).await?;
                } else {
                    let value = format!("client {number} turn {turn}");
                    client.put(&key, value, None, WriteOptions::new()).await?;
                }
                let mut options = ScanOptions::new();
                options.page_rows = rng.usize(1..5);
                client.scan(&keys, options).await?;
            }
            Ok(())
        }));
    }
    joined(tasks).await?;
    let history = round.recorder.history();
    keeps(&cx, &history, Promise::OwnWrites)?;
    if cx.is_linearizable() {
        keeps(&cx, &history, Promise::Linearizable)?;
    }
    Ok(())
}

async fn cancelled_writes(cx: Cx) -> Checked {
    let plan = Plan { mix: Mix::Cancelled, clients: 4, keys: 2, operations: 60 };
    linearizable(&cx, plan, &[]).await
}

async fn cancelled_writes_settle(cx: Cx) -> Checked {
    let round = Round::new(&cx, 12).await?;
    let (first, second) = (round.client(0).await?, round.client(1).await?);
    let mut rng = cx.rng();
    for key in &round.keys {
        first.put(key, "old", None, WriteOptions::new()).await?;
    }
    for (key, size) in round.keys.iter().zip([3, 3_000].into_iter().cycle()) {
        let value = vec![b'n'; size];
        polled(rng.u8(..8), second.put(key, value, None, WriteOptions::new())).await;
    }
    first.sync(&**cx.store()).await?;
    settles(&round, 0).await?;
    // What has not come now must not come any more.
    let seen = round.recorder.history();
    let other = Key::copy_from(b"other");
    for turn in 0..20 {
        first.put(&other, format!("turn {turn}"), None, WriteOptions::new()).await?;
        tokio::task::yield_now().await;
    }
    first.sync(&**cx.store()).await?;
    settles(&round, 500).await?;
    let now = round.recorder.history();
    for key in &round.keys {
        let last = |history: &History| {
            let mut events = history.events.iter().rev();
            let answer = |event: &Event| match event.answered() {
                Some((_, Answer::Record(found))) if event.key == *key => Some(found.clone()),
                _ => None,
            };
            events.find_map(answer).flatten().map(|found| (found.version, found.value))
        };
        same("a record some time after a barrier", last(&now), last(&seen))?;
    }
    Ok(())
}
