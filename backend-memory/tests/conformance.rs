//! The conformance suite over the memory backend.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use peak_alloc::PeakAlloc;
use pinstate_conformance::{Meter, Plug, Site, Suite};
use pinstate_core::{Result, Store};
use pinstate_memory::{MemoryConfig, MemoryStore};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

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
        // No longer than what the quick profile tries: B7 goes one beyond it.
        let mut config = MemoryConfig::default();
        config.max_atomic_batch = 2_000;
        Ok(Arc::new(MemoryStore::open(&config)?))
    }
}

fn main() -> ExitCode {
    let meter = Meter::new(|| ALLOCATOR.reset_peak_usage(), || ALLOCATOR.peak_usage());
    Suite::new(Memory).memory(meter).main()
}
