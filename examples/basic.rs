//! A pinset in a folder: adding, reading, listing and removing pins.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use pinstate_core::pin::{Cid, Pin};
use pinstate_core::{Clock, ClockOptions, ErrorKind, ListOptions, Result, State, Store};
use pinstate_sled::{SledConfig, SledStore};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = SledConfig::new(folder.path().join("pins")).create();
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&config).await?);

    let name = "default".parse()?;
    store.create_namespace(&name).await?;
    // All writers of a process to one store share a clock: versions come from it.
    let clock = Arc::new(Clock::open(Arc::clone(&store), ClockOptions::new()).await?);
    let pins = State::new(store.open_namespace(&name).await?, clock);

    let cid: Cid = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
        .parse()
        .expect("this is a CID");
    let mut pin = Pin::new(cid.clone());
    pin.name = "dataset 7".to_owned();
    pin.metadata.insert("owner".to_owned(), "lab".to_owned());
    pins.add(&pin).await?; // on the disk when this is Ok
    assert_eq!(pins.get(&cid).await?.name, "dataset 7");

    let mut list = pins.list(ListOptions::new()).await?;
    // `None` is the end that the store itself declares; a failure is an error, never an end.
    while let Some(page) = list.next_page().await? {
        for item in page.items {
            match item {
                Ok(stored) => println!("{} of {}", stored.key, stored.version),
                Err(bad) => println!("{} cannot be read: {}", bad.key, bad.fault),
            }
        }
    }

    pins.rm(&cid).await?;
    match pins.get(&cid).await {
        Ok(pin) => println!("still there: {}", pin.name),
        Err(error) if error.kind() == ErrorKind::NotFound => println!("removed"),
        Err(error) if error.may_retry(true) => println!("try again: {error}"),
        Err(error) => return Err(error),
    }
    store.close().await
}
