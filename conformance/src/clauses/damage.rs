//! Files that were damaged.

use std::path::PathBuf;
use std::sync::Arc;

use pinstate_core::{
    Delete, Error, ErrorKind, Key, Namespace, NamespaceName, ReadOptions, Result, ScanOptions,
    ScanStep, Store, WriteOptions,
};

use crate::case::Cx;
use crate::check::{Checked, Violation, holds};
use crate::clause::clauses;
use crate::files::{Files, files, lay_out};
use crate::kill::{kills, token, token_of, value};

clauses! {
    D9: "a byte that turned in a file gives what was stored or an error, never other data",
        "disks and memory turn bits, and a wrong pin is worse than none",
        [turned_byte_gives_no_other_data if PERSISTENT,
         turned_byte_hides_nothing if DETECTS_DAMAGE];
}

/// Records of the store that is damaged; every seventh was deleted.
const ROWS: u64 = 400;

async fn turned_byte_gives_no_other_data(cx: Cx) -> Checked {
    turn_bytes(&cx, false).await
}

async fn turned_byte_hides_nothing(cx: Cx) -> Checked {
    turn_bytes(&cx, true).await
}

async fn turn_bytes(cx: &Cx, complete: bool) -> Checked {
    let folder = cx.folder()?;
    let site = cx.site_in(folder.path())?;
    let name = cx.name()?;
    let store = cx.dressed(site.open().await?);
    store.create_namespace(&name).await?;
    let ns = cx.open(&store, &name).await?;
    let rows = |from, to| (from..to).map(|n| (key(n), value(&stored(n))));
    ns.fill(rows(0, ROWS / 2)).await?;
    store.sync().await?;
    ns.fill(rows(ROWS / 2, ROWS)).await?;
    for n in (0..ROWS).filter(|n| is_deleted(*n)) {
        let delete = Delete::new(Key::copy_from(key(n).as_bytes()), cx.version());
        ns.raw.delete(delete, WriteOptions::new()).await?;
    }
    store.close().await?;
    drop((ns, store, site));
    let files = files(folder.path()).map_err(|error| unreadable(&error))?;
    let filled: Vec<(&PathBuf, &Vec<u8>)> =
        files.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
    holds(!filled.is_empty(), || "the folder of a closed store has no bytes in it".to_owned())?;
    judge(cx, &files, &name, true).await.map_err(|v| v.within("with no damage at all"))?;
    let mut random = cx.rng();
    let all: usize = filled.iter().map(|(_, bytes)| bytes.len()).sum();
    for turn in 0..filled.len() + usize::try_from(kills() * 6).unwrap_or(30) {
        // Once in each file, and then anywhere.
        let mut place = random.usize(..all);
        let (path, bytes) = match filled.get(turn) {
            Some(file) => *file,
            None => *filled
                .iter()
                .find(|(_, bytes)| {
                    let here = place < bytes.len();
                    place = if here { place } else { place - bytes.len() };
                    here
                })
                .ok_or_else(|| Violation::new("no byte to turn"))?,
        };
        let at = place % bytes.len();
        let bit = random.u32(..8);
        let mut damaged = files.clone();
        if let Some(byte) = damaged.get_mut(path).and_then(|bytes| bytes.get_mut(at)) {
            *byte ^= 1 << bit;
        }
        let what = format!("bit {bit} of byte {at} of '{}' turned", path.display());
        judge(cx, &damaged, &name, complete).await.map_err(|v| v.within(&what))?;
    }
    Ok(())
}

fn key(n: u64) -> String {
    format!("key {n:04}")
}

/// The token of record `n`: some hundreds of bytes, so that there is more than one page and
/// more than one segment of a log.
fn stored(n: u64) -> String {
    token(n, usize::try_from(n * 97 % 5_000).unwrap_or(0))
}

fn is_deleted(n: u64) -> bool {
    n % 7 == 3
}

