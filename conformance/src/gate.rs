//! Capabilities that cases depend on, and what must happen where one is not declared.

use futures::future::BoxFuture;
use pinstate_core::{
    BatchItem, BatchOptions, Capabilities, Consistency, Delete, Durability, ErrorKind, IfNewer,
    Key, Put, Version, WriteOptions,
};

use crate::case::Cx;
use crate::check::{Checked, refused, same};

/// A capability that a case needs.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) declared: fn(&Capabilities) -> bool,
    pub(crate) negative: Negative,
}

/// What runs in the place of a case whose capability is not declared.
pub(crate) enum Negative {
    /// The call must answer `Unsupported` and change nothing.
    Refuses(fn(Cx) -> BoxFuture<'static, Checked>),
    /// There is no call that could be refused.
    Nothing,
}

/// Why a case that is about a capability did not run.
pub(crate) fn undeclared(capability: &str) -> String {
    format!("'{capability}' is not declared")
}

macro_rules! gates {
    ($($name:ident = $text:literal, $declared:expr, $negative:expr;)*) => {
        $(pub(crate) static $name: Gate =
            Gate { name: $text, declared: $declared, negative: $negative };)*
    };
}

gates! {
    ATOMIC_BATCH = "atomic_batch", |caps| caps.atomic_batch,
        Negative::Refuses(|cx| Box::pin(no_atomic_batch(cx)));
    IF_ABSENT = "if_absent", |caps| caps.if_absent,
        Negative::Refuses(|cx| Box::pin(no_if_absent(cx)));
    IF_VERSION = "if_version", |caps| caps.if_version,
        Negative::Refuses(|cx| Box::pin(no_if_version(cx)));
    IF_NEWER_EXACT = "if_newer = exact", |caps| caps.if_newer == IfNewer::Exact, Negative::Nothing;
    LINEARIZABLE = "consistency = linearizable",
        |caps| caps.consistency == Consistency::Linearizable, Negative::Nothing;
    READ_YOUR_WRITES = "consistency = read-your-writes",
        |caps| !matches!(caps.consistency, Consistency::Eventual { .. }), Negative::Nothing;
    ORDERED_SCAN = "ordered_scan", |caps| caps.ordered_scan, Negative::Nothing;
    SNAPSHOT_SCAN = "snapshot_scan", |caps| caps.snapshot_scan, Negative::Nothing;
    PERSISTENT = "persistent", |caps| caps.persistent, Negative::Nothing;
    ACKED_SURVIVES = "ack_durability above none",
        |caps| caps.persistent && caps.ack_durability != Durability::None, Negative::Nothing;
    SYNCED_SURVIVES = "sync_durability above none",
        |caps| caps.persistent && caps.sync_durability != Durability::None, Negative::Nothing;
    SYNCED_SURVIVES_POWER = "sync_durability = power",
        |caps| caps.persistent && caps.sync_durability == Durability::Power, Negative::Nothing;
    BATCH_SURVIVES = "persistent and atomic_batch",
        |caps| caps.persistent && caps.atomic_batch, Negative::Nothing;
    DETECTS_DAMAGE = "detects_damage",
        |caps| caps.persistent && caps.detects_damage, Negative::Nothing;
    EXCLUSIVE_OPEN = "exclusive_open", |caps| caps.exclusive_open, Negative::Nothing;
}

async fn no_atomic_batch(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    ns.put("kept", "old").await?;
    let batch: Vec<BatchItem> = vec![
        Put::new(Key::copy_from(b"kept"), "new", cx.version()).into(),
        Put::new(Key::copy_from(b"added"), "new", cx.version()).into(),
    ];
    let result = ns.raw.apply(batch, BatchOptions::atomic()).await;
    refused("an atomic batch without the capability", result, ErrorKind::Unsupported)?;
    same("the namespace afterwards", ns.texts().await?, vec![("kept", "old")].into_texts())
}

async fn no_if_absent(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let put = Put::new(Key::copy_from(b"k"), "v", cx.version());
    let result = ns.raw.put(put, WriteOptions::if_absent()).await;
    refused("a put 'if absent' without the capability", result, ErrorKind::Unsupported)?;
    same("records afterwards", ns.count().await?, 0)
}

async fn no_if_version(cx: Cx) -> Checked {
    let ns = cx.namespace().await?;
    let version = ns.put("k", "old").await?;
    let condition = WriteOptions::if_version(version);
    let put = Put::new(Key::copy_from(b"k"), "new", cx.version());
    refused(
        "a put 'if version' without the capability",
        ns.raw.put(put, condition).await,
        ErrorKind::Unsupported,
    )?;
    let delete = Delete::new(Key::copy_from(b"k"), cx.version());
    refused(
        "a delete 'if version' without the capability",
        ns.raw.delete(delete, WriteOptions::if_version(Version(1))).await,
        ErrorKind::Unsupported,
    )?;
    same("the namespace afterwards", ns.texts().await?, vec![("k", "old")].into_texts())
}

/// Pairs as [`Ns::texts`](crate::case::Ns::texts) gives them.
pub(crate) trait IntoTexts {
    fn into_texts(self) -> Vec<(String, String)>;
}

impl IntoTexts for Vec<(&str, &str)> {
    fn into_texts(self) -> Vec<(String, String)> {
        self.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}
