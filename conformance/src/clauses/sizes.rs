//! Sizes.

use bytes::Bytes;
use pinstate_core::control::{MAX_CONTROL_KEY_BYTES, MAX_CONTROL_VALUE_BYTES};
use pinstate_core::{
    BatchOptions, ErrorKind, Expect, Key, Outcome, ReadOptions, ScanOptions, WriteOptions,
};

use super::list::{cid_like, pairs};
use crate::case::{Cx, Ns};
use crate::check::{Checked, Violation, holds, refused, same};
use crate::clause::clauses;

clauses! {
    S1: "the declared limits are taken, and one byte more is TooLarge with nothing stored",
        "a limit that is off by one loses the one pin that meets it",
        [longest_key, longest_value, longest_control_record];
    S2: "values of every size come back",
        "pins range from a few bytes to as much metadata as users care to add",
        [sizes_around_powers];
    S4: "CIDs with identity digests up to the key limit are keys",
        "such CIDs carry their content and are long",
        [identity_cids];
    S5: "one among many is found as one among ten",
        "a lookup that reads the list is not one",
        [found_among_many];
}

/// Keys and values larger than this are not tried: the suite must run on small machines.
fn largest_tried(cx: &Cx) -> u64 {
    cx.size(16 << 20, 64 << 20) as u64
}

async fn refused_over_limit(cx: &Cx, ns: &Ns, key: &[u8], value: &Bytes) -> Checked {
    let put = pinstate_core::Put::new(Key::copy_from(key), value.clone(), cx.version());
    let result = ns.raw.put(put.clone(), WriteOptions::new()).await;
    let error = refused("one byte over the limit", result, ErrorKind::TooLarge)?;
    same("its outcome", error.outcome(), Outcome::NotApplied)?;
    let result = match ns.raw.apply(vec![put.into()], BatchOptions::new()).await {
        Ok(outcome) => outcome.into_result().map(|_| ()),
        Err(error) => Err(error),
    };
    refused("one byte over the limit, in a batch", result, ErrorKind::TooLarge)?;
    same("records afterwards", ns.count().await?, 0)?;
    same("the list afterwards", ns.map(ScanOptions::new()).await?.len(), 0)
}

/// That longer ones are refused is a matter of the clause on errors.
async fn longest_control_record(cx: Cx) -> Checked {
    let store = cx.store();
    let key = format!("{:k<MAX_CONTROL_KEY_BYTES$}", cx.name()?.as_str());
    let value = vec![7; MAX_CONTROL_VALUE_BYTES];
    let written = store.control_set(&key, Expect::Absent, &value).await?;
    holds(written.is_applied(), || format!("a new control record: got {written:?}"))?;
    let record = store.control_get(&key).await?;
    let record = record.ok_or_else(|| Violation::new("the longest control record is gone"))?;
    let deleted = store.control_delete(&key, Expect::Revision(record.revision)).await?;
    holds(deleted.is_applied(), || format!("its deletion: got {deleted:?}"))?;
    same("the longest control value", record.value, Bytes::from(value))
}

async fn longest_key(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let limit = ns.raw.capabilities().max_key_bytes;
    if limit > largest_tried(&cx) {
        return Ok(());
    }
    let mut key = vec![0xab; usize::try_from(limit).unwrap_or(usize::MAX)];
    let longer = [&key[..], b"x"].concat();
    refused_over_limit(&cx, &ns, &longer, &Bytes::from_static(b"v")).await?;
    same("a key that is too long to be there", ns.has(&longer).await?, false)?;
    ns.put(&key, "v").await?;
    same("the longest key", ns.value(&key).await?, Some(Bytes::from_static(b"v")))?;
    // The last byte counts as well.
    if let Some(last) = key.last_mut() {
        *last = 0xac;
    }
    same("its neighbour", ns.value(&key).await?, None)?;
    ns.put(&key, "w").await?;
    same("the count", ns.count().await?, 2)?;
    same("the list", ns.map(ScanOptions::new().with_page_rows(1)).await?.len(), 2)
}

async fn longest_value(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let limit = ns.raw.capabilities().max_value_bytes;
    if limit > largest_tried(&cx) {
        return Ok(());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let value = Bytes::from(vec![0xab; limit + 1]);
    refused_over_limit(&cx, &ns, b"k", &value).await?;
    let longest = value.slice(..limit);
    ns.put("k", &longest).await?;
    let got = ns.value("k").await?;
    same("bytes of the longest value", got.as_ref().map(Bytes::len), Some(limit))?;
    same("the longest value is the same", got == Some(longest), true)
}

async fn sizes_around_powers(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let limit = usize::try_from(ns.raw.capabilities().max_value_bytes).unwrap_or(usize::MAX);
    let sizes = [0, 1, 4_095, 4_096, 65_535, 65_536, 65_537, 1 << 20, 16 << 20];
    let limit = limit.min(cx.size(1 << 20, 16 << 20));
    for size in sizes.into_iter().filter(|size| *size <= limit) {
        let value = Bytes::from(cx.rng().alphanumeric().to_string().repeat(size));
        ns.put(format!("k{size}"), &value).await?;
        let got = ns.value(format!("k{size}")).await?;
        same(&format!("a value of {size} bytes is the same"), got == Some(value), true)?;
    }
    let tried = sizes.iter().filter(|size| **size <= limit).count();
    let mut listed = 0;
    for record in ns.scan(ScanOptions::new().with_page_rows(2)).await? {
        let name = format!("k{}", record.value.len());
        same("a listed value's size", record.key.as_bytes(), name.as_bytes())?;
        listed += 1;
    }
    same("values listed", listed, tried)
}

async fn identity_cids(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let limit = usize::try_from(ns.raw.capabilities().max_key_bytes).unwrap_or(usize::MAX);
    let lengths = [0, 1, 32, 36, 37, 38, 39, 64, 127];
    let mut stored = 0;
    for len in lengths.into_iter().filter(|len| len + 4 <= limit) {
        // Two that differ in their last byte only.
        for last in [1, 2].into_iter().take(len.clamp(1, 2)) {
            let mut key = vec![0x01, 0x55, 0x00, len as u8];
            key.extend(vec![9; len.saturating_sub(1)]);
            key.extend(std::iter::repeat_n(last, len.min(1)));
            ns.put(&key, &key).await?;
            same("an identity CID", ns.value(&key).await?, Some(Bytes::from(key)))?;
            stored += 1;
        }
    }
    same("the count", ns.count().await?, stored)?;
    same("the list", ns.map(ScanOptions::new()).await?.len() as u64, stored)
}

async fn found_among_many(cx: Cx) -> Checked {
    let count = cx.size(2_000, 100_000);
    let ns = cx.namespace().await?;
    ns.fill(pairs(count)).await?;
    if count >= 100_000 {
        cx.mark("many_rows");
    }
    // Enough lookups that a store which reads its list for each would hang.
    let mut rng = cx.rng();
    for _ in 0..cx.size(500, 2_000) {
        let i = rng.usize(..count);
        same("a value", ns.value(cid_like(i)).await?, Some(Bytes::from(format!("value {i}"))))?;
    }
    let keys: Vec<Key> = (0..count + 1_000).step_by(101).map(|i| Key::new(cid_like(i))).collect();
    let found = ns.raw.get_many(&keys, ReadOptions::new()).await?;
    let mut there = 0;
    for result in found {
        there += usize::from(result?.is_some());
    }
    same("found by get_many", there, (0..count).step_by(101).len())
}