/// Opens a store of these files and reads all of it, in every way.
async fn judge(cx: &Cx, files: &Files, name: &NamespaceName, complete: bool) -> Checked {
    let folder = cx.folder()?;
    lay_out(files, folder.path()).map_err(|error| unreadable(&error))?;
    let site = cx.site_in(folder.path())?;
    let store = match site.open().await {
        Ok(store) => cx.dressed(store),
        Err(error) => return refusal(&error),
    };
    let judged = judge_open(&store, name, complete).await;
    // Whatever it has to say when it is closed, it has been read.
    let _ = store.close().await;
    judged
}

async fn judge_open(store: &Arc<dyn Store>, name: &NamespaceName, complete: bool) -> Checked {
    let ns = match store.open_namespace(name).await {
        Ok(ns) => ns,
        // What cannot be found is hidden, and where that is not ruled out it ends here.
        Err(error) if error.kind() == ErrorKind::NoNamespace => {
            return holds(!complete, || "the namespace is gone without a word".to_owned());
        }
        Err(error) => return refusal(&error),
    };
    let mut hidden = Vec::new();
    for n in 0..ROWS {
        let key = Key::copy_from(key(n).as_bytes());
        let there = match ns.get(&key, ReadOptions::new()).await {
            Ok(Some(record)) => {
                right(n, &record.value, complete)?;
                true
            }
            Ok(None) => {
                hidden.extend((!is_deleted(n)).then_some(n));
                false
            }
            Err(error) => {
                refusal(&error)?;
                // What cannot be read is there all the same.
                true
            }
        };
        match ns.has(&key, ReadOptions::new()).await {
            Ok(has) => holds(has == there, || {
                format!("record {n}: get says that it is there: {there}, and has: {has}")
            })?,
            Err(error) => refusal(&error)?,
        }
    }
    match listed(&*ns).await {
        Ok(rows) => {
            let mut seen = Vec::new();
            for (key, value) in rows {
                let Some(value) = value else { continue };
                let text = String::from_utf8_lossy(&key).into_owned();
                let n =
                    text.strip_prefix("key ").and_then(|n| n.parse().ok()).filter(|n| *n < ROWS);
                let n =
                    n.ok_or_else(|| Violation::new(format!("a scan gives the key {text:?}")))?;
                right(n, &value, complete)?;
                seen.push(n);
            }
            hidden.extend((0..ROWS).filter(|n| !is_deleted(*n) && !seen.contains(n)));
        }
        Err(error) => refusal(&error)?,
    }
    hidden.sort_unstable();
    hidden.dedup();
    holds(hidden.is_empty() || !complete, || {
        format!("{} of {ROWS} records are absent without an error: {hidden:.60?}", hidden.len())
    })
}

/// Every key with its value; none for a row that is said to be damaged.
async fn listed(ns: &dyn Namespace) -> Result<Vec<(Vec<u8>, Option<Vec<u8>>)>> {
    let mut rows = Vec::new();
    let mut scan = ns.scan(ScanOptions::new()).await?;
    loop {
        match scan.next().await? {
            ScanStep::Page(page) => rows.extend(page.items.into_iter().map(|item| match item {
                Ok(record) => (record.key.as_bytes().to_vec(), Some(record.value.to_vec())),
                Err(damaged) => (damaged.key.as_bytes().to_vec(), None),
            })),
            ScanStep::End(_) => return Ok(rows),
        }
    }
}

/// The value of record `n` must be the one that was stored, and where nothing may be hidden
/// it must not be deleted: what is damaged may be the delete.
fn right(n: u64, value: &[u8], complete: bool) -> Checked {
    let expected = stored(n);
    let got = token_of(value);
    holds(got.as_ref() == Ok(&expected), || {
        format!("record {n}: expected {expected}, got {got:?}")
    })?;
    holds(!complete || !is_deleted(n), || format!("record {n} was deleted and is back"))
}

/// What an error about damaged files may be.
fn refusal(error: &Error) -> Checked {
    let kinds = [ErrorKind::Corrupt, ErrorKind::Incompatible, ErrorKind::Internal];
    holds(kinds.contains(&error.kind()), || {
        format!("damaged files: expected an error of kind 'corrupt', got: {error}")
    })
}

fn unreadable(error: &std::io::Error) -> Violation {
    Violation::files("the store's files cannot be copied", error)
}
