//! What a store holds, and gives back.

use std::time::Duration;

use pinstate_core::{BatchOptions, ErrorKind, ScanOptions};

use super::list::pairs;
use crate::case::{Cx, Own, at_last};
use crate::check::{Checked, Violation, holds, same};
use crate::clause::clauses;
use crate::files::files;

clauses! {
    Z1: "files and threads are back where they were after opening and closing many times",
        "a service that opens stores on demand runs out of them",
        [files_and_threads as alone];
    Z2: "dropping a store without closing it releases its locks",
        "a caller that gave up must be able to start anew",
        [dropped_store_can_be_opened if PERSISTENT];
    Z3: "a dropped namespace leaves nothing",
        "what is left shows again under the same name",
        [dropped_namespace_leaves_nothing, dropped_stays_dropped if PERSISTENT];
    Z4: "what was overwritten does not stay in the files for good",
        "pins are renewed again and again, and the disk would fill up with a pinset that does not \
         grow",
        [overwrites_are_reclaimed if PERSISTENT];
}

/// Writes of one key, and how long each value is.
const OVERWRITES: usize = 10_000;
const OVERWRITTEN: usize = 1_500;

async fn overwrites_are_reclaimed(cx: Cx) -> Checked {
    let folder = cx.folder()?;
    let own = cx.own_in(folder.path())?;
    let (store, ns) = own.open_new().await?;
    let value = |n: usize| {
        let mut value = n.to_string().into_bytes();
        value.resize(OVERWRITTEN, b'.');
        value
    };
    for from in (0..OVERWRITES).step_by(100) {
        let puts = (from..from + 100).map(|n| ns.put_of("k", value(n), cx.version()).into());
        ns.apply(puts.collect(), BatchOptions::new()).await?;
    }
    store.sync().await?;
    store.close().await?;
    let name = ns.name.clone();
    drop((ns, store));
    // Some reclaim while they run, some when they close and some when they open.
    let store = own.open().await?;
    let ns = cx.open(&store, &name).await?;
    same("the value", ns.value("k").await?.as_deref(), Some(&value(OVERWRITES - 1)[..]))?;
    same("records", ns.count().await?, 1)?;
    store.close().await?;
    drop((ns, store));
    let files = files(folder.path())
        .map_err(|error| Violation::files("the store's files cannot be read", &error))?;
    let size: usize = files.values().map(Vec::len).sum();
    // A log in segments, and what a store begins with, are well below that.
    let bound = OVERWRITES * OVERWRITTEN / 2;
    holds(size <= bound, || {
        format!(
            "the files of a store whose one record of {OVERWRITTEN} bytes was written \
             {OVERWRITES} times, once it was opened again and closed: expected at most {bound} \
             bytes, half of what was written, got {size}"
        )
    })
}

/// Open files and threads of this process, where the system tells.
fn held() -> Option<(usize, usize)> {
    let count = |path| Some(std::fs::read_dir(path).ok()?.count());
    Some((count("/proc/self/fd")?, count("/proc/self/task")?))
}

/// Stores that are opened and closed beside one another, and how often each.
const STORES: usize = 4;
const ROUNDS: usize = 10;

async fn files_and_threads(cx: Cx) -> Checked {
    let mut stores = Vec::new();
    for _ in 0..STORES {
        let own = cx.own_store().await?;
        // Once before counting: what a process starts only once is no leak.
        own.open().await?.close().await?;
        stores.push(own);
    }
    let before = held();
    futures::future::try_join_all(stores.iter().map(opened_and_closed)).await?;
    let (Some(before), Some(after)) = (before, held()) else { return Ok(()) };
    // Idle threads of the runtime come and go: half a leak for each round is well above it.
    let rounds = STORES * ROUNDS;
    let most = rounds / 2;
    holds(after.0 < before.0 + most && after.1 < before.1 + most, || {
        format!(
            "after {rounds} rounds: expected about {} files and {} threads, got {} and {}",
            before.0, before.1, after.0, after.1
        )
    })
}

async fn opened_and_closed(own: &Own) -> Checked {
    for _ in 0..ROUNDS {
        let (store, ns) = own.open_new().await?;
        ns.put("k", "v").await?;
        let mut scan = ns.raw.scan(ScanOptions::new()).await?;
        scan.next().await?;
        at_last(|| store.drop_namespace(&ns.name), ErrorKind::NoNamespace).await?;
        store.close().await?;
    }
    Ok(())
}

async fn dropped_store_can_be_opened(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(20)).await?;
    store.sync().await?;
    let name = ns.name.clone();
    drop((ns, store));
    // The engine may need a moment to let go.
    let store =
        own.open_when_free(Duration::from_secs(30)).await.map_err(|error| match error.kind() {
            ErrorKind::Locked => Violation::new(format!("the lock of a dropped store: {error}")),
            _ => error.into(),
        })?;
    let ns = cx.open(&store, &name).await?;
    same("records that were synced", ns.count().await?, 20)?;
    store.close().await?;
    Ok(())
}

async fn dropped_namespace_leaves_nothing(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    for _ in 0..3 {
        let handle = cx.open(cx.store(), &ns.name).await?;
        handle.fill(pairs(1_500)).await?;
        cx.store().drop_namespace(&ns.name).await?;
        let names = cx.store().list_namespaces().await?;
        holds(names.iter().all(|info| info.name != ns.name), || {
            format!("the dropped namespace {} is listed", ns.name)
        })?;
        cx.store().create_namespace(&ns.name).await?;
        let again = cx.open(cx.store(), &ns.name).await?;
        same("the count of one made anew", again.count().await?, 0)?;
        let rows = again.scan(ScanOptions::new().include_deleted()).await?;
        same("rows of one made anew", rows.len(), 0)?;
        same("a record of the old one", again.has(super::list::cid_like(7)).await?, false)?;
    }
    Ok(())
}

async fn dropped_stays_dropped(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill(pairs(100)).await?;
    store.drop_namespace(&ns.name).await?;
    store.close().await?;
    drop(store);
    let store = own.open().await?;
    same("namespaces after reopening", store.list_namespaces().await?.len(), 0)?;
    store.create_namespace(&ns.name).await?;
    let again = cx.open(&store, &ns.name).await?;
    same("the count of one made anew", again.count().await?, 0)?;
    store.close().await?;
    Ok(())
}
