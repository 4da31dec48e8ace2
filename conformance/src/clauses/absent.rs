//! What is not there.

use pinstate_core::{
    CountOptions, Delete, ErrorKind, Key, ReadOptions, ScanOptions, ScanStep, WriteOptions,
};

use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, refused, same};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    N1: "get of an absent key is nothing, never a default and never a failure",
        "a default pin pins the wrong thing; a failure stops the caller",
        [absent_is_nothing, absent_namespace_says_so];
    N2: "has of an absent key is false",
        "it is how callers decide to add",
        [has_of_absent];
    N3: "deleting an absent key is fine and shows nowhere",
        "a store that counts such a delete drifts, one that lists it shows ghosts",
        [delete_of_absent];
    N4: "get after delete is nothing, also after opening again",
        "a pin that comes back by itself is pinned against its owner's will",
        [deleted_stays_deleted, deleted_stays_deleted_when_reopened if PERSISTENT];
    N5: "a store that fails never says 'not found', 'false' or 'empty'",
        "an error taken for absence makes the caller delete, re-add or cut over",
        [closed_is_an_error, dropped_is_an_error];
}

async fn absent_is_nothing(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    same("get in an empty namespace", ns.get("k").await?, None)?;
    ns.fill([("ka", "1"), ("kb", "2"), ("k\0", "3")]).await?;
    for key in ["k", "", "kab", "kA", "kc", "k\0\0"] {
        same(&format!("get of the absent {key:?}"), ns.get(key).await?, None)?;
    }
    Ok(())
}

async fn absent_namespace_says_so(cx: Cx) -> Checked {
    let name = cx.name()?;
    let store = cx.store();
    refused("opening it", store.open_namespace(&name).await, ErrorKind::NoNamespace)?;
    refused("dropping it", store.drop_namespace(&name).await, ErrorKind::NoNamespace)?;
    let ns = cx.namespace().await?;
    ns.put("k", "v").await?;
    let replaced = store.replace_namespace(&ns.name, &name).await;
    refused("putting it in another's place", replaced, ErrorKind::NoNamespace)?;
    same("that other one", ns.texts().await?, vec![("k", "v")].into_texts())
}

async fn has_of_absent(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    same("has in an empty namespace", ns.has("k").await?, false)?;
    ns.fill([("ka", "1"), ("kb", "2")]).await?;
    for key in ["k", "", "kab", "kc"] {
        same(&format!("has of the absent {key:?}"), ns.has(key).await?, false)?;
    }
    Ok(())
}

async fn delete_of_absent(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("k", "v").await?;
    for key in ["absent", "", "kk"] {
        ns.delete(key).await?;
        let delete = Delete::new(Key::copy_from(key.as_bytes()), cx.version());
        ns.raw.delete(delete, WriteOptions::if_newer()).await?;
        same("the list", ns.texts().await?, vec![("k", "v")].into_texts())?;
        same("the count", ns.count().await?, 1)?;
        same("has", ns.has(key).await?, false)?;
        same("get", ns.get(key).await?, None)?;
    }
    Ok(())
}

async fn deleted_stays_deleted(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("a", "1"), ("b", "2")]).await?;
    ns.delete("a").await?;
    let delete = Delete::new(Key::copy_from(b"b"), cx.version());
    ns.raw.delete(delete, WriteOptions::if_newer()).await?;
    for key in ["a", "b"] {
        same("get", ns.get(key).await?, None)?;
    }
    ns.put("a", "again").await?;
    same("the list", ns.texts().await?, vec![("a", "again")].into_texts())
}

async fn deleted_stays_deleted_when_reopened(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.fill([("a", "1"), ("b", "2"), ("c", "3")]).await?;
    ns.delete("a").await?;
    let delete = Delete::new(Key::copy_from(b"b"), cx.version());
    ns.raw.delete(delete, WriteOptions::if_newer()).await?;
    store.close().await?;
    drop(store);
    let store = own.open().await?;
    let again = cx.open(&store, &ns.name).await?;
    same("the list", again.texts().await?, vec![("c", "3")].into_texts())?;
    same("the count", again.count().await?, 1)?;
    same("get", again.get("a").await?, None)?;
    same("has", again.has("b").await?, false)?;
    store.close().await?;
    Ok(())
}

