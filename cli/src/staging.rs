//! Loading a whole new pinset beside the old one, and putting it in its place in one step.
//!
//! ```text
//! marker  →  staging namespace  →  records, sync  →  replace_namespace  →  marker gone
//! ```
//!
//! The marker is a control record that is written first and removed last, so whatever the
//! process dies of, the next one that opens the store for writing finds out what was left.
//! Until the one step the old pinset is there untouched; from it on the new one is.

use std::sync::Arc;

use pinstate_core::{
    ControlWritten, Durability, Error, ErrorKind, Expect, Namespace, NamespaceName, Operation,
    Result, Store,
};
use serde::{Deserialize, Serialize};

/// What the keys of the markers begin with; the staging namespace's name follows.
const MARKERS: &str = "import/";

/// What a marker says.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    target: NamespaceName,
    /// The process that works on it: for people who look.
    pid: u32,
}

/// A namespace that is being filled to take another one's place.
#[derive(Debug)]
pub(crate) struct Staging {
    store: Arc<dyn Store>,
    target: NamespaceName,
    name: NamespaceName,
    revision: u64,
}

/// What an interrupted import had left, and is now gone.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// The namespace it was meant for; `?` where the marker does not say.
    pub(crate) target: String,
    pub(crate) staging: String,
}

impl Staging {
    /// Makes an empty namespace that is to take the place of `target`.
    pub(crate) async fn begin(store: Arc<dyn Store>, target: NamespaceName) -> Result<Self> {
        let marker = Marker { target: target.clone(), pid: std::process::id() };
        let value = serde_json::to_vec(&marker).map_err(|error| {
            Error::new(ErrorKind::Internal, Operation::Import, "a marker cannot be written")
                .with_source(error)
        })?;
        loop {
            let name: NamespaceName = format!("import-{:08x}", fastrand::u32(..)).parse()?;
            // Whatever a marker names is removed one day: it must not be somebody's.
            if store.list_namespaces().await?.iter().any(|taken| taken.name == name) {
                continue;
            }
            match store.control_set(&key(&name), Expect::Absent, &value).await? {
                ControlWritten::Applied { revision } => {
                    store.create_namespace(&name).await?;
                    return Ok(Self { store, target, name, revision });
                }
                // Another import under way has the same name.
                ControlWritten::Conflict { .. } => {}
            }
        }
    }

    /// The namespace to fill.
    pub(crate) async fn namespace(&self) -> Result<Arc<dyn Namespace>> {
        self.store.open_namespace(&self.name).await
    }

    /// Makes what was loaded durable and puts it in the target's place.
    pub(crate) async fn put_in_place(self) -> Result<Durability> {
        self.store.sync().await?;
        self.store.replace_namespace(&self.target, &self.name).await?;
        let reached = self.store.sync().await?;
        self.unmark().await?;
        Ok(reached)
    }

    /// Removes it; the target is as it was.
    pub(crate) async fn abandon(self) -> Result<()> {
        self.store.drop_namespace(&self.name).await?;
        self.unmark().await
    }

    async fn unmark(&self) -> Result<()> {
        let expect = Expect::Revision(self.revision);
        // A conflict would mean that somebody swept it away already.
        let _ = self.store.control_delete(&key(&self.name), expect).await?;
        Ok(())
    }
}

fn key(staging: &NamespaceName) -> String {
    format!("{MARKERS}{staging}")
}

/// Removes what interrupted imports have left. Only for a store that nobody else has open:
/// there every marker is of a process that is gone.
pub(crate) async fn sweep(store: &dyn Store) -> Result<Vec<Leftover>> {
    let mut swept = Vec::new();
    for (key, record) in store.control_list(MARKERS).await? {
        let staging = key.strip_prefix(MARKERS).unwrap_or_default().to_owned();
        if let Ok(name) = staging.parse::<NamespaceName>() {
            match store.drop_namespace(&name).await {
                // It took its place before its marker could be removed.
                Err(error) if error.kind() == ErrorKind::NoNamespace => {}
                dropped => dropped?,
            }
        }
        let _ = store.control_delete(&key, Expect::Revision(record.revision)).await?;
        let target = serde_json::from_slice::<Marker>(&record.value)
            .map_or_else(|_| "?".to_owned(), |marker| marker.target.to_string());
        swept.push(Leftover { target, staging });
    }
    Ok(swept)
}
