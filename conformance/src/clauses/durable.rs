//! What outlives closing, and the death of the process.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use pinstate_core::{
    Delete, Durability, ErrorKind, Expect, Key, NamespaceName, ScanOptions, WriteOptions,
};

use super::list::pairs;
use crate::case::Cx;
use crate::check::{Checked, Violation, holds, refused, same, some};
use crate::clause::clauses;
use crate::kill::{Event, Scene, Starting, Task, When, Writer, kills, storm};

clauses! {
    D1: "a store that is opened again has everything",
        "a service restarts, and its pins are garbage-collected where they are missing",
        [reopened_has_everything if PERSISTENT];
    D2: "what was there when a barrier was acknowledged outlives the process",
        "a checkpoint that is reported as reached is where a job goes on",
        [synced_outlives_kill if SYNCED_SURVIVES];
    D3: "an acknowledged write is as safe as is declared",
        "the caller was told that the pin is stored, and will not store it again",
        [acked_outlives_kill if ACKED_SURVIVES];
    D5: "killing the process at any moment, and again while it recovers, loses nothing",
        "a process that was killed is started again at once, and often killed again",
        [storm_of_kills if PERSISTENT, bookkeeping_outlives_kill if SYNCED_SURVIVES];
    D6: "an atomic batch is there whole or not at all after a kill",
        "half of a change that belongs together is a state that nobody wanted",
        [batch_whole_after_kill if BATCH_SURVIVES];
    D11: "a second process is told that the store is in use, and a dead one keeps nobody out",
        "two writers on one set of files destroy it; a lock that stays needs an operator",
        [second_process_is_locked_out if EXCLUSIVE_OPEN, lock_of_the_dead if PERSISTENT,
            lock_ends_with_closing if PERSISTENT];
    D12: "opening a store that is not there is an error, unless making one was asked for",
        "a wrong path would look like a pinset that is empty",
        [missing_is_not_made if PERSISTENT];
    D13: "a delete is as safe as a put",
        "what was unpinned comes back after a crash",
        [deletes_outlive_kill if PERSISTENT];
}

async fn reopened_has_everything(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(1_200)).await?;
    let large = vec![7; cx.capabilities().max_value_bytes.min(300_000) as usize];
    ns.put("large", &large).await?;
    ns.put("empty", "").await?;
    ns.put("rewritten", "old").await?;
    ns.put("rewritten", "new").await?;
    ns.put("gone", "v").await?;
    ns.delete("gone").await?;
    ns.put("marked", "v").await?;
    let marked = Delete::new(Key::copy_from(b"marked"), cx.version());
    ns.raw.delete(marked, WriteOptions::if_newer()).await?;
    let other = cx.name()?;
    store.create_namespace(&other).await?;
    store.create_namespace(&cx.name()?).await?;
    let second = cx.open(&store, &other).await?;
    second.put("rewritten", "elsewhere").await?;
    for (key, value) in [("a", "1"), ("b", ""), ("b/c", "3")] {
        let set = store.control_set(key, Expect::Absent, value.as_bytes()).await?;
        holds(set.is_applied(), || format!("a new control record: {set:?}"))?;
    }
    let b = some("the control record b", store.control_get("b").await?)?;
    let set = store.control_set("b", Expect::Revision(b.revision), b"2").await?;
    holds(set.is_applied(), || format!("a control record written again: {set:?}"))?;

    let everything = async |store: &std::sync::Arc<dyn pinstate_core::Store>| -> Checked<_> {
        let names: Vec<NamespaceName> =
            store.list_namespaces().await?.into_iter().map(|info| info.name).collect();
        let mut records = BTreeMap::new();
        for name in &names {
            let ns = cx.open(store, name).await?;
            let mut rows = ns.scan(ScanOptions::new().include_deleted()).await?;
            rows.sort_by(|a, b| a.key.cmp(&b.key));
            records.insert(name.clone(), rows);
        }
        Ok((store.identity().uuid, records, store.control_list("").await?))
    };
    let before = everything(&store).await?;
    same("namespaces", before.1.len(), 3)?;
    store.close().await?;
    drop((store, ns, second));
    for round in 1..=2 {
        let store = own.open().await?;
        let after = everything(&store).await?;
        same("the store's identity", after.0, before.0)?;
        same("control records", &after.2, &before.2)?;
        for (name, rows) in &before.1 {
            let now = after.1.get(name).map(Vec::as_slice).unwrap_or_default();
            let what = format!("rows of {name} when opened again, {round}");
            same(&what, now.len(), rows.len())?;
            for (now, row) in now.iter().zip(rows) {
                same(&what, now, row)?;
            }
        }
        same("namespaces when opened again", after.1.len(), before.1.len())?;
        let main = cx.open(&store, &other).await?;
        let value = main.value("rewritten").await?;
        same("a get when opened again", value, Some(Bytes::from_static(b"elsewhere")))?;
        store.close().await?;
    }
    Ok(())
}

