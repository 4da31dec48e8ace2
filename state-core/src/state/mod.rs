//! The pinset as a user of the library sees it: `state.State` of IPFS-Cluster over any
//! namespace.
//!
//! | operation | what it does |
//! |---|---|
//! | [`add`](State::add) | stores a pin, replacing the whole old one; refuses what storage would lose |
//! | [`rm`](State::rm) | removes a pin; one that is not there is no error |
//! | [`get`](State::get) | `NotFound` for a missing pin, `Corrupt` for one that cannot be read |
//! | [`has`](State::has) | whether the key exists, also for a pin that cannot be read |
//! | [`list`](State::list) | every pin once; a pin that cannot be read is an item, never left out |
//! | [`batch`](State::batch) | collects writes; nothing is visible before `commit` |
//! | [`marshal`](State::marshal) | a snapshot as IPFS-Cluster's own `Marshal` writes it |
//! | [`unmarshal`](State::unmarshal) | adds a snapshot's pins; strict unless asked otherwise |
//!
//! Where this differs from IPFS-Cluster v1.1.6 on purpose: `add` refuses pins that would
//! vanish from its `List`; `list` gives unreadable pins as errors instead of logging and
//! skipping them; `unmarshal` refuses a truncated snapshot; a batch can be used again after
//! its commit.

mod batch;
mod filter;
mod list;
mod snapshot;

use std::sync::Arc;

pub use batch::StateBatch;
pub use filter::PinFilter;
pub use list::{BadPin, ListItem, ListOptions, ListPage, PinList, StoredPin};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::format::Fault;
use crate::namespace::{Count, CountOptions, Namespace, ReadOptions};
use crate::pin::{Cid, Pin, PinView};
use crate::record::{Key, Record};
use crate::write::{Delete, Put, WriteOptions};

/// A pinset. Cheap to clone; clones share the namespace and the clock.
#[derive(Clone, Debug)]
pub struct State {
    namespace: Arc<dyn Namespace>,
    clock: Arc<Clock>,
}

impl State {
    /// The pinset in a namespace. All writers of one process to one store share a clock.
    #[must_use]
    pub fn new(namespace: Arc<dyn Namespace>, clock: Arc<Clock>) -> Self {
        Self { namespace, clock }
    }

    /// The namespace beneath.
    #[must_use]
    pub fn namespace(&self) -> &Arc<dyn Namespace> {
        &self.namespace
    }

    /// The clock that versions come from.
    #[must_use]
    pub fn clock(&self) -> &Arc<Clock> {
        &self.clock
    }

    /// Stores a pin; an old one of the same CID is replaced as a whole.
    ///
    /// # Errors
    /// `InvalidInput` for a pin that storage would not keep as it is (nothing is written);
    /// else the store's.
    pub async fn add(&self, pin: &Pin) -> Result<()> {
        let mut value = Vec::new();
        encode(pin, &mut value)?;
        let key = key_of(&pin.cid);
        let version = self.clock.draw().await?;
        self.namespace.put(Put::new(key, value, version), WriteOptions::new()).await?;
        Ok(())
    }

    /// Removes a pin; one that is not there is no error.
    ///
    /// # Errors
    /// The store's.
    pub async fn rm(&self, cid: &Cid) -> Result<()> {
        let version = self.clock.draw().await?;
        self.namespace.delete(Delete::new(key_of(cid), version), WriteOptions::new()).await?;
        Ok(())
    }

    /// The pin of a CID.
    ///
    /// # Errors
    /// `NotFound` where there certainly is none; `Corrupt` where the stored bytes are no
    /// pin; else the store's.
    pub async fn get(&self, cid: &Cid) -> Result<Pin> {
        let stored = self.get_stored(cid).await?;
        Ok(stored.view().map_err(|fault| corrupt(Operation::Get, &stored.key, &fault))?.to_pin())
    }

    /// The pin of a CID as its stored bytes, not decoded.
    ///
    /// # Errors
    /// `NotFound` where there certainly is none; else the store's.
    pub async fn get_stored(&self, cid: &Cid) -> Result<StoredPin> {
        let key = key_of(cid);
        match self.namespace.get(&key, ReadOptions::new()).await? {
            Some(record) => Ok(StoredPin::from(record)),
            None => Err(Error::not_found(Operation::Get, key)),
        }
    }

    /// Whether a pin of the CID exists, readable or not.
    ///
    /// # Errors
    /// The store's: a failure is never an answer.
    pub async fn has(&self, cid: &Cid) -> Result<bool> {
        self.namespace.has(&key_of(cid), ReadOptions::new()).await
    }

    /// Lists pins, in the store's own order.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor of another store or namespace; else the store's.
    pub async fn list(&self, options: ListOptions) -> Result<PinList> {
        PinList::open(Arc::clone(&self.namespace), options).await
    }

    /// How many pins there are, unreadable ones included.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(&self, options: CountOptions) -> Result<Count> {
        self.namespace.count(options).await
    }

    /// An empty batch.
    #[must_use]
    pub fn batch(&self) -> StateBatch {
        StateBatch::new(self.clone())
    }
}

fn key_of(cid: &Cid) -> Key {
    Key::copy_from(cid.as_bytes())
}

/// Appends a pin's stored value to `out`.
fn encode(pin: &Pin, out: &mut Vec<u8>) -> Result<()> {
    pin.validate().map_err(|fault| {
        Error::new(ErrorKind::InvalidInput, Operation::Add, fault.to_string())
            .with_key(key_of(&pin.cid))
    })?;
    crate::pin::encode(pin, out);
    Ok(())
}

fn corrupt(operation: Operation, key: &Key, fault: &Fault) -> Error {
    Error::new(ErrorKind::Corrupt, operation, format!("the stored bytes are no pin: {fault}"))
        .with_key(key.clone())
}

impl From<Record> for StoredPin {
    fn from(record: Record) -> Self {
        Self { key: record.key, value: record.value, version: record.version }
    }
}

impl StoredPin {
    /// The pin seen through its stored bytes.
    ///
    /// # Errors
    /// What is wrong with bytes that are no pin; never for one that `list` gave as good.
    pub fn view(&self) -> Result<PinView<'_>, Fault> {
        PinView::new(self.key.as_bytes(), &self.value)
    }
}
