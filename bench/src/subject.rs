//! What is put under load.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Count, CountOptions, Error, ErrorKind, Gauge, Key, ListOptions, Operation};
use pinstate_core::{Result, State, Store};

use crate::outcome::Setup;

/// A store, or anything else that keeps pins.
#[async_trait]
pub trait Subject: fmt::Debug + Send + Sync {
    /// What it is, and what it promises.
    fn setup(&self) -> Setup;

    /// Whether it certainly has no pins.
    ///
    /// # Errors
    /// The store's.
    async fn is_empty(&self) -> Result<bool>;

    /// Adds a pin, or replaces it.
    ///
    /// # Errors
    /// The store's.
    async fn add(&self, pin: &Pin) -> Result<()>;

    /// Adds these pins as one batch.
    ///
    /// # Errors
    /// The store's, if any pin was not added.
    async fn add_all(&self, pins: &[Pin]) -> Result<()>;

    /// Removes a pin.
    ///
    /// # Errors
    /// The store's.
    async fn rm(&self, cid: &Cid) -> Result<()>;

    /// The pin of a CID, or `None` where there certainly is none.
    ///
    /// # Errors
    /// The store's.
    async fn get(&self, cid: &Cid) -> Result<Option<Pin>>;

    /// Whether there is one.
    ///
    /// # Errors
    /// The store's.
    async fn has(&self, cid: &Cid) -> Result<bool>;

    /// Reads so many pins, behind a place, or all; says how many those were.
    ///
    /// # Errors
    /// The store's; `Corrupt` for a record that is no pin.
    async fn list(&self, after: Option<&Cid>, limit: Option<u64>) -> Result<u64>;

    /// Makes durable what was acknowledged.
    ///
    /// # Errors
    /// The store's.
    async fn sync(&self) -> Result<()>;

    /// How often it has made durable what was written, where it counts that.
    fn barriers(&self) -> Option<u64> {
        None
    }

    /// The folder that it keeps its pins in, where it is one of this machine.
    fn folder(&self) -> Option<PathBuf> {
        None
    }
}

/// A pinset in a store.
#[derive(Clone)]
pub struct Pinset {
    store: Arc<dyn Store>,
    state: State,
    name: String,
    details: BTreeMap<String, String>,
    folder: Option<PathBuf>,
}

impl Pinset {
    /// The pinset `state` in `store`, called `name` in reports.
    #[must_use]
    pub fn new(name: impl Into<String>, store: Arc<dyn Store>, state: State) -> Self {
        Self { store, state, name: name.into(), details: BTreeMap::new(), folder: None }
    }

    /// Also says this in reports.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.details.insert(name.into(), text.into());
        self
    }

    /// The store is in this folder.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }
}

impl fmt::Debug for Pinset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinset").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Subject for Pinset {
    fn setup(&self) -> Setup {
        let identity = self.store.identity();
        let able = self.store.capabilities();
        Setup {
            name: self.name.clone(),
            backend: identity.backend.to_string(),
            location: identity.location.clone(),
            durability: able.ack_durability.to_string(),
            consistency: able.consistency.to_string(),
            details: self.details.clone(),
        }
    }

    async fn is_empty(&self) -> Result<bool> {
        let mut list = self.state.list(ListOptions::new().with_limit(1)).await?;
        while let Some(page) = list.next_page().await? {
            if !page.items.is_empty() {
                return Ok(false);
            }
        }
        match self.state.count(CountOptions::new()).await? {
            Count::Exact(count) => Ok(count == 0),
            Count::Estimate(_) => Ok(true),
        }
    }

    async fn add(&self, pin: &Pin) -> Result<()> {
        self.state.add(pin).await
    }

    async fn add_all(&self, pins: &[Pin]) -> Result<()> {
        let mut batch = self.state.batch();
        for pin in pins {
            batch.add(pin)?;
        }
        batch.commit().await.map(drop)
    }

    async fn rm(&self, cid: &Cid) -> Result<()> {
        self.state.rm(cid).await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Pin>> {
        match self.state.get(cid).await {
            Ok(pin) => Ok(Some(pin)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn has(&self, cid: &Cid) -> Result<bool> {
        self.state.has(cid).await
    }

    async fn list(&self, after: Option<&Cid>, limit: Option<u64>) -> Result<u64> {
        let mut options = ListOptions::new();
        if let Some(cid) = after {
            let key = Key::copy_from(cid.as_bytes());
            options = options.with_after(self.state.namespace().cursor_after(&key));
        }
        if let Some(limit) = limit {
            options = options.with_limit(limit);
            options.page_rows = usize::try_from(limit).unwrap_or(usize::MAX).min(options.page_rows);
        }
        let mut list = self.state.list(options).await?;
        let mut count = 0;
        while let Some(page) = list.next_page().await? {
            for item in page.items {
                let pin = item.map_err(|bad| {
                    let what = "the stored bytes are no pin";
                    Error::new(ErrorKind::Corrupt, Operation::List, what).with_key(bad.key)
                })?;
                std::hint::black_box(&pin.value);
                count += 1;
            }
        }
        Ok(count)
    }

    async fn sync(&self) -> Result<()> {
        self.store.sync().await.map(drop)
    }

    fn barriers(&self) -> Option<u64> {
        let told = self.store.gauges();
        told.iter().find(|(gauge, _)| *gauge == Gauge::Barriers).map(|(_, count)| *count as u64)
    }

    fn folder(&self) -> Option<PathBuf> {
        self.folder.clone()
    }
}