async fn synced_outlives_kill(cx: Cx) -> Checked {
    let sync_every = Some(5);
    let writers = [Writer::Mixed { sync_every }, Writer::Mixed { sync_every: None }];
    storm(&cx, &writers, half(), |_, random| When::Acked(random.u64(12..80))).await
}

async fn acked_outlives_kill(cx: Cx) -> Checked {
    let sync_every = None;
    let writers = [Writer::Mixed { sync_every }, Writer::Mixed { sync_every }];
    storm(&cx, &writers, half(), |_, random| When::Acked(random.u64(3..60))).await
}

async fn deletes_outlive_kill(cx: Cx) -> Checked {
    // Where a delete is safe as soon as it is acknowledged, nothing else may make it so.
    let acked = cx.capabilities().ack_durability != Durability::None;
    let writers = [Writer::Deletes { sync_every: (!acked).then_some(3) }];
    storm(&cx, &writers, half(), |_, random| When::Acked(random.u64(4..40))).await
}

async fn batch_whole_after_kill(cx: Cx) -> Checked {
    let sync_every = Some(10);
    let writers = [Writer::Together { sync_every }, Writer::Together { sync_every: None }];
    storm(&cx, &writers, kills(), |_, random| {
        When::After(random.u64(3..30), Duration::from_micros(random.u64(..15_000)))
    })
    .await
}

/// How often cases kill that are about one thing.
fn half() -> u64 {
    kills().div_ceil(2)
}

async fn storm_of_kills(cx: Cx) -> Checked {
    let mut writers = vec![
        Writer::Mixed { sync_every: Some(20) },
        Writer::Mixed { sync_every: None },
        Writer::Deletes { sync_every: Some(8) },
        Writer::Namespaces,
        Writer::Control,
    ];
    if cx.capabilities().atomic_batch {
        writers.push(Writer::Together { sync_every: Some(6) });
    }
    storm(&cx, &writers, kills(), |kill, random| match kill % 4 {
        // While it recovers from the kill before.
        1 => When::Opening(Duration::from_micros(random.u64(..8_000))),
        2 if random.bool() => When::Opened,
        _ => When::Acked(random.u64(1..300)),
    })
    .await
}

async fn bookkeeping_outlives_kill(cx: Cx) -> Checked {
    // Each alone: a write of another kind may take what was left behind along.
    for writer in [Writer::Control, Writer::Namespaces] {
        storm(&cx, &[writer], half(), |_, random| When::Acked(random.u64(1..12))).await?;
    }
    Ok(())
}

async fn second_process_is_locked_out(cx: Cx) -> Checked {
    let scene = Scene::new(&cx)?;
    let store = scene.open().await?;
    let mut second = scene.child(Task::Hold).await?;
    let locked = ErrorKind::Locked.as_str();
    match second.opened().await? {
        Err((kind, _)) if kind == locked => {}
        Err((_, error)) => {
            return Err(Violation::new(format!(
                "a second process: expected an error of kind '{locked}', got: {error}"
            )));
        }
        Ok(()) => {
            return Err(Violation::new(format!(
                "a second process: expected an error of kind '{locked}', and it has the store open"
            )));
        }
    }
    // The first one is none the worse for it.
    store.create_namespace(&cx.name()?).await?;
    store.close().await?;
    drop(store);
    let mut second = scene.child(Task::Hold).await?;
    let opened = second.opened().await?;
    same("a second process once the first has closed the store", opened, Ok(()))?;
    refused("opening what another process has open", scene.open().await, ErrorKind::Locked)?;
    Ok(())
}

async fn lock_of_the_dead(cx: Cx) -> Checked {
    let scene = Scene::new(&cx)?;
    for _ in 0..2 {
        let mut holder = scene.child(Task::Hold).await?;
        same("a child that opens the store", holder.opened().await?, Ok(()))?;
        holder.kill();
        same("what a dead child tells", holder.next().await, None::<Event>)?;
        let store = scene.open().await.map_err(|error| {
            Violation::new(format!("the store of a process that was killed: {error}"))
        })?;
        store.close().await?;
    }
    Ok(())
}

async fn lock_ends_with_closing(cx: Cx) -> Checked {
    let scene = Scene::new(&cx)?;
    let starting = Starting::begin();
    let mut opened = 0;
    while opened < 3 || starting.processes() < 4 {
        opened += 1;
        let store = scene.open().await.map_err(|error| {
            Violation::new(format!(
                "a store that was closed while the process was starting another one (which has a \
                 copy of every open file until it runs): {error}"
            ))
        })?;
        store.close().await?;
    }
    Ok(())
}

async fn missing_is_not_made(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    for _ in 0..2 {
        let opened = own.open_existing().await?;
        refused("opening what is not there", opened, ErrorKind::NoStore)?;
    }
    let (store, ns) = own.open_new().await?;
    ns.put("k", "v").await?;
    let uuid = store.identity().uuid;
    store.close().await?;
    drop((store, ns));
    let store = own.open_existing().await??;
    same("the store's identity", store.identity().uuid, uuid)?;
    store.close().await?;
    Ok(())
}
