//! Bytes that are no text.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::case::Cx;
use crate::check::{Checked, same};
use crate::clause::clauses;
use crate::gate::IntoTexts;

clauses! {
    U1: "every byte is legal in a key, and a key that begins another is another",
        "a store that cuts at NUL, or takes prefixes for keys, merges pins",
        [single_bytes, prefixes, deletes_take_one_key];
    U3: "upper and lower case are kept apart",
        "base58 text depends on it",
        [case_is_kept];
    U4: "values are bytes, whatever they hold",
        "pins carry fields that are not UTF-8",
        [any_value];
}

async fn single_bytes(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let all: BTreeMap<Vec<u8>, Bytes> =
        (0..=255_u8).map(|byte| (vec![byte], Bytes::from(vec![byte; 3]))).collect();
    ns.fill(&all).await?;
    ns.shows(&all).await
}

async fn prefixes(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let keys: [&[u8]; 12] = [
        b"k",
        b"k\0",
        b"k\0\0",
        b"kk",
        b"\0k",
        b"k/",
        b"k/a",
        b"k'",
        b"k\"",
        b"k%",
        b"\xff",
        b"\xff\xff",
    ];
    let all: BTreeMap<Vec<u8>, Bytes> =
        keys.iter().map(|key| (key.to_vec(), Bytes::copy_from_slice(key))).collect();
    ns.fill(&all).await?;
    ns.shows(&all).await?;
    // Long keys that begin alike.
    let mut all = all;
    for len in [30, 31, 37, 38, 39, 40, 64, 65, 100, 255, 256] {
        let key = vec![b'k'; len];
        ns.put(&key, format!("{len}")).await?;
        all.insert(key, Bytes::from(format!("{len}")));
    }
    ns.shows(&all).await
}

async fn deletes_take_one_key(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("k", "1"), ("k\0", "2"), ("kk", "3"), ("j", "4")]).await?;
    ns.delete("k").await?;
    let expected = vec![("j", "4"), ("k\0", "2"), ("kk", "3")].into_texts();
    same("the list", ns.texts().await?, expected)
}

async fn case_is_kept(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.fill([("Key", "A"), ("key", "a"), ("KEY", "B")]).await?;
    let expected = vec![("KEY", "B"), ("Key", "A"), ("key", "a")].into_texts();
    same("the list", ns.texts().await?, expected)?;
    same("get", ns.value("kEy").await?, None)
}

async fn any_value(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let values: [&[u8]; 6] = [
        &[0xff, 0xfe, 0x00, 0x80],
        b"\0",
        b"\r\n",
        &[0xed, 0xa0, 0x80],
        b"'; DROP TABLE pins; --",
        &[0xc3, 0x28],
    ];
    let all: BTreeMap<Vec<u8>, Bytes> = values
        .iter()
        .enumerate()
        .map(|(i, value)| (format!("k{i}").into_bytes(), Bytes::copy_from_slice(value)))
        .collect();
    ns.fill(&all).await?;
    ns.shows(&all).await
}
