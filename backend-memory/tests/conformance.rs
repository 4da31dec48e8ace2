//! The conformance suite over the memory backend.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_conformance::{Plug, Site, Suite};
use pinstate_core::{Result, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

struct Memory;

#[async_trait]
impl Plug for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl Site for Memory {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(MemoryStore::open(&MemoryConfig::default())?))
    }
}

fn main() -> ExitCode {
    Suite::new(Memory).main()
}
