//! Basic operations on records.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pinstate_core::{
    ControlWritten, ErrorKind, Expect, Key, Put, ReadOptions, ScanOptions, WriteOptions,
};

use crate::case::Cx;
use crate::check::{Checked, Violation, holds, refused, same, some};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    C1: "put then get returns the same bytes and version",
        "everything else rests on it",
        [bytes_and_version_come_back, many_come_back_in_order];
    C2: "has agrees with get",
        "callers ask has before they add; a disagreement loses or doubles pins",
        [has_is_get];
    C3: "a deleted record is gone from get, has, list and count",
        "a pin that was removed and still shows is pinned for ever",
        [deleted_is_gone];
    C4: "keys are the full bytes of CIDs",
        "CIDv0 and CIDv1 of one digest, and two codecs of it, are different pins",
        [cids_of_one_digest_are_apart];
    C9: "two namespaces do not see each other, and control records are in neither",
        "one store may hold several clusters, and its own bookkeeping",
        [namespaces_are_apart, dropping_one_leaves_the_other, control_records_are_apart];
    C10: "two handles on one namespace see each other's writes, at once or in the end as declared",
        "the parts of a program open their own handles",
        [handles_see_each_other];
    C11: "what the store keeps is its own",
        "a record that is a slice of a large file would keep the whole file in memory; one that \
         shares its memory with a caller could change",
        [kept_bytes_are_copies, changing_what_was_read_changes_nothing];
}

async fn bytes_and_version_come_back(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let mut rng = cx.rng();
    for len in [0, 1, 2, 7, 8, 100, 255, 256, 1_023, 1_024, 1_025, 5_000] {
        let value: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
        let key = format!("key of {len}");
        let version = ns.put(&key, &value).await?;
        let record = some(&key, ns.get(&key).await?)?;
        same(&key, record.value, Bytes::from(value))?;
        same("its version", record.version, version)?;
    }
    Ok(())
}

async fn many_come_back_in_order(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill((0..50).map(|i| (format!("k{i}"), format!("v{i}")))).await?;
    // Out of order, one twice, one that is not there.
    let asked = ["k7", "k49", "absent", "k7", "k0"];
    let keys: Vec<Key> = asked.iter().map(|key| Key::copy_from(key.as_bytes())).collect();
    let results = ns.raw.get_many(&keys, ReadOptions::new()).await?;
    let mut values = Vec::new();
    for result in results {
        values.push(result?.map(|record| record.value));
    }
    let v = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    same("get_many", values, vec![v("v7"), v("v49"), None, v("v7"), v("v0")])
}

async fn has_is_get(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill((0..20).map(|i| (format!("k{i}"), ""))).await?;
    for i in (0..20).step_by(3) {
        ns.delete(format!("k{i}")).await?;
    }
    for i in 0..25 {
        let key = format!("k{i}");
        same(
            &format!("has({key}) against get"),
            ns.has(&key).await?,
            ns.get(&key).await?.is_some(),
        )?;
        same(&format!("has({key})"), ns.has(&key).await?, i < 20 && i % 3 != 0)?;
    }
    Ok(())
}

async fn deleted_is_gone(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("a", "1"), ("b", "2"), ("c", "3")]).await?;
    ns.delete("b").await?;
    same("get of the deleted key", ns.get("b").await?, None)?;
    same("has of the deleted key", ns.has("b").await?, false)?;
    same("the list", ns.texts().await?, vec![("a", "1"), ("c", "3")].into_texts())?;
    same("the count", ns.count().await?, 2)
}

async fn cids_of_one_digest_are_apart(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let digest = [7_u8; 32];
    let multihash = [&[0x12, 0x20], &digest[..]].concat();
    let raw = [&[0x01, 0x55], &multihash[..]].concat();
    let dag_pb = [&[0x01, 0x70], &multihash[..]].concat();
    let cids = [multihash, raw, dag_pb];
    for (i, cid) in cids.iter().enumerate() {
        ns.put(cid, format!("pin {i}")).await?;
    }
    for (i, cid) in cids.iter().enumerate() {
        same("one of three", ns.value(cid).await?, Some(Bytes::from(format!("pin {i}"))))?;
    }
    same("the count", ns.count().await?, 3)
}