async fn closed_is_an_error(cx: Cx) -> Checked {
    let own = cx.own_store().await?;
    let (store, ns) = own.open_new().await?;
    ns.put("k", "v").await?;
    let mut scan = ns.raw.scan(ScanOptions::new().with_page_rows(1)).await?;
    store.close().await?;
    everything_fails(&cx, &ns, ErrorKind::Closed).await?;
    never_a_clean_end(scan.next().await, ErrorKind::Closed)?;
    refused("sync", store.sync().await, ErrorKind::Closed)?;
    refused("list_namespaces", store.list_namespaces().await, ErrorKind::Closed)?;
    refused("control_get", store.control_get("k").await, ErrorKind::Closed)?;
    refused("open_namespace", store.open_namespace(&ns.name).await, ErrorKind::Closed)?;
    refused("create_namespace", store.create_namespace(&cx.name()?).await, ErrorKind::Closed)?;
    store.close().await?;
    Ok(())
}

async fn dropped_is_an_error(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("k", "v").await?;
    let mut scan = ns.raw.scan(ScanOptions::new().with_page_rows(1)).await?;
    cx.store().drop_namespace(&ns.name).await?;
    everything_fails(&cx, &ns, ErrorKind::NoNamespace).await?;
    never_a_clean_end(scan.next().await, ErrorKind::NoNamespace)?;
    // Another one of the name is another one.
    cx.store().create_namespace(&ns.name).await?;
    everything_fails(&cx, &ns, ErrorKind::NoNamespace).await?;
    let new = cx.open(cx.store(), &ns.name).await?;
    same("the new namespace", new.texts().await?, Vec::new())
}

/// A scan that was cut off may have a page ready, but it must not end as if complete.
fn never_a_clean_end(step: pinstate_core::Result<ScanStep>, kind: ErrorKind) -> Checked {
    match step {
        Ok(ScanStep::Page(page)) if !page.items.is_empty() => Ok(()),
        Ok(step) => Err(Violation::new(format!("expected an error, got {step:?}"))),
        Err(error) => holds(error.kind() == kind, || {
            format!("expected an error of kind '{}', got: {error}", kind.as_str())
        }),
    }
}

async fn everything_fails(cx: &Cx, ns: &Ns, kind: ErrorKind) -> Checked {
    let (key, options) = (Key::copy_from(b"k"), ReadOptions::new());
    refused("get", ns.raw.get(&key, options).await, kind)?;
    refused("has", ns.raw.has(&key, options).await, kind)?;
    refused("count", ns.raw.count(CountOptions::new()).await, kind)?;
    refused("split", ns.raw.split(4).await, kind)?;
    refused("scan", ns.raw.scan(ScanOptions::new()).await.map(|_| "a scan"), kind)?;
    let put = ns.put_of("k", "late", cx.version());
    refused("put", ns.raw.put(put.clone(), WriteOptions::new()).await, kind)?;
    let delete = Delete::new(key.clone(), cx.version());
    refused("delete", ns.raw.delete(delete, WriteOptions::new()).await, kind)?;
    let absent = [Key::copy_from(b"absent")];
    match ns.raw.get_many(&absent, options).await {
        Ok(results) => {
            for result in results {
                refused("an item of get_many", result, kind)?;
            }
        }
        Err(error) => {
            refused::<()>("get_many", Err(error), kind)?;
        }
    }
    match ns.raw.apply(vec![put.into()], pinstate_core::BatchOptions::new()).await {
        Ok(outcome) => {
            for result in outcome.items {
                refused("an item of a batch", result, kind)?;
            }
        }
        Err(error) => {
            refused::<()>("a batch", Err(error), kind)?;
        }
    }
    Ok(())
}
