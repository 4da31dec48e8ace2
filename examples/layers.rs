//! A store by its URI, as a user names it, and layers around it.
//!
//! ```text
//! cargo run -p pinstate-docs --example layers -- sled:/srv/pins
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::time::Duration;

use pinstate_core::config::{Config, OpenOptions, Registry};
use pinstate_core::layer::{Layers, LimitOptions, RetryOptions};
use pinstate_core::{CountOptions, Result};
use pinstate_fjall::FjallFactory;
use pinstate_memory::MemoryFactory;
use pinstate_sled::SledFactory;

#[tokio::main]
async fn main() -> Result<()> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "memory:".to_owned());
    // The backends that this program has: nothing registers itself.
    let registry = Registry::new().with(MemoryFactory::new()).with(SledFactory).with(FjallFactory);
    let config = Config::load(None, &[])?; // and PINSTATE_… variables
    let store = registry.open(&config, &uri, OpenOptions::create()).await?;

    // Set in any order, applied in the one that makes sense: an attempt's timeout is within the
    // retries, and these are within the deadline.
    let layers = Layers::none()
        .with_limit(Some(LimitOptions::new(64, Duration::from_secs(1))))
        .with_attempt_timeout(Some(Duration::from_secs(3)))
        .with_retry(Some(RetryOptions::new().with_attempts(4)))
        .with_deadline(Some(Duration::from_secs(10)))
        .with_trace(true); // an event for each operation, to whoever subscribes to `tracing`
    let store = layers.apply(store);

    let name = "default".parse()?;
    store.create_namespace(&name).await?;
    let pins = store.open_namespace(&name).await?;
    println!("{uri} has {:?}", pins.count(CountOptions::new()).await?);
    println!("it can: {:?}", store.capabilities());
    store.close().await
}