async fn namespaces_are_apart(cx: Cx) -> Checked {
    let (one, two) = (cx.namespace().await?, cx.namespace().await?);
    one.put("k", "one").await?;
    same("another namespace's get", two.get("k").await?, None)?;
    same("another namespace's count", two.count().await?, 0)?;
    two.put("k", "two").await?;
    two.put("l", "two").await?;
    one.delete("l").await?;
    same("one", one.texts().await?, vec![("k", "one")].into_texts())?;
    same("two", two.texts().await?, vec![("k", "two"), ("l", "two")].into_texts())
}

async fn dropping_one_leaves_the_other(cx: Cx) -> Checked {
    // Names of which one is the beginning of the other, as prefixes of keys would be.
    let (short, long) = (cx.own_name().await?, cx.name()?);
    let long_name: pinstate_core::NamespaceName =
        format!("{short}-{long}").parse().or_else(|_| format!("{short}-x").parse())?;
    cx.store().create_namespace(&short).await?;
    cx.store().create_namespace(&long_name).await?;
    let kept = cx.open(cx.store(), &long_name).await?;
    kept.put("k", "kept").await?;
    let dropped = cx.open(cx.store(), &short).await?;
    dropped.put("k", "dropped").await?;
    cx.store().drop_namespace(&short).await?;
    let left = kept.texts().await;
    cx.store().drop_namespace(&long_name).await?;
    same("the namespace that was not dropped", left?, vec![("k", "kept")].into_texts())
}

async fn control_records_are_apart(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let key = format!("{}/mark", ns.name);
    let written = cx.store().control_set(&key, Expect::Absent, b"mark").await?;
    let ControlWritten::Applied { revision } = written else {
        return Err(Violation::new(format!("expected a new control record, got {written:?}")));
    };
    let seen = (ns.count().await?, ns.map(ScanOptions::new()).await?.len(), ns.get(&key).await?);
    let listed = cx.store().control_list(&format!("{}/", ns.name)).await?;
    let deleted = cx.store().control_delete(&key, Expect::Revision(revision)).await?;
    holds(deleted.is_applied(), || format!("deleting this revision: got {deleted:?}"))?;
    same("what the namespace shows of it", seen, (0, 0, None))?;
    same("control records of its prefix", listed.len(), 1)?;
    same("after its deletion", cx.store().control_get(&key).await?, None)
}

async fn handles_see_each_other(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let other = cx.open(cx.store(), &ns.name).await?;
    // Both have looked: what a handle remembers is old from here on.
    same("the other handle's count", other.count().await?, 0)?;
    same("the other handle's get", other.get("k").await?, None)?;
    same("the first handle's get", ns.get("k").await?, None)?;
    ns.put("k", "v").await?;
    let stored = || Some(Bytes::from_static(b"v"));
    cx.reads("the other handle's get", stored(), || other.value("k")).await?;
    same("the first handle's get", ns.value("k").await?, stored())?;
    let listed = vec![("k", "v")].into_texts();
    cx.reads("the other handle", listed, || other.texts()).await?;
    other.delete("k").await?;
    cx.reads("the first handle", None, || ns.get("k")).await?;
    cx.reads("the first handle's count", 0, || ns.count()).await?;
    let again = cx.store().create_namespace(&ns.name).await;
    refused("creating it again", again, ErrorKind::Conflict)?;
    Ok(())
}

/// Memory that tells when it is freed.
struct Watched(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

async fn kept_bytes_are_copies(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let freed = Arc::new(AtomicBool::new(false));
    let file = Bytes::from_owner(Watched(vec![b'x'; 100_000], Arc::clone(&freed)));
    let put = Put::new(Key::new(file.slice(10..46)), file.slice(100..400), cx.version());
    ns.raw.put(put.clone(), WriteOptions::new()).await?;
    ns.apply(vec![put.into()], pinstate_core::BatchOptions::new()).await?;
    drop(file);
    // A store that writes behind may hold on until its barrier.
    cx.store().sync().await?;
    holds(freed.load(Ordering::SeqCst), || {
        "a record of 300 bytes out of 100,000: expected a copy, got a store that keeps them all"
            .to_owned()
    })?;
    same("the record", ns.value([b'x'; 36]).await?, Some(Bytes::from(vec![b'x'; 300])))
}

async fn changing_what_was_read_changes_nothing(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    for len in [10, 5_000] {
        let value = Bytes::from(vec![b'v'; len]);
        ns.put("k", &value).await?;
        let read = some("the record", ns.value("k").await?)?;
        if let Ok(mut own) = read.try_into_mut() {
            own.fill(b'!');
        }
        same("the record after what was read was changed", ns.value("k").await?, Some(value))?;
    }
    Ok(())
}
